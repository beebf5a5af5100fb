import { useTranslation } from "react-i18next"
import { shown } from "./format"

export type Translate = (key: string, values?: Record<string, string | number>) => string

/** Points for a text: as a number with its word, such as `1 point`, and as the number that chooses the text's plural. */
export function counted(points: number, t: Translate): { count: number; points: string } {
  return { count: points, points: t("general.points", { count: points }) }
}

/** The plugin's texts in the language of the dashboard. A `count` chooses the plural, and is shown as other numbers are. */
export function useTexts(): Translate {
  const { t } = useTranslation("dust")
  return (key, values) => {
    const count = values?.count
    const replace = typeof count === "number" ? { ...values, count: shown(count) } : values
    // React escapes what it shows; i18next would escape it a second time.
    return String(t(key, { ...values, ...(replace && { replace }), interpolation: { escapeValue: false } }))
  }
}
