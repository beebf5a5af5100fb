"use client"

import { useState } from "react"
import type { Transaction, Transactions } from "../../types.js"
import { useDustContext } from "../context.js"
import { useResource } from "../hooks.js"
import { Section, Skeleton } from "../parts.js"
import { settled } from "../store.js"
import type { Texts } from "../texts.js"

export interface HistoryProps {
  /** The first page, if the server has read it. */
  transactions?: Transactions
  /** Rows of a page. */
  pageSize?: number
}

/** The pages after the first. */
interface More {
  /** The first page that they belong to. */
  version?: string
  pages: Transactions[]
  error?: string
}

/** What moved the balance, newest first, page by page. */
export function History({ transactions: initial, pageSize = 10 }: HistoryProps) {
  const { texts, actions, customerId } = useDustContext()
  const read = customerId === null ? undefined : actions.transactions
  const { data: first, loading } = useResource("transactions", read && (() => read({ limit: pageSize })), { initial })
  const [more, setMore] = useState<More>({ pages: [] })
  const [isLoading, setIsLoading] = useState(false)
  const { t } = texts
  const title = t("historyTitle")

  if (!first) return loading ? <Skeleton name="history" title={title} /> : null
  const version = JSON.stringify(first)
  // The first page has changed: the cursors of the next ones are old.
  const { pages, error } = more.version === version ? more : { pages: [] }
  const last = pages.at(-1) ?? first
  const rows = [first, ...pages].flatMap((page) => page.transactions)

  async function showMore(cursor: string): Promise<void> {
    if (!read || isLoading) return
    setIsLoading(true)
    const { data, error } = await settled(() => read({ cursor, limit: pageSize }))
    setIsLoading(false)
    setMore({ version, pages: data ? [...pages, data] : pages, error: error && texts.error(error) })
  }

  return (
    <Section name="history" title={title}>
      {rows.length ? (
        <ul className="dust-list">
          {rows.map((row) => (
            <Row key={`${row.id}${row.state}`} row={row} texts={texts} />
          ))}
        </ul>
      ) : (
        <p className="dust-muted">{t("historyEmpty")}</p>
      )}
      {error && (
        <p className="dust-problem" role="alert">
          {error}
        </p>
      )}
      {last.next_cursor && (
        <button
          type="button"
          className="dust-button"
          aria-disabled={isLoading}
          onClick={() => void showMore(last.next_cursor as string)}
        >
          {isLoading ? t("busy") : t("historyMore")}
        </button>
      )}
    </Section>
  )
}

function Row({ row, texts }: { row: Transaction; texts: Texts }) {
  const { t, date } = texts
  const { amount, state, matures_at: matures, expires_at: expires, order_number: order } = row
  const notes = [date(row.event_at)]
  if (order !== null) notes.push(t("historyOrder", { number: order }))
  if (state === "pending") notes.push(matures ? t("historyPending", { date: date(matures) }) : t("historyPendingPayment"))
  else if (expires) notes.push(t("historyExpires", { date: date(expires) }))
  return (
    <li className={state === "pending" ? "dust-row dust-row-pending" : "dust-row"}>
      <div>
        <span>{nameOf(row, texts)}</span>
        <br />
        <span className="dust-muted">{notes.join(" · ")}</span>
      </div>
      <bdi className={amount < 0 ? "dust-amount" : "dust-amount dust-plus"}>{texts.signed(amount)}</bdi>
    </li>
  )
}

/** The kind in the shop's language. Bonuses and corrections have a sentence of the shop or of Dust. */
function nameOf({ kind, amount, description }: Transaction, { sentences }: Texts): string {
  if (description && ["bonus", "adjust"].includes(kind)) return sentences.descriptions[description] ?? description
  if (kind === "merge" || kind === "unmerge") return sentences.kinds[amount < 0 ? "unmerge" : "merge"] ?? description
  return sentences.kinds[kind] ?? description
}
