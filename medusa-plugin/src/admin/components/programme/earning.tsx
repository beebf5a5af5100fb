import type { ReactNode } from "react"
import type { Json } from "../../lib/document"
import { useTexts } from "../../lib/texts"
import { SwitchField } from "../switch-field"
import { ByCurrencyAt } from "./by-currency"
import { EarnExample } from "./examples"
import { ChoiceAt, DecimalAt, MomentAt, SwitchAt, TextAt, TimeZoneAt, useField, WholeAt } from "./fields"
import { ListAt } from "./list"
import { ProductAt, RecordsAt } from "./picker"
import { Columns, Section } from "./section"

const NEW_FIXED = { product_id: "", dust: 100 }
const NEW_LIMIT = { dust: 1000, days: 30 }
const NEW_MULTIPLIER = {
  name: "",
  factor: "2",
  product_ids: [],
  category_ids: [],
  collection_ids: [],
  customer_group_ids: [],
  starts_at: null,
  ends_at: null,
}

export function EarningRules(): ReactNode {
  const t = useTexts()
  return (
    <Section title={t("rules.section.earning")}>
      <Columns>
        <ByCurrencyAt at="earn.rates" />
        <ChoiceAt at="earn.when" choices={["order.placed", "payment.captured", "order.completed"]} />
        <EarnExample />
        <ChoiceAt at="earn.rounding" choices={["floor", "half_up", "ceiling"]} />
        <SwitchAt at="earn.basis.include_tax" />
        <SwitchAt at="earn.basis.include_shipping" />
        <SwitchAt at="earn.basis.include_credit" />
        <SwitchAt at="earn.pending_until_paid" />
        <WholeAt at="earn.pending_days" />
        <WholeAt at="earn.expires_after_days" />
        <WholeAt at="earn.expiry_notice_days" />
        <TimeZoneAt at="time_zone" />
      </Columns>
      <Columns>
        <RecordsAt at="earn.excluded_product_ids" kind="products" />
        <RecordsAt at="earn.excluded_category_ids" kind="categories" />
        <RecordsAt at="earn.excluded_collection_ids" kind="collections" />
      </Columns>
      <Columns>
        <WholeAt at="earn.limits.per_order" />
        <WholeAt at="earn.limits.per_day" />
        <WindowLimit />
      </Columns>
      <ListAt at="earn.fixed" blank={NEW_FIXED}>
        {(at) => (
          <>
            <ProductAt at={`${at}.product_id`} />
            <WholeAt at={`${at}.dust`} />
          </>
        )}
      </ListAt>
      <ListAt at="earn.multipliers" blank={NEW_MULTIPLIER}>
        {(at) => (
          <>
            <TextAt at={`${at}.name`} />
            <DecimalAt at={`${at}.factor`} />
            <EarnExample factorAt={`${at}.factor`} />
            <MomentAt at={`${at}.starts_at`} />
            <MomentAt at={`${at}.ends_at`} />
            <RecordsAt at={`${at}.product_ids`} kind="products" />
            <RecordsAt at={`${at}.category_ids`} kind="categories" />
            <RecordsAt at={`${at}.collection_ids`} kind="collections" />
            <RecordsAt at={`${at}.customer_group_ids`} kind="customer_groups" />
          </>
        )}
      </ListAt>
    </Section>
  )
}

/** The limit over a number of days, with both numbers or not at all. */
function WindowLimit(): ReactNode {
  const at = "earn.limits.per_customer"
  const { value, set, frame } = useField<Json>(at)
  return (
    <>
      <SwitchField {...frame} checked={value !== null} onChange={(checked) => set(checked ? NEW_LIMIT : null)} />
      {value !== null && (
        <Columns>
          <WholeAt at={`${at}.dust`} />
          <WholeAt at={`${at}.days`} />
        </Columns>
      )}
    </>
  )
}
