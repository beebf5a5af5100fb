import type { CreateNotificationDTO, MedusaContainer } from "@medusajs/framework/types"
import { ContainerRegistrationKeys, Modules } from "@medusajs/framework/utils"
import { alertNotifications, BRIDGE_AWAY, type AlertChange } from "../lib/alert-notifications"
import { DUST_MODULE } from "../modules/dust"
import type DustModuleService from "../modules/dust/service"
import type { DustAlert, DustAlertList } from "../types"

const TIMEOUT_MS = 10_000
// A restart of the bridge is no alert.
const AWAY_QUIET_SECONDS = 600

/**
 * Ask the bridge what is wrong, and tell the merchant: once when an alert begins, and once when it has ended. In Medusa's
 * notifications, and by e-mail if the plugin's option `alertEmail` is set.
 */
export default async function sendAlerts(container: MedusaContainer): Promise<void> {
  const dust = container.resolve<DustModuleService>(DUST_MODULE)
  const notify = (change: AlertChange): Promise<void> => send(container, alertNotifications(change, dust.alertEmail))
  const alerts = await readAlerts(dust.bridge)
  if (!alerts) {
    // What else is wrong stays unknown meanwhile, so no other alert ends.
    const isDue = await dust.openAlert(BRIDGE_AWAY.code, BRIDGE_AWAY.message, AWAY_QUIET_SECONDS)
    if (isDue) await notify({ ...BRIDGE_AWAY, state: "open" })
    return
  }
  for (const alert of alerts) {
    if (await dust.openAlert(alert.code, alert.message, 0)) await notify({ ...alert, state: "open" })
  }
  for (const ended of await dust.endOtherAlerts(alerts.map(({ code }) => code))) {
    if (ended.notified) await notify({ ...ended, state: "solved" })
  }
}

/** Undefined while the bridge does not answer, or refuses the plugin's token. */
async function readAlerts({ bridge, token }: DustModuleService["bridge"]): Promise<DustAlert[] | undefined> {
  try {
    const response = await fetch(`${bridge}/admin/dust/alerts`, {
      headers: { authorization: `Bearer ${token}` },
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    return response.ok ? ((await response.json()) as DustAlertList).alerts : undefined
  } catch {
    return undefined
  }
}

/** Each once. A shop without a provider for the channel, or whose provider fails, gets a line in its log. */
async function send(container: MedusaContainer, notifications: CreateNotificationDTO[]): Promise<void> {
  for (const notification of notifications) {
    try {
      await container.resolve(Modules.NOTIFICATION).createNotifications(notification)
    } catch (error) {
      const logger = container.resolve(ContainerRegistrationKeys.LOGGER)
      logger.warn(`dust: the alert ${notification.resource_id} was not sent by ${notification.channel}: ${(error as Error).message}`)
    }
  }
}

export const config = {
  name: "dust-send-alerts",
  schedule: "*/5 * * * *",
}
