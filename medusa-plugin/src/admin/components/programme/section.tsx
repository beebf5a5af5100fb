import { Heading } from "@medusajs/ui"
import { useId, type ReactNode } from "react"

/** Rules for one task. */
export function Section({ title, children }: { title: string; children: ReactNode }): ReactNode {
  const id = useId()
  return (
    <section aria-labelledby={id} className="flex flex-col gap-y-6 px-6 py-6">
      <Heading level="h2" id={id}>
        {title}
      </Heading>
      {children}
    </section>
  )
}

/** Fields in two columns. */
export function Columns({ children }: { children: ReactNode }): ReactNode {
  return <div className="grid grid-cols-1 items-start gap-4 md:grid-cols-2">{children}</div>
}
