import { chooseRegion } from "@/lib/actions"
import { getTexts } from "@/lib/language"
import { getRegion, listRegions } from "@/lib/shop"
import { AutoForm } from "./auto-form"

export async function RegionSelect() {
  const [t, regions, region] = await Promise.all([getTexts(), listRegions(), getRegion()])
  return (
    <AutoForm action={chooseRegion} submit={t.choose} className="region" about={region.id}>
      <label>
        {t.deliverTo} {/* The key shows the region of the last render, also where the choice was refused. */}
        <select name="region_id" defaultValue={region.id} key={region.id}>
          {regions.map(({ id, name, currency_code }) => (
            <option key={id} value={id}>
              {name} ({currency_code.toUpperCase()})
            </option>
          ))}
        </select>
      </label>
    </AutoForm>
  )
}
