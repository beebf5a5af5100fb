import type { Logger } from "@medusajs/framework/types"
import { signedHeaders } from "../../../lib/signature"
import type { ReadOptions } from "../options"
import type DustModuleService from "../service"
import type { OutgoingEvent } from "../service"
import { verdict } from "./answers"
import { backoff } from "./backoff"
import { Breaker } from "./breaker"

// Few enough to leave Medusa its database connections, enough that one slow answer does not hold up the rest.
const AT_ONCE = 4
const ATTEMPT_TIMEOUT_MS = 10_000
const PROBE_TIMEOUT_MS = 5_000
// How often to look for events whose wait is over, or that another process has kept.
const LOOK_AGAIN_MS = 1_000
// What a proxy answers for a server that is down.
const PROXY_ERRORS = new Set([502, 503, 504])
// The bridge takes no body over 1 MiB; without its snapshot an event is small, and the bridge fetches the order itself.
const LARGEST_BODY_BYTES = 1_000_000
const MAX_REASON_CHARACTERS = 500

type Destination = Pick<ReadOptions, "bridge" | "key">

/** Gives the data of an event as it is sent: with the order, as it is now. */
type Snapshot = (event: OutgoingEvent) => Promise<Record<string, unknown>>

/** Carries events from the outbox to the bridge, in the background, for as long as this process lives. */
export class Courier {
  private readonly stopping = new AbortController()
  private inFlight = new Set<Promise<void>>()
  private readonly breaker = new Breaker()
  private isReadable = true
  private delivered = 0
  /** Events for which the bridge was unavailable: how many had been delivered when that began. Below 0: it fails alone. */
  private readonly unanswered = new Map<string, number>()
  private resume: () => void = () => undefined

  constructor(
    private readonly outbox: DustModuleService,
    private readonly snapshot: Snapshot,
    private readonly destination: Destination,
    private readonly logger: Logger,
  ) {}

  start(): void {
    void this.run()
  }

  /** Take no new event and abort the calls in flight: a bridge that does not answer must not delay a restart. */
  async stop(): Promise<void> {
    this.stopping.abort()
    this.wake()
    await Promise.all(this.inFlight)
  }

  /** There may be something to do now. */
  wake(): void {
    this.resume()
  }

