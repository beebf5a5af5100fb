import { MedusaError } from "@medusajs/framework/utils"

/** The oldest that was tried is 2.13.6. */
export const MIN_MEDUSA = "2.13.0"

/** The version of the shop's Medusa, such as `2.21.2`; undefined when it cannot be found out. */
export function medusaVersion(): string | undefined {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    return (require("@medusajs/medusa/package.json") as { version: string }).version
  } catch {
    return undefined
  }
}

/** Throws a `MedusaError` when the shop's Medusa is too old. One whose version is unknown may be new enough. */
export function requireMedusa(version = medusaVersion()): void {
  if (version && isTooOld(version)) {
    const reason = `medusa-plugin-dust needs Medusa ${MIN_MEDUSA} or later, and this is ${version}. Please update Medusa.`
    throw new MedusaError(MedusaError.Types.NOT_ALLOWED, reason)
  }
}

export function isTooOld(version: string): boolean {
  const [have, need] = [version, MIN_MEDUSA].map((text) => text.split(".").map((part) => Number.parseInt(part, 10)))
  for (const [place, part] of need.entries()) {
    if (have[place] !== part) return !(have[place] > part)
  }
  return false
}
