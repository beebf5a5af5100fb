import { setTimeout } from "node:timers/promises"

const WAITS_MS = [200, 1_000, 5_000]

/** Insert an event, up to four times when that fails. Throws the last error. */
export async function withRetries(work: () => Promise<void>): Promise<void> {
  for (const wait of WAITS_MS) {
    try {
      return await work()
    } catch {
      await setTimeout(wait)
    }
  }
  await work()
}
