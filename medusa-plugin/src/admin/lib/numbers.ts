// What copied text brings along: a no-break space, or an invisible mark of a page from right to left.
const AROUND = /^[\s\p{Cf}]+|[\s\p{Cf}]+$/gu
const DIGIT = /\p{Nd}/u

/** The text with the minus, the decimal sign and the digits of every language as English writes them. */
function plain(typed: string): string {
  const text = typed.replace(AROUND, "").replace(/\u2212/g, "-").replace(/\u066b/g, ".")
  return text.replace(/\p{Nd}/gu, valueOf)
}

/** The value of a digit. Unicode has the ten digits of a script in their order, after something else or the ten of another. */
function valueOf(digit: string): string {
  const code = digit.codePointAt(0) ?? 0
  let value = 0
  while (DIGIT.test(String.fromCodePoint(code - value - 1))) value++
  return String(value % 10)
}

/** A whole number, for the server; anything else goes as it is, so that the server can say what is wrong with it. */
export function wholeNumber(typed: string): number | string {
  const text = plain(typed)
  return /^[+-]?\d+$/.test(text) ? Number(text) : typed
}

/**
 * A number with places, for the server: `1,5` as `1.5`. What may have thousands separated, such as `1.000`, goes as
 * `1,000`, which the server refuses.
 */
export function decimalNumber(typed: string): string {
  const text = plain(typed)
  if (mayHaveThousands(text)) return text.replace(/\./g, ",")
  return /^[+-]?\d*,\d+$/.test(text) ? text.replace(",", ".") : text
}

/** For `1.000` and `1,000` how to write it: `1000`, or `1.0000` with the separator as it was typed. Undefined for others. */
export function readings(typed: string): { typed: string; whole: string; places: string } | undefined {
  const text = plain(typed)
  if (!mayHaveThousands(text) || text.split(/[.,]/).length > 2) return undefined
  return { typed: text, whole: text.replace(/[.,]/, ""), places: `${text}0` }
}

function mayHaveThousands(text: string): boolean {
  return /^[+-]?[1-9]\d{0,2}([.,]\d{3})+$/.test(text)
}
