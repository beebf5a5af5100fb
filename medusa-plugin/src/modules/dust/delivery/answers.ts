import { backoff } from "./backoff"

/**
 * What an attempt means. `unavailable`: no event can be delivered now. `rescheduled`: this event is tried
 * again after `seconds`.
 */
export type Verdict =
  | { kind: "delivered" }
  | { kind: "unavailable" }
  | { kind: "rescheduled"; seconds: number }
  | { kind: "rejected" }

// The bridge, or a proxy before it, is down or busy; or the bridge has another secret; or it is not the bridge at all. An
// operator who fixes the settings should not have to send events again by hand.
const UNAVAILABLE = new Set([401, 403, 404, 405, 408, 429, 502, 503, 504])

/** `status` is null when no answer came. */
export function verdict(status: number | null, attempts: number, random: () => number = Math.random): Verdict {
  if (status === null || UNAVAILABLE.has(status) || (status >= 300 && status < 400)) return { kind: "unavailable" }
  if (status >= 200 && status < 300) return { kind: "delivered" }
  if (status >= 400 && status < 500) return { kind: "rejected" }
  // An error inside the bridge may be about this event only: others must not wait for it.
  return { kind: "rescheduled", seconds: backoff(attempts, random) }
}
