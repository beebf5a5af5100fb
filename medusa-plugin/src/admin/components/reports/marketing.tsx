import { Text } from "@medusajs/ui"
import { useState, type ReactNode } from "react"
import type { DustMarketing } from "../../../types"
import { amount, shown } from "../../lib/format"
import { amountsOf, dayOf, monthOf, percent } from "../../lib/report-texts"
import { useTexts } from "../../lib/texts"
import { BarChart } from "../bar-chart"
import { DateField } from "../field"
import { Figures } from "../figures"
import { Report } from "./report"

type Month = DustMarketing["months"][number]

/** Who buys and redeems, what referrals bring and what the programme costs, in a period and by month. */
export function MarketingReport(): ReactNode {
  const t = useTexts()
  const [from, setFrom] = useState<Date | null>(null)
  const [to, setTo] = useState<Date | null>(null)
  return (
    <Report<DustMarketing, Month>
      name="marketing"
      query={{ ...(from && { from: dayOf(from) }), ...(to && { to: dayOf(to) }) }}
      rowsOf={({ total, months }) => (total.active_members ? [...months].reverse() : [])}
      columns={(months) => [
        { label: t("reports.month"), value: ({ month }) => monthOf(month), text: true },
        { label: t("marketing.activeMembers"), value: (month) => shown(month.active_members) },
        { label: t("marketing.redeeming"), value: (month) => shown(month.redeeming_members) },
        { label: t("marketing.orders"), value: (month) => shown(month.orders) },
        { label: t("marketing.issued"), value: (month) => shown(month.points_issued) },
        { label: t("marketing.spent"), value: (month) => shown(month.points_spent) },
        ...currenciesOf(months).flatMap((code) => {
          const currency = code.toUpperCase()
          const money = (month: Month): Month["money"][number] | undefined =>
            month.money.find(({ currency_code }) => currency_code === code)
          return [
            { label: t("marketing.revenue", { currency }), value: (month: Month) => amount(money(month)?.revenue ?? "0") },
            { label: t("marketing.cost", { currency }), value: (month: Month) => amount(money(month)?.cost ?? "0") },
          ]
        }),
      ]}
      empty={t("marketing.empty")}
      figures={(report) => (
        <>
          <MarketingFigures total={report.total} />
          <Text size="small" className="text-ui-fg-subtle px-6 pb-4">
            {t("marketing.notCausal")}
          </Text>
          <MarketingCharts months={report.months} />
        </>
      )}
    >
      <DateField label={t("marketing.from")} hint={t("marketing.fromHint")} value={from} maxValue={to ?? undefined} onChange={setFrom} />
      <DateField label={t("marketing.to")} hint={t("marketing.toHint")} value={to} minValue={from ?? undefined} onChange={setTo} />
    </Report>
  )
}

function MarketingFigures({ total }: { total: DustMarketing["total"] }): ReactNode {
  const t = useTexts()
  const repeat = ({ repeaters, buyers }: DustMarketing["total"]["others"]): string =>
    t("marketing.repeatHint", { repeaters: shown(repeaters), buyers: shown(buyers) })
  const average = (money: string | null): string => (money === null ? "–" : amount(money))
  return (
    <Figures
      figures={[
        {
          label: t("marketing.activeMembers"),
          value: shown(total.active_members),
          hint: t("marketing.activeMembersHint"),
        },
        {
          label: t("marketing.redeeming"),
          value: shown(total.redeeming_members),
          hint: t("marketing.redeemingHint", { share: percent(total.redeeming_share) }),
        },
        {
          label: t("marketing.redemptionRate"),
          value: percent(total.redemption_rate),
          hint: t("marketing.redemptionRateHint", {
            spent: shown(total.points_spent),
            issued: shown(total.points_issued),
          }),
        },
        {
          label: t("marketing.repeatRedeemers"),
          value: percent(total.redeemers.repeat_rate),
          hint: repeat(total.redeemers),
        },
        { label: t("marketing.repeatOthers"), value: percent(total.others.repeat_rate), hint: repeat(total.others) },
        ...total.money.flatMap((money) => {
          const currency = money.currency_code.toUpperCase()
          return [
            {
              label: t("marketing.revenue", { currency }),
              value: amount(money.revenue),
              hint: t("marketing.revenueHint"),
            },
            { label: t("marketing.basketRedeemers", { currency }), value: average(money.basket_redeemers) },
            { label: t("marketing.basketOthers", { currency }), value: average(money.basket_others) },
            {
              label: t("marketing.referrals", { currency }),
              value: amount(money.referral_revenue),
              hint: t("marketing.referralsHint", { count: money.referral_orders }),
            },
            {
              label: t("marketing.cost", { currency }),
              value: amount(money.cost),
              hint: t("marketing.costHint", { share: percent(money.cost_share) }),
            },
          ]
        }),
      ]}
    />
  )
}

function MarketingCharts({ months }: { months: Month[] }): ReactNode {
  const t = useTexts()
  const periods = months.map(({ month }) => monthOf(month))
  return (
    <>
      <BarChart
        label={t("chart.members")}
        periods={periods}
        series={[
          { label: t("marketing.activeMembers"), values: months.map((month) => month.active_members) },
          { label: t("marketing.redeeming"), values: months.map((month) => month.redeeming_members) },
        ]}
      />
      {currenciesOf(months).map((code) => {
        const currency = code.toUpperCase()
        return (
          <BarChart
            key={code}
            label={t("chart.revenue", { currency })}
            periods={periods}
            series={[
              { label: t("marketing.revenue", { currency }), values: amountsOf(months, code, "revenue") },
              { label: t("marketing.cost", { currency }), values: amountsOf(months, code, "cost") },
            ]}
          />
        )
      })}
    </>
  )
}

function currenciesOf(months: Month[]): string[] {
  return [...new Set(months.flatMap(({ money }) => money.map(({ currency_code }) => currency_code)))].sort()
}
