import { createDataTableFilterHelper, type DataTableFilter } from "@medusajs/ui"
import type { DustProgramme } from "../../../types"
import type { MemberRow } from "../../lib/members"
import { useTexts } from "../../lib/texts"

const filter = createDataTableFilterHelper<MemberRow & { negative: string }>()

/** By tier, when the programme has tiers, and by a balance below zero. */
export function useMemberFilters(programme?: DustProgramme): DataTableFilter[] {
  const t = useTexts()
  const tiers = programme?.tiers.levels.map(({ name }) => ({ label: name, value: name })) ?? []
  return [
    ...(tiers.length ? [filter.accessor("tier", { type: "radio", label: t("members.tier"), options: tiers })] : []),
    filter.accessor("negative", {
      type: "radio",
      label: t("members.balance"),
      options: [{ label: t("members.negative"), value: "true" }],
    }),
  ]
}
