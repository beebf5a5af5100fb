import type { MessageKey } from "./texts.js"

type ParsedPoints = { points: number; problem?: undefined } | { points?: undefined; problem: MessageKey }

interface Limits {
  min: number
  max: number
  available: number
}

/**
 * Read what a shopper typed. "1,200" is 1,200 in English and "1.200" in German; "1.5", "", "-5", "0" and too much have a
 * sentence that says what to do.
 */
export function parsePoints(text: string, { min, max, available }: Limits, locale: string): ParsedPoints {
  const group = new Intl.NumberFormat(locale).formatToParts(1_234_567).find(({ type }) => type === "group")?.value
  // With what is copied along: spaces, and the invisible marks of pages from right to left.
  let digits = text.replace(/[\s'’\p{Cf}]/gu, "").replace(/\u2212/g, "-").replace(/\p{Nd}/gu, valueOf)
  if (!digits) return { problem: "formEmpty" }
  const parts = group?.trim() ? digits.split(group) : [digits]
  // India writes 1,20,000.
  if (/^[-+]?\d+(,\d{2,3})*,\d{3}$/.test(parts.join())) digits = parts.join("")
  if (!/^[-+]?\d+$/.test(digits)) return { problem: "formWhole" }
  const points = Number(digits)
  if (points < min) return { problem: "formMin" }
  if (points <= max) return { points }
  return { problem: points > available ? "formMaxBalance" : "formMax1" }
}

/** A step for the slider that gives round numbers and about a hundred positions: 10 for 1 to 1,200. */
export function sliderStep(min: number, max: number): number {
  return 10 ** Math.max(0, Math.floor(Math.log10((max - min) / 20)))
}

/** Up to three round amounts between the least and the most. */
export function quickAmounts(min: number, max: number): number[] {
  const step = sliderStep(min, max)
  const round = [0.25, 0.5, 0.75].map((part) => Math.round((max * part) / step) * step)
  return [...new Set(round)].filter((points) => points > min && points < max)
}

/** The value of a digit of any language. Unicode has the ten digits of a script in their order. */
function valueOf(digit: string): string {
  const code = digit.codePointAt(0) ?? 0
  let value = 0
  while (/\p{Nd}/u.test(String.fromCodePoint(code - value - 1))) value++
  return String(value % 10)
}
