const NUMBER = new Intl.NumberFormat()
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" })

/** Dust with thousands separated. */
export function shown(dust: number): string {
  return NUMBER.format(dust)
}

/** Dust with its sign. */
export function signed(dust: number): string {
  return dust > 0 ? `+${shown(dust)}` : shown(dust)
}

/** `1 customer`, `2 customers`. */
export function counted(count: number, thing: string): string {
  return `${shown(count)} ${thing}${count === 1 ? "" : "s"}`
}

export function moment(iso: string): string {
  return MOMENT.format(new Date(iso))
}
