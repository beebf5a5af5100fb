import { de } from "./messages/de"
import { en } from "./messages/en"

const MESSAGES = { en, de }
const LOCALES = { en: "en-IE", de: "de-DE" }

export type Language = keyof typeof MESSAGES
export type Texts = ReturnType<typeof textsIn>

/** The first language of an `Accept-Language` header that the shop has. Browsers send the preferred one first. */
export function languageOf(header: string | null): Language {
  const wanted = (header ?? "").split(",").map((tag) => tag.trim().toLowerCase().replace(/[-;].*/, ""))
  return wanted.find((tag): tag is Language => tag in MESSAGES) ?? "en"
}

/** Texts, money and dates in a language. */
export function textsIn(language: Language) {
  const locale = LOCALES[language]
  return {
    ...MESSAGES[language],
    language,
    locale,
    /** An amount in major units, as Medusa gives it. */
    money: (amount: number, currencyCode: string): string =>
      new Intl.NumberFormat(locale, { style: "currency", currency: currencyCode.toUpperCase() }).format(amount),
    date: (date: string | Date): string =>
      new Intl.DateTimeFormat(locale, { dateStyle: "long", timeZone: "UTC" }).format(new Date(date)),
    /** The name of a country by its code, such as `dk`. */
    countryName: (code: string): string => new Intl.DisplayNames(locale, { type: "region" }).of(code.toUpperCase()) ?? code,
  }
}
