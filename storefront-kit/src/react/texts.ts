import { formatMoney, formatPoints, localeOf } from "../format.js"
import { en, type Messages } from "../messages/en.js"
import type { DustError, PointsName, Programme } from "../types.js"

/** Messages that are one sentence; the others are tables of them. */
export type MessageKey = { [K in keyof Messages]: Messages[K] extends string ? K : never }[keyof Messages]
export type Texts = ReturnType<typeof createTexts>
/** A number is an amount of points, and is written with the word for them. */
type Values = Record<string, string | number>

interface TextOptions {
  locale: string
  currency?: string
  /** IANA time zone of all dates, so that server and browser write the same. */
  timeZone: string
  messages?: Partial<Messages>
  name?: PointsName
}

/** Sentences, numbers, money and dates in the language of the shop. */
export function createTexts({ locale: tag, currency, timeZone, messages, name }: TextOptions) {
  const locale = localeOf(tag)
  const sentences = withEnglish(messages)
  const isShopsOwn = name && (name.one !== en.one || name.many !== en.many)
  // A shop that chose no word has the default one, which is English.
  const { one, many } = isShopsOwn ? name : sentences

  function fill(template: string, values: Values = {}): string {
    const all: Values = { one, many, ...values }
    const text = template.replace(/\{(\w+)\}/g, (place, key: string) => {
      const value = all[key] ?? place
      return typeof value === "number" ? points(value) : value
    })
    return template.startsWith("{many}") ? text.charAt(0).toLocaleUpperCase(locale) + text.slice(1) : text
  }

  function points(amount: number): string {
    return formatPoints(amount, { one, many }, locale)
  }

  function date(iso: string, style: Intl.DateTimeFormatOptions = { dateStyle: "medium" }): string {
    return new Intl.DateTimeFormat(locale, { timeZone, ...style }).format(new Date(iso))
  }

  return {
    locale,
    currency,
    sentences,
    fill,
    t: (key: MessageKey, values?: Values): string => fill(sentences[key], values),
    points,
    number: (value: number): string => new Intl.NumberFormat(locale).format(value),
    /** With a sign. `Intl` puts it, and the marks that it needs from right to left, where the language has it. */
    signed: (value: number): string => new Intl.NumberFormat(locale, { signDisplay: "exceptZero" }).format(value),
    money: (amount: number | string, code = currency): string =>
      code ? formatMoney(amount, code, locale) : new Intl.NumberFormat(locale).format(Number(amount)),
    date,
    dateTime: (iso: string): string => date(iso, { dateStyle: "medium", timeStyle: "short" }),
    days: (value: number): string =>
      new Intl.NumberFormat(locale, { style: "unit", unit: "day", unitDisplay: "long" }).format(value),
    rule: (rule: string): string => fill(sentences.rules[rule] ?? rule),
    /** Dust's reason why a code is not ready. */
    reason: (sentence: string): string => fill(sentences.descriptions[sentence] ?? withShopsWords(sentence)),
    /** The sentence for a shopper: the catalogue's, else the API's with the shop's word for points. */
    error({ code, message, status = 0 }: Pick<DustError, "code" | "message" | "status">, values?: Values): string {
      // All other answers of the server have one sentence. Without one in the catalogue, as in English, the API's is shown.
      const known = sentences.errors[code] ?? (status >= 400 ? sentences.errors.unavailable : undefined)
      const sentence = known ?? (withShopsWords(message) || sentences.errors.unreachable)
      return fill(sentence?.replace(/^Points\b/, "{many}") ?? "", values)
    },
  }
}

/** The sentences of a catalogue, and the English ones that it does not have. */
function withEnglish(messages: Partial<Messages> = {}): Messages {
  const given = messages as Record<string, string | object | undefined>
  const all = Object.entries(en).map(([key, english]) => [
    key,
    typeof english === "string" ? (given[key] ?? english) : { ...english, ...(given[key] as object) },
  ])
  return Object.fromEntries(all) as Messages
}

/** The shop's word for points; undefined while the programme is not known. */
export function wordOf(programme: Programme | undefined): PointsName | undefined {
  return programme && { one: programme.name.one ?? "point", many: programme.name.many ?? "points" }
}

/** The shop's time zone. UTC while the programme is not known, and for a zone that this browser does not know. */
export function zoneOf(programme: Programme | undefined): string {
  const timeZone = programme?.time_zone ?? "UTC"
  try {
    Intl.DateTimeFormat("en", { timeZone })
    return timeZone
  } catch {
    return "UTC"
  }
}

/** A sentence of the API, which speaks of points, with places for the shop's words. */
function withShopsWords(message: string): string {
  return message.replace(/\bpoints\b/g, "{many}").replace(/\bpoint\b/g, "{one}")
}
