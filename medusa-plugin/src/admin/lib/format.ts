const NUMBER = new Intl.NumberFormat()
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" })
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" })

/** Dust with thousands separated. */
export function shown(dust: number): string {
  return NUMBER.format(dust)
}

/** An amount of money such as `1234.50`, with thousands separated and the decimals that it came with. */
export function amount(text: string): string {
  const decimals = text.split(".")[1]?.length ?? 0
  return Number(text).toLocaleString(undefined, { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

/** Dust with its sign. */
export function signed(dust: number): string {
  return dust > 0 ? `+${shown(dust)}` : shown(dust)
}

/** A number for a text with a plural: to count by, and as it is shown. */
export function numbered(count: number): { count: number; shown: string } {
  return { count, shown: shown(count) }
}

export function day(iso: string): string {
  return DAY.format(new Date(iso))
}

export function moment(iso: string): string {
  return MOMENT.format(new Date(iso))
}
