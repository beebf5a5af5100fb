import { model } from "@medusajs/framework/utils"

/** An event that the bridge must hear of. Written when Medusa emits it, deleted a week after it was delivered. */
export const OutboxEvent = model
  .define("dust_outbox", {
    /** The `webhook-id`: the same event delivered twice by Medusa's bus is one row. */
    id: model.text().primaryKey(),
    type: model.text(),
    data: model.json(),
    occurred_at: model.dateTime(),
    state: model.enum(["waiting", "delivered", "rejected"]).default("waiting"),
    attempts: model.number().default(0),
    /** When it may be tried (again); while an attempt is under way, when that attempt is given up for lost. */
    next_attempt_at: model.dateTime(),
    /** What the bridge, or the network, said to the last attempt that failed. */
    last_error: model.text().nullable(),
    delivered_at: model.dateTime().nullable(),
  })
  // Medusa adds `deleted_at is null` to each, so every query must say it too.
  .indexes([
    { name: "IDX_dust_outbox_due", on: ["attempts", "occurred_at"], where: "state = 'waiting'" },
    { name: "IDX_dust_outbox_undelivered", on: ["occurred_at"], where: "state in ('waiting', 'rejected')" },
    { name: "IDX_dust_outbox_delivered", on: ["delivered_at"], where: "state = 'delivered'" },
  ])
