import { Alert, Button, Skeleton, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { DustError, messageOf } from "../lib/dust"
import { useTexts } from "../lib/texts"

/** What the two kinds of queries have in common. */
type Query<T> = { data: T | undefined; isPending: boolean; error: Error | null; refetch: () => unknown }

/** What a query has found; before that that it is loading, or why it failed, with a button to try again. */
export function Loaded<T>({ query, children }: { query: Query<T>; children: (data: T) => ReactNode }): ReactNode {
  const t = useTexts()
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
      <Alert variant="error">{isForbidden(query.error) ? t("general.forbidden") : query.error && messageOf(query.error, t)}</Alert>
      <Button size="small" variant="secondary" onClick={() => void query.refetch()}>
        {t("general.tryAgain")}
      </Button>
    </div>
  )
}

/** Medusa's feature flag `rbac` is on, and the user has no role for this. */
function isForbidden(error: Error | null): boolean {
  return error instanceof DustError && error.status === 403
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
