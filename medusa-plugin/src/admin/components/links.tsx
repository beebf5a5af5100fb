import type { ReactNode } from "react"
import { Link } from "react-router-dom"
import { nameOf, type Person } from "../lib/people"
import { useTexts } from "../lib/texts"

const LINK = "text-ui-fg-base underline"

/** A customer by name, with a link to their page. `person` is missing while Medusa has not answered, or has no such customer. */
export function CustomerLink({ id, person }: { id: string; person?: Person }): ReactNode {
  const t = useTexts()
  return (
    <Link className={LINK} to={`/customers/${id}`}>
      {person ? nameOf(person) : t("general.customer")}
    </Link>
  )
}

/** An order by its number, such as `#18`, with a link to its page. */
export function OrderLink({ id, number }: { id: string; number?: string }): ReactNode {
  const t = useTexts()
  return (
    <Link className={LINK} to={`/orders/${id}`}>
      {number ?? t("general.order")}
    </Link>
  )
}
