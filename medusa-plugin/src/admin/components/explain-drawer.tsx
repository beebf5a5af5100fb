import { Button, Drawer, Text } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustExplanation } from "../../types"
import { dust } from "../lib/dust"
import { rulesOf, sentenceOf, summaryOf } from "../lib/explanation"
import { moment, shown, signed } from "../lib/format"
import { useTexts, type Translate } from "../lib/texts"
import { useTimeZone } from "../lib/time-zone"
import { Loaded, Nothing } from "./states"

/** Why a balance is what it is, in sentences that can be read out to a customer. */
export function ExplainDrawer({ customerId }: { customerId: string }): ReactNode {
  const t = useTexts()
  return (
    <Drawer>
      <Drawer.Trigger asChild>
        <Button size="small" variant="secondary">
          {t("account.explain")}
        </Button>
      </Drawer.Trigger>
      <Drawer.Content>
        <Drawer.Header>
          <Drawer.Title>{t("account.explainTitle")}</Drawer.Title>
        </Drawer.Header>
        <Drawer.Body className="overflow-y-auto p-0">
          <Explanation customerId={customerId} />
        </Drawer.Body>
      </Drawer.Content>
    </Drawer>
  )
}

/** Asked for when the drawer opens, and not before. */
function Explanation({ customerId }: { customerId: string }): ReactNode {
  const t = useTexts()
  const timeZone = useTimeZone()
  const path = `/customers/${customerId}/explain`
  const query = useQuery({ queryKey: ["dust", path], queryFn: () => dust<DustExplanation>(path) })
  return (
    <Loaded query={query}>
      {({ balance, steps }) => (
        <div className="divide-y">
          <div className="flex flex-col gap-y-1 px-6 py-4">
            {summaryOf(balance, t, timeZone).map((sentence) => (
              <Text key={sentence} size="small" weight="plus">
                {sentence}
              </Text>
            ))}
          </div>
          {steps.length === 0 && <Nothing>{t("account.nothingHappened")}</Nothing>}
          {[...steps].reverse().map((step) => (
            <Explained key={step.transaction_id} sentence={sentenceOf(step, t, timeZone)} details={detailsOf(step, t, timeZone)} />
          ))}
        </div>
      )}
    </Loaded>
  )
}

/** One change of a customer's points. */
export function Explained({ sentence, details }: { sentence: string; details: string[] }): ReactNode {
  return (
    <div className="flex flex-col gap-y-1 px-6 py-4">
      <Text size="small" className="break-words">
        {sentence}
      </Text>
      {details.length > 0 && (
        <Text size="xsmall" className="text-ui-fg-muted">
          {details.join(" · ")}
        </Text>
      )}
    </div>
  )
}

/** When it was, the points and the balance then, and the rules. */
export function detailsOf(step: DustExplanation["steps"][number], t: Translate, timeZone?: string): string[] {
  const { event_at: at, amount, balance_after: balance, programme_version: version } = step
  const rules = version === null ? [] : [t("account.rulesVersion", { version }), ...rulesOf(step, t, timeZone)]
  return [moment(at, timeZone), signed(amount), t("account.balanceThen", { balance: shown(balance) }), ...rules]
}
