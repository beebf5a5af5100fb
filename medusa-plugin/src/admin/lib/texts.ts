import { useTranslation } from "react-i18next"

export type Translate = (key: string, values?: Record<string, string | number>) => string

/** The plugin's texts in the language of the dashboard. */
export function useTexts(): Translate {
  // React escapes what it shows; i18next would escape it a second time.
  const { t } = useTranslation("dust")
  return (key, values) => String(t(key, { ...values, interpolation: { escapeValue: false } }))
}
