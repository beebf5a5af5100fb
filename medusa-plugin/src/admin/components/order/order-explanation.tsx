import { Button, Drawer } from "@medusajs/ui"
import type { ReactNode } from "react"
import type { DustOrder } from "../../../types"
import { escrowSentences, sentenceOf } from "../../lib/explanation"
import { moment } from "../../lib/format"
import { useTexts } from "../../lib/texts"
import { useTimeZone } from "../../lib/time-zone"
import { detailsOf, Explained } from "../explain-drawer"
import { Nothing } from "../states"

/** What happened to the points of an order, oldest first. */
export function OrderExplanation({ order }: { order: DustOrder }): ReactNode {
  const t = useTexts()
  return (
    <Drawer>
      <Drawer.Trigger asChild>
        <Button size="small" variant="secondary">
          {t("order.explain")}
        </Button>
      </Drawer.Trigger>
      <Drawer.Content>
        <Drawer.Header>
          <Drawer.Title>{t("order.explainTitle")}</Drawer.Title>
        </Drawer.Header>
        <Drawer.Body className="divide-y overflow-y-auto p-0">
          <OrderSteps order={order} />
        </Drawer.Body>
      </Drawer.Content>
    </Drawer>
  )
}

export function OrderSteps({ order }: { order: DustOrder }): ReactNode {
  const t = useTexts()
  const timeZone = useTimeZone()
  const ofEscrow = escrowSentences(order, t, timeZone)
  if (ofEscrow.length + order.steps.length === 0) return <Nothing>{t("order.nothingHappened")}</Nothing>
  return (
    <>
      {ofEscrow.map(({ text, at }, index) => (
        <Explained key={index} sentence={text} details={at ? [moment(at, timeZone)] : []} />
      ))}
      {order.steps.map((step, index) => (
        <Explained key={index} sentence={sentenceOf(step, t, timeZone)} details={detailsOf(step, t, timeZone)} />
      ))}
    </>
  )
}
