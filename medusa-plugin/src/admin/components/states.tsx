import { Alert, Button, Skeleton, Text } from "@medusajs/ui"
import type { ReactNode } from "react"

/** What the two kinds of queries have in common. */
type Query<T> = { data: T | undefined; isPending: boolean; error: Error | null; refetch: () => unknown }

/** What a query has found; before that that it is loading, or why it failed, with a button to try again. */
export function Loaded<T>({ query, children }: { query: Query<T>; children: (data: T) => ReactNode }): ReactNode {
  if (query.data !== undefined) return children(query.data)
  if (query.isPending) {
    return (
      <div className="px-6 py-4">
        <Skeleton className="h-12 w-full" />
      </div>
    )
  }
  return (
    <div className="flex flex-col items-start gap-y-3 px-6 py-4">
      <Alert variant="error">{query.error?.message}</Alert>
      <Button size="small" variant="secondary" onClick={() => void query.refetch()}>
        Try again
      </Button>
    </div>
  )
}

export function Nothing({ children }: { children: ReactNode }): ReactNode {
  return (
    <div className="px-6 py-8">
      <Text size="small" className="text-ui-fg-subtle text-center">
        {children}
      </Text>
    </div>
  )
}
