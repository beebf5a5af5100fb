import type { ConfigModule, Context, Logger } from "@medusajs/framework/types"
import { InjectManager, MedusaContext, MedusaService, Modules } from "@medusajs/framework/utils"
import type { EntityManager } from "@medusajs/framework/mikro-orm/postgresql"
import { requireMedusa } from "../../lib/medusa-version"
import { withOrder } from "../../lib/order-snapshot"
import { eventId, occurredAt, type MedusaEvent } from "../../lib/signature"
import { Courier } from "./delivery/courier"
import { withRetries } from "./insert-retries"
import { Alert } from "./models/alert"
import { OutboxEvent } from "./models/outbox-event"
import { readOptions, type DustOptions, type ReadOptions } from "./options"

// Longer than an attempt can take: an event whose process died in the middle is tried again after this time.
const LEASE_SECONDS = 30
// No event waits that long. A later time was written by a clock that was ahead.
const FAR_AHEAD_SECONDS = 300

/** An event taken out of the outbox for one attempt; `attempts` counts this one. */
export type OutgoingEvent = {
  id: string
  type: string
  data: Record<string, unknown>
  occurred_at: Date
  attempts: number
}

/** An alert that has ended, and whether a notification was sent when it began. */
export type EndedAlert = { code: string; message: string; notified: boolean }

/** Which of the events that are not delivered. */
type Undelivered = { state?: "waiting" | "rejected"; type?: string }

type Attempted = Pick<OutgoingEvent, "id" | "attempts">

// An attempt that took longer than its lease must not overwrite the state that a later one has written.
const NOT_STALE = "state = 'waiting' and attempts = ?"

type Shared = Context<EntityManager>

/** What Medusa gives to every module. The event bus is there once all modules are loaded. */
type Dependencies = { logger: Logger; configModule: ConfigModule; [Modules.EVENT_BUS]: object }

/**
 * The outbox: a table of the plugin's own in Medusa's database, so that an event survives a bridge that is down, a Medusa
 * that restarts and an event bus that forgets. The courier empties it.
 */
export default class DustModuleService extends MedusaService({ Alert, OutboxEvent }) {
  private readonly dependencies: Dependencies
  private readonly options: ReadOptions
  private courier?: Courier

  /** Medusa calls these when everything is loaded and when it shuts down. It swallows what they throw. */
  readonly __hooks = {
    onApplicationStart: async (): Promise<void> => this.start(),
    onApplicationPrepareShutdown: async (): Promise<void> => this.courier?.stop(),
  }

  /** Throws, and so stops Medusa's start, when Medusa is too old or an option is missing or unusable. */
  constructor(dependencies: Dependencies, options?: DustOptions) {
    // eslint-disable-next-line prefer-rest-params
    super(...arguments)
    requireMedusa()
    this.dependencies = dependencies
    this.options = readOptions(options)
  }

  /** Where the bridge answers, and the token with which this Medusa may speak for its users and customers. */
  get bridge(): Pick<ReadOptions, "bridge" | "token"> {
    return this.options
  }

  /** Where alerts go by e-mail, if anywhere. */
  get alertEmail(): string | undefined {
    return this.options.alertEmail
  }

  /** Whether the plugin's own hook guards the checkout, and not a handler of the shop. */
  get guardsCheckout(): boolean {
    return this.options.guard
  }

  /**
   * Store an event for the bridge; one that is stored already is left as it is. A failed INSERT is tried again, because
   * Medusa's event bus does not deliver an event a second time.
   */
  async keep(event: MedusaEvent): Promise<void> {
    await withRetries(() => this.insert(eventId(event), event))
    this.courier?.wake()
  }

  /**
   * Take up to `limit` events that are due. Those never tried come first: a new event does not wait behind old ones that
   * fail again and again. Two processes that ask at once get different events.
   */
  @InjectManager()
  async claim(limit: number, @MedusaContext() shared: Shared = {}): Promise<OutgoingEvent[]> {
    return shared.manager!.execute(
      `update dust_outbox
          set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => ?), updated_at = now()
        where id in (select id from dust_outbox
                      where state = 'waiting' and deleted_at is null
                        and (next_attempt_at <= now() or next_attempt_at > now() + make_interval(secs => ?))
                      order by attempts, occurred_at limit ? for update skip locked)
        returning id, type, data, occurred_at, attempts`,
      [LEASE_SECONDS, FAR_AHEAD_SECONDS, limit],
    )
  }

  @InjectManager()
  async markDelivered(id: string, @MedusaContext() shared: Shared = {}): Promise<void> {
    await shared.manager!.execute(
      `update dust_outbox set state = 'delivered', delivered_at = now(), last_error = null, updated_at = now()
        where id = ?`,
      [id],
    )
  }

  @InjectManager()
  async reschedule(event: Attempted, seconds: number, reason: string, @MedusaContext() shared: Shared = {}): Promise<void> {
    await shared.manager!.execute(
      `update dust_outbox set next_attempt_at = now() + make_interval(secs => ?), last_error = ?, updated_at = now()
        where id = ? and ${NOT_STALE}`,
      [seconds, reason, event.id, event.attempts],
    )
  }