  /** As `wake`, also while the bridge is unavailable and the next attempt would be made later. */
  sendNow(): void {
    this.breaker.tryNow()
    this.wake()
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const woken = this.nextWake()
      try {
        if (await this.sendSome()) continue
      } catch (error) {
        if (this.isReadable) this.logger.warn(`dust: the outbox cannot be read: ${(error as Error).message}`)
        this.isReadable = false
      }
      await woken
    }
  }

  /** True when there may be more to send at once. */
  private async sendSome(): Promise<boolean> {
    if (!this.breaker.isOpen) return this.sendDue()
    if (!this.breaker.mayTry || this.inFlight.size) return false
    return this.tryAgain()
  }

  /** After a wait: when the bridge answers at all, one event. Its body is built only then. True when it was delivered. */
  private async tryAgain(): Promise<boolean> {
    const reason = await this.probe()
    if (reason) {
      this.noteUnavailable(reason)
      return false
    }
    const [event] = await this.claim(1)
    if (event) await this.begin(event)
    else this.noteAvailable()
    return !this.breaker.isOpen
  }

  /** Start an attempt for each event that is due and for which there is room. True when there may be more of them. */
  private async sendDue(): Promise<boolean> {
    const room = AT_ONCE - this.inFlight.size
    const events = room > 0 ? await this.claim(room) : []
    for (const event of events) void this.begin(event)
    return events.length > 0 && this.inFlight.size < AT_ONCE
  }

  private async claim(limit: number): Promise<OutgoingEvent[]> {
    const events = await this.outbox.claim(limit)
    if (!this.isReadable) this.logger.info("dust: the outbox can be read again")
    this.isReadable = true
    return events
  }

  private begin(event: OutgoingEvent): Promise<void> {
    const attempt = this.attempt(event).finally(() => {
      this.inFlight.delete(attempt)
      this.wake()
    })
    this.inFlight.add(attempt)
    return attempt
  }

  /** Does not throw. If the result cannot be stored, the event is sent again when its lease has expired. */
  private async attempt(event: OutgoingEvent): Promise<void> {
    try {
      await this.attemptOnce(event)
    } catch (error) {
      this.logger.warn(`dust: ${event.type} ${event.id} could not be settled: ${(error as Error).message}`)
    }
  }

  private async attemptOnce(event: OutgoingEvent): Promise<void> {
    let body: string
    try {
      body = await this.body(event)
    } catch (error) {
      // Medusa's own trouble with this order: the bridge is not concerned.
      await this.reschedule(event, backoff(event.attempts), `Its order cannot be read: ${(error as Error).message}`)
      return
    }
    const { status, reason } = await this.send(event, body)
    const next = verdict(status, event.attempts)
    if (next.kind !== "unavailable") {
      this.unanswered.delete(event.id)
      this.noteAvailable()
    }
    if (next.kind === "delivered") {
      this.delivered += 1
      await this.outbox.markDelivered(event.id)
    } else if (next.kind === "unavailable") {
      if (await this.failsAlone(event, reason)) return
      if (!this.stopping.signal.aborted) this.noteUnavailable(reason)
      // Due again at once: the breaker waits for all events.
      await this.outbox.reschedule(event, 0, reason)
    } else if (next.kind === "rescheduled") {
      await this.reschedule(event, next.seconds, reason)
    } else {
      await this.outbox.reject(event, reason)
      this.logger.warn(`dust: the bridge rejects ${event.type} ${event.id}: ${reason}`)
    }
  }

  /**
   * Whether others were delivered since the bridge was unavailable for this event, such as one that a firewall refuses.
   * Then it gets a delay of its own, so that no other event waits for it.
   */
  private async failsAlone(event: OutgoingEvent, reason: string): Promise<boolean> {
    const before = this.unanswered.get(event.id) ?? this.delivered
    const alone = before < this.delivered
    this.unanswered.set(event.id, alone ? -1 : before)
    if (!alone) return false
    await this.outbox.reschedule(event, backoff(event.attempts), reason)
    if (before >= 0) {
      this.logger.warn(`dust: ${event.type} ${event.id} fails while others are delivered, and is tried again from time to time: ${reason}`)
    }
    return true
  }

  private async reschedule(event: OutgoingEvent, seconds: number, reason: string): Promise<void> {
    await this.outbox.reschedule(event, seconds, reason)
    if (event.attempts === 1) {
      this.logger.warn(`dust: ${event.type} ${event.id} fails and is tried again from time to time: ${reason}`)
    }
  }

  private noteUnavailable(reason: string): void {
    if (this.breaker.fail()) {
      this.logger.warn(`dust: the bridge is unavailable, and events wait in the outbox: ${reason}`)
    }
  }

  private noteAvailable(): void {
    const seconds = this.breaker.close()
    if (seconds !== undefined) {
      this.logger.info(`dust: the bridge is available again after ${Math.round(seconds)} s`)
    }
  }

  /** Why the bridge is unavailable; undefined when it gives any answer of its own. */
  private async probe(): Promise<string | undefined> {
    try {
      const response = await fetch(`${this.destination.bridge}/health/live`, {
        redirect: "manual",
        signal: AbortSignal.any([this.stopping.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]),
      })
      await response.text()
      return PROXY_ERRORS.has(response.status) ? String(response.status) : undefined
    } catch (error) {
      return reasonOf(error)
    }
  }

  private async send(event: OutgoingEvent, body: string): Promise<{ status: number | null; reason: string }> {
    try {
      const response = await fetch(`${this.destination.bridge}/webhooks/medusa`, {
        method: "POST",
        body,
        redirect: "manual",
        signal: AbortSignal.any([this.stopping.signal, AbortSignal.timeout(ATTEMPT_TIMEOUT_MS)]),
        headers: {
          "content-type": "application/json",
          ...signedHeaders(this.destination.key, event.id, new Date(), body),
        },
      })
      const text = await response.text()
      // A web page is not the bridge's, such as a proxy's page for maintenance: the event has not arrived.
      const isPage = response.ok && response.headers.get("content-type")?.startsWith("text/html")
      return { status: isPage ? null : response.status, reason: `${response.status} ${text}`.slice(0, MAX_REASON_CHARACTERS) }
    } catch (error) {
      return { status: null, reason: reasonOf(error) }
    }
  }

  private async body(event: OutgoingEvent): Promise<string> {
    const envelope = (data: unknown): string =>
      JSON.stringify({ type: event.type, timestamp: new Date(event.occurred_at).toISOString(), data })
    const whole = envelope(await this.snapshot(event))
    return Buffer.byteLength(whole) <= LARGEST_BODY_BYTES ? whole : envelope(event.data)
  }

  /** Resolves at the next wake(), or after LOOK_AGAIN_MS. Created before the query, so that no wake is missed. */
  private nextWake(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_AGAIN_MS)
      this.resume = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error & { cause?: { code?: string } }
  return cause?.code ? `${message}: ${cause.code}` : message
}
