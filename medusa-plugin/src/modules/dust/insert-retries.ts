import { setTimeout } from "node:timers/promises"

const WAITS_MS = [200, 1_000, 5_000]

/** Do work on the database, up to four times when that fails. Throws the last error. */
export async function withRetries<T>(work: () => Promise<T>): Promise<T> {
  for (const wait of WAITS_MS) {
    try {
      return await work()
    } catch {
      await setTimeout(wait)
    }
  }
  return work()
}
