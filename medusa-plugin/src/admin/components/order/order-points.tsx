import { Alert } from "@medusajs/ui"
import type { ReactNode } from "react"
import type { DustOrder } from "../../../types"
import { noted } from "../../lib/explanation"
import { moment, shown } from "../../lib/format"
import { useTexts, type Translate } from "../../lib/texts"
import { Figures } from "../figures"

/** What an order has earned, spent and given back. */
export function OrderPoints({ order }: { order: DustOrder }): ReactNode {
  const t = useTexts()
  const escrow = order.escrow ? [{ label: t("order.escrow"), value: shown(order.escrow), hint: t("order.escrowHint") }] : []
  return (
    <>
      <Figures
        figures={[
          { label: t("order.earned"), value: shown(order.earned), hint: whenSpendable(order, t) },
          { label: t("order.takenBack"), value: shown(order.taken_back) },
          { label: t("order.spent"), value: shown(order.spent) },
          { label: t("order.givenBack"), value: shown(order.given_back) },
          ...escrow,
        ]}
      />
      {order.note && (
        <div className="px-6 py-4">
          <Alert variant="info">{noted(order.note, t)}</Alert>
        </div>
      )}
    </>
  )
}

function whenSpendable({ state, pending, matures_at: at }: DustOrder, t: Translate): string | undefined {
  if (state === "booked") return undefined
  if (!pending) return t("order.earnedLater")
  return at ? t("order.maturesAt", { pending: shown(pending), date: moment(at) }) : t("order.earnedPending", { pending: shown(pending) })
}
