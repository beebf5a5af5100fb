import type { Logger, MedusaContainer } from "@medusajs/framework/types"
import type DustModuleService from "../modules/dust/service"
import type { ReadOptions } from "../modules/dust/options"
import type { OutgoingEvent } from "../modules/dust/service"
import { signedHeaders } from "../signature"
import { verdict } from "./answers"
import { withOrder } from "./snapshot"

// Few enough to leave Medusa its database connections, enough that one slow answer does not hold up the rest.
const AT_ONCE = 4
const ATTEMPT_TIMEOUT_MS = 10_000
// How often to look for events whose wait is over, or that another process has kept.
const LOOK_AGAIN_MS = 1_000
const KEEP_DELIVERED_DAYS = 7
const CLEAN_EVERY_MS = 3_600_000
// The bridge takes no body over 1 MiB; without its snapshot an event is small, and the bridge fetches the order itself.
const LARGEST_BODY_BYTES = 1_000_000
const LONGEST_REASON = 500

type Destination = Pick<ReadOptions, "bridge" | "key">

/** Carries events from the outbox to the bridge, in the background, for as long as this process lives. */
export class Courier {
  private readonly stopping = new AbortController()
  private underWay = new Set<Promise<void>>()
  private cleanedAt = Date.now()
  private rouse: () => void = () => undefined

  constructor(
    private readonly outbox: DustModuleService,
    private readonly container: MedusaContainer,
    private readonly destination: Destination,
    private readonly logger: Logger,
  ) {}

  start(): void {
    void this.run()
  }

  /** Take nothing new and break off what is under way: a bridge that does not answer must not hold up a restart. */
  async stop(): Promise<void> {
    this.stopping.abort()
    this.wake()
    await Promise.all(this.underWay)
  }

  /** There may be something to do now. */
  wake(): void {
    this.rouse()
  }

  private async run(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const woken = this.nextWake()
      try {
        if (await this.sendDue()) continue
        await this.cleanSometimes()
      } catch (error) {
        this.logger.warn(`dust: the outbox cannot be read: ${(error as Error).message}`)
      }
      await woken
    }
  }

  /** Start an attempt for each event that is due and for which there is room. True when there may be more of them. */
  private async sendDue(): Promise<boolean> {
    const room = AT_ONCE - this.underWay.size
    const events = room > 0 ? await this.outbox.claim(room) : []
    for (const event of events) {
      const attempt = this.attempt(event).finally(() => {
        this.underWay.delete(attempt)
        this.wake()
      })
      this.underWay.add(attempt)
    }
    return events.length > 0 && this.underWay.size < AT_ONCE
  }

  /** Never throws: an event whose outcome could not be written down is tried again when its lease is over. */
  private async attempt(event: OutgoingEvent): Promise<void> {
    try {
      const { status, reason } = await this.send(event)
      const next = verdict(status, event.attempts)
      if (next.kind === "delivered") {
        await this.outbox.markDelivered(event.id)
        return
      }
      if (next.kind === "postponed") await this.outbox.postpone(event.id, next.seconds, reason)
      else await this.outbox.reject(event.id, reason)
      this.logger.warn(`dust: ${event.type} ${event.id} ${next.kind} after attempt ${event.attempts}: ${reason}`)
    } catch (error) {
      this.logger.warn(`dust: ${event.type} ${event.id} could not be settled: ${(error as Error).message}`)
    }
  }

  private async send(event: OutgoingEvent): Promise<{ status: number | null; reason: string }> {
    try {
      const body = await this.body(event)
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
      return { status: response.status, reason: `${response.status} ${text}`.slice(0, LONGEST_REASON) }
    } catch (error) {
      const { message, cause } = error as Error & { cause?: { code?: string } }
      return { status: null, reason: cause?.code ? `${message}: ${cause.code}` : message }
    }
  }

  private async body(event: OutgoingEvent): Promise<string> {
    const envelope = (data: unknown): string =>
      JSON.stringify({ type: event.type, timestamp: new Date(event.occurred_at).toISOString(), data })
    const whole = envelope(await withOrder(event, this.container))
    return Buffer.byteLength(whole) <= LARGEST_BODY_BYTES ? whole : envelope(event.data)
  }

  private async cleanSometimes(): Promise<void> {
    if (Date.now() - this.cleanedAt > CLEAN_EVERY_MS) {
      this.cleanedAt = Date.now()
      await this.outbox.clean(KEEP_DELIVERED_DAYS)
    }
  }

  /** Resolves at the next wake(), or when it is time to look again. Made before looking, so that no wake is missed. */
  private nextWake(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_AGAIN_MS)
      this.rouse = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
