import { Alert, Button, Skeleton, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import { DustError, messageOf } from "../lib/dust"
import { moment } from "../lib/format"
import { useTexts } from "../lib/texts"

/** What the two kinds of queries have in common. */
type Query<T> = Outcome & { data: T | undefined; isPending: boolean }
type Outcome = {
  error: Error | null
  /** The data is older: it could not be read again. */
  isRefetchError: boolean
  dataUpdatedAt: number
  refetch: () => unknown
}

/** What a query has found; before that that it is loading, or why it failed, with a button to try again. */
export function Loaded<T>({ query, children }: { query: Query<T>; children: (data: T) => ReactNode }): ReactNode {
  if (query.data !== undefined) {
    return (
      // The second one keeps its place, and so what is typed in it, when the first one comes and goes.
      <>
        {query.isRefetchError && <Failed query={query} />}
        {children(query.data)}
      </>
    )
  }
  if (query.isPending) {
    return (
      <div className="px-6 py-4">
        <Skeleton className="h-12 w-full" />
      </div>
    )
  }
  return <Failed query={query} />
}

/** Why a request failed, from when what is shown is, and a button to try again. */
export function Failed({ query }: { query: Outcome }): ReactNode {
  const t = useTexts()
  const { error, isRefetchError, dataUpdatedAt, refetch } = query
  const reason = isForbidden(error) ? t("general.forbidden") : (error && messageOf(error, t))
  return (
    <div className="flex flex-col items-start gap-y-3 px-6 py-4">
      <Alert role="alert" variant={isRefetchError ? "warning" : "error"}>
        {isRefetchError ? `${t("general.outdated", { date: moment(new Date(dataUpdatedAt).toISOString()) })} ${reason}` : reason}
      </Alert>
      <Button size="small" variant="secondary" type="button" onClick={() => void refetch()}>
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
