/** What to do with an event after an attempt. `seconds` is the wait before the next one. */
export type Verdict = { kind: "delivered" } | { kind: "postponed"; seconds: number } | { kind: "rejected" }

const FIRST_WAIT_SECONDS = 1
const LONGEST_WAIT_SECONDS = 60
const MISCONFIGURED_WAIT_SECONDS = 300

// Said by a bridge with another secret, or by something that is not the bridge: the event is good, and an operator who
// mends the settings should not have to send it again by hand.
const MISCONFIGURED = new Set([401, 403, 404])
// Request timeout and too many requests: 4xx by number, but about this moment and not about this event.
const PASSING = new Set([408, 429])

/** `status` is null when no answer came. */
export function verdict(status: number | null, attempts: number, random: () => number = Math.random): Verdict {
  if (status !== null && status >= 200 && status < 300) return { kind: "delivered" }
  if (status !== null && (MISCONFIGURED.has(status) || (status >= 300 && status < 400))) {
    return { kind: "postponed", seconds: jittered(MISCONFIGURED_WAIT_SECONDS, random) }
  }
  if (status !== null && status >= 400 && status < 500 && !PASSING.has(status)) return { kind: "rejected" }
  return { kind: "postponed", seconds: backoff(attempts, random) }
}

/**
 * 1, 2, 4, 8, 16, 32, then always 60 seconds, each shortened by up to a half at random, so that a thousand events that
 * failed together do not all come back together.
 */
export function backoff(attempts: number, random: () => number = Math.random): number {
  return jittered(Math.min(FIRST_WAIT_SECONDS * 2 ** (attempts - 1), LONGEST_WAIT_SECONDS), random)
}

function jittered(seconds: number, random: () => number): number {
  return seconds * (1 - random() / 2)
}
