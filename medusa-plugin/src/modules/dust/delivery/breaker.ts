import { backoff } from "./backoff"

/**
 * A circuit breaker for the bridge. It is open from an attempt in which the bridge was unavailable until one that succeeds.
 * While it is open, one attempt is made at a time, after a wait that doubles up to a minute.
 */
export class Breaker {
  private failures = 0
  private openSince = 0
  private retryAt = 0

  // Not the time of day: when that is set back, no event would be sent until it has come again.
  constructor(private readonly now: () => number = () => performance.now()) {}

  get isOpen(): boolean {
    return this.failures > 0
  }

  /** Whether the wait is over. */
  get mayTry(): boolean {
    return this.now() >= this.retryAt
  }

  /**
   * Note that the bridge is unavailable. True when it was available before. During a wait nothing changes: those attempts
   * had begun before it.
   */
  fail(): boolean {
    const opened = !this.isOpen
    if (!opened && !this.mayTry) return false
    if (opened) this.openSince = this.now()
    this.failures += 1
    this.retryAt = this.now() + 1000 * backoff(this.failures)
    return opened
  }

  /** Note that the bridge is available. The seconds for which it was not, or undefined when it was. */
  close(): number | undefined {
    if (!this.isOpen) return undefined
    this.failures = 0
    this.retryAt = 0
    return (this.now() - this.openSince) / 1000
  }

  /** Let the next attempt be made at once. */
  tryNow(): void {
    this.retryAt = 0
  }
}
