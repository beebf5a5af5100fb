import { Alert } from "@medusajs/ui"
import { Fragment, type ReactNode } from "react"
import { Link } from "react-router-dom"
import { nameOf, useOrderNumbers, type Person } from "../lib/people"
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

/** A warning about some orders, with a link to each. Nothing if there are none. */
export function OrderList({ text, orderIds }: { text: string; orderIds: string[] }): ReactNode {
  const numbers = useOrderNumbers(orderIds)
  if (orderIds.length === 0) return null
  return (
    <div className="px-6 py-4">
      <Alert variant="warning">
        {text}{" "}
        {orderIds.map((id, index) => (
          <Fragment key={id}>
            {index > 0 && ", "}
            <OrderLink id={id} number={numbers[id]} />
          </Fragment>
        ))}
      </Alert>
    </div>
  )
}
