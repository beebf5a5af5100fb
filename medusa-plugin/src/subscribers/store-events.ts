import type { SubscriberArgs, SubscriberConfig } from "@medusajs/framework"
import { FORWARDED_EVENTS } from "../lib/events"
import { DUST_MODULE } from "../modules/dust"
import type DustModuleService from "../modules/dust/service"
import type { MedusaEvent } from "../lib/signature"

/** One INSERT and nothing more: with a Redis bus every other subscriber of the shop waits for this one. */
export default async function keepForDust({ event, container }: SubscriberArgs<Record<string, unknown>>): Promise<void> {
  await container.resolve<DustModuleService>(DUST_MODULE).keep(event as MedusaEvent)
}

export const config: SubscriberConfig = {
  event: FORWARDED_EVENTS,
  context: { subscriberId: "dust-outbox" },
}
