import type { CreateNotificationDTO } from "@medusajs/framework/types"

/** An alert that has begun, or one that has ended. */
export type AlertChange =
  | { state: "open"; code: string; severity: string; since: string | null; message: string; action: string }
  | { state: "solved"; code: string; message: string }

/** The name under which the shop's e-mail provider has its template. */
export const EMAIL_TEMPLATE = "dust-alert"

/** The alert that the plugin raises itself. */
export const BRIDGE_AWAY = {
  code: "bridge_away",
  severity: "critical",
  since: null,
  message: "Dust has not answered Medusa for more than 10 minutes. Customers see no points.",
  action:
    "Ask your administrator whether Dust runs, and whether the plugin's url and token are right. Nothing is lost: orders wait in Medusa.",
}

/** What to send: to Medusa's notifications, and to this address if there is one. */
export function alertNotifications(change: AlertChange, email?: string): CreateNotificationDTO[] {
  const { state, code, message } = change
  const about = { trigger_type: `dust.alert.${state}`, resource_type: "dust_alert", resource_id: code }
  const solved = state === "solved"
  const feed: CreateNotificationDTO = {
    ...about,
    // The dashboard shows every user what is to nobody.
    to: "",
    channel: "feed",
    template: "admin-ui",
    data: { title: solved ? "Dust: solved" : "Dust", description: solved ? message : `${message} ${change.action}` },
  }
  if (!email) return [feed]
  const { severity, since, action } = solved ? { severity: null, since: null, action: null } : change
  const data = { state, code, severity, since, message, action }
  return [feed, { ...about, to: email, channel: "email", template: EMAIL_TEMPLATE, data }]
}