  @InjectManager()
  async reject(event: Attempted, reason: string, @MedusaContext() shared: Shared = {}): Promise<void> {
    await shared.manager!.execute(
      `update dust_outbox set state = 'rejected', last_error = ?, updated_at = now() where id = ? and ${NOT_STALE}`,
      [reason, event.id, event.attempts],
    )
  }

  /** Send an event again now that was rejected, or that waits; false when it is delivered or unknown. */
  async sendAgain(id: string): Promise<boolean> {
    const isDue = await this.makeDue(id)
    this.courier?.sendNow()
    return isDue
  }

  /** As `sendAgain`, for all events in this state and of this type; without either, for all. Returns how many there are. */
  async sendAllAgain(wanted: Undelivered): Promise<number> {
    const count = await this.makeAllDue(wanted)
    this.courier?.sendNow()
    return count
  }

  /** Forget what was delivered long ago. */
  @InjectManager()
  async prune(days: number, @MedusaContext() shared: Shared = {}): Promise<void> {
    await shared.manager!.execute(
      `delete from dust_outbox
        where state = 'delivered' and deleted_at is null and delivered_at < now() - make_interval(days => ?)`,
      [days],
    )
  }

  /** How many events are in which state, and since when the oldest one waits. */
  @InjectManager()
  async deliveryState(@MedusaContext() shared: Shared = {}): Promise<Record<string, unknown>> {
    // A query for each state: each has an index of its own.
    const [row] = await shared.manager!.execute(
      `with kept as not materialized (select * from dust_outbox where deleted_at is null)
       select (select count(*)::int from kept where state = 'waiting') as waiting,
              (select count(*)::int from kept where state = 'delivered') as delivered,
              (select count(*)::int from kept where state = 'rejected') as rejected,
              (select min(occurred_at) from kept where state = 'waiting') as oldest_waiting_at`,
    )
    return row
  }

  /**
   * Note that an alert is open. True once, when it has been open for `quietSeconds`: then a notification is due. Of several
   * processes that ask at once, one gets true.
   */
  @InjectManager()
  async openAlert(code: string, message: string, quietSeconds: number, @MedusaContext() shared: Shared = {}): Promise<boolean> {
    await shared.manager!.execute("insert into dust_alert (code, message) values (?, ?) on conflict (code) do nothing", [code, message])
    const notified = await shared.manager!.execute(
      `update dust_alert set notified_at = now(), updated_at = now()
        where code = ? and notified_at is null and created_at <= now() - make_interval(secs => ?) returning code`,
      [code, quietSeconds],
    )
    return notified.length > 0
  }

  /** Forget all alerts but these, and return those that have ended. Of several processes, one gets each. */
  @InjectManager()
  async endOtherAlerts(open: string[], @MedusaContext() shared: Shared = {}): Promise<EndedAlert[]> {
    return shared.manager!.execute(
      `delete from dust_alert where code not in (select jsonb_array_elements_text(?::jsonb))
        returning code, message, notified_at is not null as notified`,
      [JSON.stringify(open)],
    )
  }

  @InjectManager()
  private async makeDue(id: string, @MedusaContext() shared: Shared = {}): Promise<boolean> {
    const rows = await shared.manager!.execute(
      `update dust_outbox set state = 'waiting', next_attempt_at = now(), updated_at = now()
        where id = ? and state <> 'delivered' returning id`,
      [id],
    )
    return rows.length > 0
  }

  @InjectManager()
  private async makeAllDue({ state, type }: Undelivered, @MedusaContext() shared: Shared = {}): Promise<number> {
    const rows = await shared.manager!.execute(
      `update dust_outbox set state = 'waiting', next_attempt_at = now(), updated_at = now()
        where state in ('waiting', 'rejected') and deleted_at is null
          and state = coalesce(?, state) and type = coalesce(?, type) returning id`,
      [state ?? null, type ?? null],
    )
    return rows.length
  }

  @InjectManager()
  private async insert(id: string, event: MedusaEvent, @MedusaContext() shared: Shared = {}): Promise<void> {
    await shared.manager!.execute(
      `insert into dust_outbox (id, type, data, occurred_at, next_attempt_at) values (?, ?, ?, ?, now())
       on conflict (id) do nothing`,
      [id, event.name, JSON.stringify(event.data), occurredAt(event.metadata)],
    )
  }

  private start(): void {
    const { configModule, logger } = this.dependencies
    // A process that only serves requests hands its events to the workers; so it leaves the outbox to them too.
    if (configModule.projectConfig.workerMode !== "server") {
      this.courier = new Courier(this, (event) => withOrder(event), this.options, logger)
      this.courier.start()
    }
    this.warnOfForgetfulBus()
  }

  private warnOfForgetfulBus(): void {
    if (this.dependencies[Modules.EVENT_BUS].constructor.name === "LocalEventBusService") {
      this.dependencies.logger.warn(
        "medusa-plugin-dust: this Medusa keeps its events in memory (event-bus-local). If it is killed in the moment " +
          "between an order and its entry in dust_outbox, the event is lost, and the bridge learns of the order from " +
          "its next reconcile only. @medusajs/event-bus-redis makes that rarer.",
      )
    }
  }
}
