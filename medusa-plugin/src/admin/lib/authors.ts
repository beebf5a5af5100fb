import { keepPreviousData, useQuery } from "@tanstack/react-query"
import { readUserNames } from "./people"
import { useTexts } from "./texts"

/** The names of who saved rules. Until Medusa answers, and for a user who may not see others, an id stays an id. */
export function useAuthors(authors: string[]): (author: string) => string {
  const t = useTexts()
  const ids = [...new Set(authors)].filter((author) => author.startsWith("user_")).sort()
  const users = useQuery({
    queryKey: ["dust", "users", ids],
    queryFn: () => readUserNames(ids),
    enabled: ids.length > 0,
    placeholderData: keepPreviousData,
  })
  const names: Record<string, string> = { service: t("history.service"), cli: t("history.cli") }
  return (author) => users.data?.[author] ?? names[author] ?? author
}
