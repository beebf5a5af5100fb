import { Alert, Button, Heading, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import type { DustProgramme } from "../../../types"
import { DustError } from "../../lib/dust"
import type { FieldError } from "../../lib/field-errors"
import { moment } from "../../lib/format"
import { useTexts, type Translate } from "../../lib/texts"
import { ProgrammeConflict } from "./conflict"
import { useEditor } from "./editor"
import { ChoiceAt, DecimalAt, IdsAt, RatesAt, SwitchAt, TextAt, WholeAt } from "./fields"
import { Multipliers } from "./multipliers"

const WHEN = {
  "order.placed": "the order is placed",
  "payment.captured": "the payment is captured",
  "order.completed": "the order is completed",
}
const ROUNDING = { floor: "down", half_up: "to the nearest", ceiling: "up" }
const NEGATIVE = {
  allow: "the balance may go below zero",
  within_balance: "only what is still there is taken",
}
const CLAIM = {
  transfer: "the transfer of the order alone",
  registration: "registering too: the shop verifies the e-mail",
  account: "registering or a new e-mail: both are verified",
}

/** The rules of the programme. Saving makes a new version; the old ones stay for the orders that met them. */
export function ProgrammeForm(): ReactNode {
  const { base, document, unsaved, errors, load, save } = useEditor()
  const t = useTexts()
  const conflict = save.error instanceof DustError && save.error.status === 412
  return (
    <form
      className="divide-y"
      onSubmit={(event) => {
        event.preventDefault()
        save.mutate(base.version)
      }}
    >
      <Earning />
      <Multipliers />
      <Redeeming />
      <Others />
      <div className="flex flex-col gap-y-4 px-6 py-4">
        {conflict && (
          <ProgrammeConflict mine={document} reload={load} overwrite={({ version }) => save.mutate(version)} />
        )}
        {save.error && !conflict && <Alert variant="error">{notSaved(save.error, errors, t)}</Alert>}
        <div className="flex items-center justify-between">
          <Text size="small" className="text-ui-fg-subtle">
            {origin(base, t)} {t("rules.keepsOld")}
          </Text>
          <Button size="small" type="submit" isLoading={save.isPending} disabled={!unsaved}>
            {t("rules.save")}
          </Button>
        </div>
      </div>
    </form>
  )
}

function Earning(): ReactNode {
  return (
    <Section title="Earning">
      <RatesAt
        at="earn.rates"
        label="Dust for each unit of money"
        hint="For each euro, dollar, … of an order's items after discounts. An order in any other currency earns nothing."
      />
      <ChoiceAt at="earn.when" label="Dust is earned when" choices={WHEN} />
      <ChoiceAt at="earn.rounding" label="Fractions of points are rounded" choices={ROUNDING} />
      <SwitchAt at="earn.basis.include_tax" label="Tax earns too" />
      <SwitchAt at="earn.basis.include_shipping" label="Shipping earns too" />
      <SwitchAt at="earn.basis.include_credit" label="What gift cards and store credit pay earns too" />
      <SwitchAt
        at="earn.pending_until_paid"
        label="Pending until the order is paid"
        hint="Recommended when points are earned with the order: they are shown as pending, cannot be spent and count for no tier until the payment is captured."
      />
      <WholeAt at="earn.pending_days" label="Days until it can be spent" hint="0: at once." />
      <TextAt at="time_zone" label="Time zone" hint="Such as Europe/Berlin. Points are good until the end of a day there." />
      <WholeAt at="earn.expires_after_days" label="Days until it expires" empty="Never" />
      <IdsAt at="earn.excluded_product_ids" label="Products that earn nothing" hint="Product ids, one in a line." />
    </Section>
  )
}

function Redeeming(): ReactNode {
  return (
    <Section title="Redeeming">
      <RatesAt at="redeem.rates" label="Dust for a discount of one unit of money" />
      <WholeAt at="redeem.min_dust" label="Least dust at a time" />
      <WholeAt at="redeem.max_dust" label="Most dust at a time" empty="No limit" />
      <DecimalAt at="redeem.max_share" label="Share of a cart that dust may pay" hint="1 is all of it, 0.5 half of it." />
      <WholeAt at="redeem.code_ttl_minutes" label="Minutes to use a code" hint="Afterwards the dust is free again." />
    </Section>
  )
}

function Others(): ReactNode {
  return (
    <Section title="Customers">
      <WholeAt at="bonuses.signup" label="Dust for a new account" />
      <ChoiceAt at="reversal.negative_balance" label="When returned goods' dust is spent already" choices={NEGATIVE} />
      <WholeAt at="guests.escrow_days" label="Days that a guest's dust is kept" hint="Counted from the order, until they show it is theirs." />
      <ChoiceAt
        at="guests.claim"
        label="A guest's dust is claimed by"
        hint="Medusa verifies no e-mail by itself. A transfer always counts."
        choices={CLAIM}
      />
    </Section>
  )
}

function Section({ title, children }: { title: string; children: ReactNode }): ReactNode {
  return (
    <div className="flex flex-col gap-y-4 px-6 py-4">
      <Heading level="h2">{title}</Heading>
      <div className="grid grid-cols-1 items-start gap-4 md:grid-cols-2">{children}</div>
    </div>
  )
}

function notSaved(error: Error, errors: FieldError[], t: Translate): string {
  const wrong = error instanceof DustError ? (error.problem.errors?.length ?? 0) : 0
  return wrong === 0 ? error.message : t("rules.notSaved", { count: errors.length })
}

function origin({ version, author, created_at: since }: DustProgramme, t: Translate): string {
  return since ? t("rules.origin", { version, author, date: moment(since) }) : t("rules.defaults")
}
