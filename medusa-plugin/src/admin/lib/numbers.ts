// What copied text brings along: a no-break space, or an invisible mark of a page from right to left.
const AROUND = /^[\s\p{Cf}]+|[\s\p{Cf}]+$/gu

/** A whole number, for the server; anything else goes as it is, so that the server can say what is wrong with it. */
export function wholeNumber(typed: string): number | string {
  const text = typed.replace(AROUND, "")
  return /^[+-]?\d+$/.test(text) ? Number(text) : typed
}

/**
 * A number with places, for the server: `1,5` as `1.5`. What may have thousands separated, such as `1.000`, goes as
 * `1,000`, which the server refuses.
 */
export function decimalNumber(typed: string): string {
  const text = typed.replace(AROUND, "")
  if (mayHaveThousands(text)) return text.replace(/\./g, ",")
  return /^[+-]?\d*,\d+$/.test(text) ? text.replace(",", ".") : text
}

/** For `1.000` and `1,000` how to write it: `1000`, or `1.0000` with the separator as it was typed. Undefined for others. */
export function readings(typed: string): { typed: string; whole: string; places: string } | undefined {
  const text = typed.replace(AROUND, "")
  if (!mayHaveThousands(text) || text.split(/[.,]/).length > 2) return undefined
  return { typed: text, whole: text.replace(/[.,]/, ""), places: `${text}0` }
}

function mayHaveThousands(text: string): boolean {
  return /^[+-]?[1-9]\d{0,2}([.,]\d{3})+$/.test(text)
}
