const known = new Map<string, ReturnType<typeof formatsFor>>()

function formatsFor(language: string | undefined, timeZone: string | undefined) {
  return {
    number: new Intl.NumberFormat(language),
    // With the marks that a sign needs from right to left.
    signed: new Intl.NumberFormat(language, { signDisplay: "exceptZero" }),
    day: new Intl.DateTimeFormat(language, { dateStyle: "medium", timeZone }),
    moment: new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone }),
  }
}

/**
 * The dashboard's language, which Medusa sets on its page (2.21.2), as the user's country writes it: `en-GB` for an English
 * dashboard in a British browser. Undefined, for the browser's own, where Medusa sets none.
 */
function language(): string | undefined {
  const code = globalThis.document?.documentElement.lang
  if (!code) return undefined
  return globalThis.navigator?.languages?.find((preferred) => preferred.split("-")[0] === code) ?? code
}

function formats(timeZone?: string) {
  const code = language()
  const key = `${code} ${timeZone}`
  const localFormats = known.get(key) ?? formatsFor(code, timeZone)
  known.set(key, localFormats)
  return localFormats
}

/** Dust with thousands separated. */
export function shown(dust: number): string {
  return formats().number.format(dust)
}

/** An amount of money such as `1234.50`, with thousands separated and the decimals that it came with. */
export function amount(text: string): string {
  const decimals = text.split(".")[1]?.length ?? 0
  return Number(text).toLocaleString(language(), { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

/** Dust with its sign. */
export function signed(dust: number): string {
  return formats().signed.format(dust)
}

/** A number for a text with a plural: to count by, and as it is shown. */
export function numbered(count: number): { count: number; shown: string } {
  return { count, shown: shown(count) }
}

/** A day in a time zone; in the browser's without one. */
export function day(iso: string, timeZone?: string): string {
  return formats(timeZone).day.format(new Date(iso))
}

export function moment(iso: string, timeZone?: string): string {
  return formats(timeZone).moment.format(new Date(iso))
}
