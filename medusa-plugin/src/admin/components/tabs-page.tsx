import { Container, Heading, Tabs, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { useSearchParams } from "react-router-dom"

type Tab = { name: string; label: string; content: ReactNode }

/** A page with a heading and tabs, and what stands above the tabs. The open tab is in the address, so that it can be bookmarked and shared. */
type Props = { title: string; hint: string; tabs: Tab[]; children?: ReactNode }

export function TabsPage({ title, hint, tabs, children }: Props): ReactNode {
  const [search, setSearch] = useSearchParams()
  const open = tabs.find(({ name }) => name === search.get("tab")) ?? tabs[0]
  return (
    <Container className="p-0">
      <div className="px-6 py-4">
        <Heading>{title}</Heading>
        <Text size="small" className="text-ui-fg-subtle">
          {hint}
        </Text>
      </div>
      {children && <div className="divide-y border-t">{children}</div>}
      <Tabs value={open.name} onValueChange={(tab) => setSearch({ tab }, { replace: true })}>
        <div className="border-b border-t px-6 py-4">
          <Tabs.List>
            {tabs.map(({ name, label }) => (
              <Tabs.Trigger key={name} value={name}>
                {label}
              </Tabs.Trigger>
            ))}
          </Tabs.List>
        </div>
        {tabs.map(({ name, content }) => (
          <Tabs.Content key={name} value={name}>
            {content}
          </Tabs.Content>
        ))}
      </Tabs>
    </Container>
  )
}
