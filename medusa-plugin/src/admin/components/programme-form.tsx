import { Alert, Button, Heading, Text, toast } from "@medusajs/ui"
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query"
import { useState, type ReactNode } from "react"
import type { DustProgramme } from "../../types"
import type { Json } from "../lib/document"
import { DustError, dust } from "../lib/dust"
import { moment } from "../lib/format"
import { useUnsavedWarning } from "../lib/unsaved"
import { Multipliers } from "./multipliers"
import { ProgrammeConflict } from "./programme-conflict"
import { ChoiceAt, DecimalAt, IdsAt, ProgrammeContext, RatesAt, SwitchAt, TextAt, WholeAt } from "./programme-fields"
import { Loaded } from "./states"

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
  const query = useQuery({ queryKey: ["dust", "programme"], queryFn: () => dust<DustProgramme>("/programme") })
  return <Loaded query={query}>{(programme) => <Form newest={programme} />}</Loaded>
}

function Form({ newest }: { newest: DustProgramme }): ReactNode {
  const [programme, setProgramme] = useState(newest)
  const [document, setDocument] = useState<Json>(newest)
  const client = useQueryClient()
  const unsaved = document !== programme
  const begin = (from: DustProgramme): void => {
    setProgramme(from)
    setDocument(from)
  }
  // Another editor's version replaces what is shown, and never what is being edited.
  if (newest.version > programme.version && !unsaved) begin(newest)
  useUnsavedWarning(unsaved)
  const save = useMutation({
    mutationFn: (replaces: number) =>
      dust<DustProgramme>("/programme", "PUT", document, { "if-match": `"${replaces}"` }),
    onSuccess: (written) => {
      client.setQueryData(["dust", "programme"], written)
      begin(written)
      toast.success(`Version ${written.version} of the rules is in force`)
    },
  })
  const conflict = save.error instanceof DustError && save.error.status === 412
  const reload = (theirs: DustProgramme): void => {
    save.reset()
    client.setQueryData(["dust", "programme"], theirs)
    begin(theirs)
  }
  return (
    <ProgrammeContext.Provider key={programme.version} value={{ document, setDocument, error: save.error }}>
      <form
        className="divide-y"
        onSubmit={(event) => {
          event.preventDefault()
          save.mutate(programme.version)
        }}
      >
        <Earning />
        <Multipliers />
        <Redeeming />
        <Others />
        <div className="flex flex-col gap-y-4 px-6 py-4">
          {conflict && (
            <ProgrammeConflict mine={document} reload={reload} overwrite={({ version }) => save.mutate(version)} />
          )}
          {save.error && !conflict && <Alert variant="error">{notSaved(save.error)}</Alert>}
          <div className="flex items-center justify-between">
            <Text size="small" className="text-ui-fg-subtle">
              {origin(programme)} Orders that Dust has seen before keep the rules they met.
            </Text>
            <Button size="small" type="submit" isLoading={save.isPending} disabled={!unsaved}>
              Save
            </Button>
          </div>
        </div>
      </form>
    </ProgrammeContext.Provider>
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

function notSaved(error: Error): string {
  const wrong = error instanceof DustError ? (error.problem.errors?.length ?? 0) : 0
  if (wrong === 0) return error.message
  return wrong === 1 ? "Not saved: one field is wrong, see above." : `Not saved: ${wrong} fields are wrong, see above.`
}

function origin({ version, author, created_at: since }: DustProgramme): string {
  return since ? `Version ${version}, by ${author}, since ${moment(since)}.` : "These are the defaults."
}
