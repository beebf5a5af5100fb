import { Button, Drawer, Text } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustExplanation } from "../../types"
import { dust } from "../lib/dust"
import { moment, shown, signed } from "../lib/format"
import { useTexts, type Translate } from "../lib/texts"
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
  const path = `/customers/${customerId}/explain`
  const query = useQuery({ queryKey: ["dust", path], queryFn: () => dust<DustExplanation>(path) })
  return (
    <Loaded query={query}>
      {({ summary, steps }) => (
        <div className="divide-y">
          <div className="flex flex-col gap-y-1 px-6 py-4">
            {summary.map((sentence) => (
              <Text key={sentence} size="small" weight="plus">
                {sentence}
              </Text>
            ))}
          </div>
          {steps.length === 0 && <Nothing>{t("account.nothingHappened")}</Nothing>}
          {[...steps].reverse().map((step) => (
            <div key={step.transaction_id} className="flex flex-col gap-y-1 px-6 py-4">
              <Text size="small">{step.sentence}</Text>
              <Text size="xsmall" className="text-ui-fg-muted">
                {[moment(step.event_at), signed(step.amount), t("account.balanceThen", { balance: shown(step.balance_after) }), ...rules(step, t)].join(" · ")}
              </Text>
            </div>
          ))}
        </div>
      )}
    </Loaded>
  )
}

function rules({ programme_version: version }: DustExplanation["steps"][number], t: Translate): string[] {
  return version === null ? [] : [t("account.rulesVersion", { version })]
}
