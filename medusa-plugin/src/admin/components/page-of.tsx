import { Alert, Button } from "@medusajs/ui"
import { keepPreviousData, useInfiniteQuery, type InfiniteData, type UseInfiniteQueryResult } from "@tanstack/react-query"
import type { ReactNode } from "react"
import { dust, messageOf } from "../lib/dust"
import { useTexts } from "../lib/texts"

type Paged = { next_cursor: string | null }
export type Pages<T> = UseInfiniteQueryResult<InfiniteData<T>>

/** A list, a page at a time. `path` may have a query string. With `refreshMs`, all loaded pages are read again that often. */
export function usePages<T extends Paged>(path: string, refreshMs?: number): Pages<T> {
  return useInfiniteQuery({
    queryKey: ["dust", path],
    queryFn: ({ pageParam }) => {
      const cursor = pageParam ? `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(pageParam)}` : ""
      return dust<T>(path + cursor)
    },
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor,
    placeholderData: keepPreviousData,
    refetchInterval: refreshMs,
  })
}

export function MoreButton<T>({ pages }: { pages: Pages<T> }): ReactNode {
  const t = useTexts()
  if (!pages.hasNextPage) return null
  return (
    <div className="flex flex-col items-center gap-y-3 px-6 py-4">
      {pages.isFetchNextPageError && pages.error && (
        <Alert role="alert" variant="error">
          {messageOf(pages.error, t)}
        </Alert>
      )}
      <Button
        size="small"
        variant="secondary"
        isLoading={pages.isFetchingNextPage}
        onClick={() => void pages.fetchNextPage()}
      >
        {t("general.showMore")}
      </Button>
    </div>
  )
}
