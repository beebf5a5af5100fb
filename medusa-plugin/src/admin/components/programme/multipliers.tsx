import { Button, Heading, Text } from "@medusajs/ui"
import type { ReactNode } from "react"
import type { DustMultiplier } from "../../../types"
import { DecimalAt, IdsAt, MomentAt, TextAt, useField } from "./fields"

const NEW: DustMultiplier = {
  name: "",
  factor: "2",
  product_ids: [],
  category_ids: [],
  collection_ids: [],
  customer_group_ids: [],
  starts_at: null,
  ends_at: null,
}

/** Actions such as a double week. */
export function Multipliers(): ReactNode {
  const { value: multipliers, set } = useField<DustMultiplier[]>("earn.multipliers")
  return (
    <div className="flex flex-col gap-y-4 px-6 py-4">
      <div className="flex items-center justify-between">
        <Heading level="h2">Multipliers</Heading>
        <Button size="small" variant="secondary" type="button" onClick={() => set([...multipliers, NEW])}>
          Add
        </Button>
      </div>
      {multipliers.length === 0 && (
        <Text size="small" className="text-ui-fg-subtle">
          None. A multiplier makes products, categories or everything earn more, or less, for a time.
        </Text>
      )}
      {multipliers.map((_, index) => (
        <Multiplier
          // Nothing else tells two of them apart; a removed one takes the fields of those after it along.
          key={`${multipliers.length}-${index}`}
          at={`earn.multipliers.${index}`}
        />
      ))}
    </div>
  )
}

function Multiplier({ at }: { at: string }): ReactNode {
  const { set } = useField<DustMultiplier>(at)
  return (
    <div className="bg-ui-bg-component shadow-elevation-card-rest flex flex-col gap-y-4 rounded-lg p-4">
      <div className="grid grid-cols-1 items-start gap-4 md:grid-cols-2">
        <TextAt at={`${at}.name`} label="Name" />
        <DecimalAt at={`${at}.factor`} label="Factor" hint="2 earns double." />
        <MomentAt at={`${at}.starts_at`} label="From" />
        <MomentAt at={`${at}.ends_at`} label="Until" />
        <IdsAt at={`${at}.product_ids`} label="Products" hint="Product ids, one in a line. None here and below: all." />
        <IdsAt at={`${at}.category_ids`} label="Categories" hint="Category ids, one in a line." />
      </div>
      <div className="flex justify-end">
        <Button size="small" variant="transparent" type="button" onClick={() => set(undefined)}>
          Remove
        </Button>
      </div>
    </div>
  )
}
