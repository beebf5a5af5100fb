import { model } from "@medusajs/framework/utils"

/** An open alert. `notified_at` is when the notification was sent. Deleted when it ends. */
export const Alert = model.define("dust_alert", {
  code: model.text().primaryKey(),
  message: model.text(),
  /** When a notification was sent. Null while it is too early. */
  notified_at: model.dateTime().nullable(),
})
