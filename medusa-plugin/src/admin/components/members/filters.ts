import { createDataTableFilterHelper, type DataTableFilter } from "@medusajs/ui"
import type { DustProgramme } from "../../../types"
import { shown } from "../../lib/format"
import { ACTIVITIES, BALANCES, type MemberRow } from "../../lib/members"
import { useTexts } from "../../lib/texts"

const filter = createDataTableFilterHelper<MemberRow>()

/** By tier, when the programme has tiers, by balance and by last activity. */
export function useMemberFilters(programme?: DustProgramme): DataTableFilter[] {
  const t = useTexts()
  const tiers = programme?.tiers.levels.map(({ name }) => ({ label: name, value: name })) ?? []
  const balances = Object.entries(BALANCES).map(([value, { min = 0, max = 0 }]) => ({
    label: t(`members.balances.${value}`, { min: shown(min), max: shown(max) }),
    value,
  }))
  const activities = Object.entries(ACTIVITIES).map(([value, { within, before }]) => ({
    label: t(`members.${within ? "within" : "before"}`, { days: shown(within ?? before ?? 0) }),
    value,
  }))
  return [
    ...(tiers.length ? [filter.accessor("tier", { type: "radio", label: t("members.tier"), options: tiers })] : []),
    filter.accessor("balance", { type: "radio", label: t("members.balance"), options: balances }),
    filter.accessor("last_activity", { type: "radio", label: t("members.lastActivity"), options: activities }),
  ]
}
