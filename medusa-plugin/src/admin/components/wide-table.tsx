import { Table } from "@medusajs/ui"
import type { ReactNode } from "react"

/** A table that scrolls by itself where it is wider than the page, as on a phone. Medusa UI's would be cut off. */
export function WideTable({ children }: { children: ReactNode }): ReactNode {
  return (
    <div className="overflow-x-auto">
      <Table>{children}</Table>
    </div>
  )
}
