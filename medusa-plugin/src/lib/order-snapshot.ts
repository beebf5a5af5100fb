import { container as application } from "@medusajs/framework"
import type { MedusaContainer } from "@medusajs/framework/types"
import { ContainerRegistrationKeys } from "@medusajs/framework/utils"
import { getOrderDetailWorkflow } from "@medusajs/medusa/core-flows"
import type { OutgoingEvent } from "../modules/dust/service"
import { ORDER_FIELDS } from "./order-fields"

/**
 * The event's data with the order it is about, as the Admin API would show it. Events about no order stay as they are.
 *
 * The snapshot is taken when the event is sent, not when it happened: Dust settles an order to its newest state, so what
 * an order looked like an hour ago, when the bridge was down, is of no use to it, and the outbox stays small.
 *
 * Medusa gives the application's container to subscribers, jobs, routes and workflows. The courier is none of them: it also
 * sends when nothing calls the plugin. So the container comes from the framework, and the module itself needs none.
 */
export async function withOrder(
  { type, data }: Pick<OutgoingEvent, "type" | "data">,
  container: MedusaContainer = application,
): Promise<Record<string, unknown>> {
  const orderId = await orderOf(type, data, container)
  if (!orderId) return data
  const order = await readOrder(orderId, container)
  return { ...data, order_id: orderId, ...(order ? { order } : {}) }
}

async function orderOf(
  type: string,
  data: Record<string, unknown>,
  container: MedusaContainer,
): Promise<string | undefined> {
  if (type.startsWith("payment.")) return orderOfPayment(String(data.id), container)
  if (type.startsWith("order")) return String(data.order_id ?? data.id)
  return undefined
}

/** Undefined for a payment that belongs to no order (yet). */
async function orderOfPayment(paymentId: string, container: MedusaContainer): Promise<string | undefined> {
  const { data } = await container.resolve(ContainerRegistrationKeys.QUERY).graph({
    entity: "payment",
    fields: ["payment_collection.order.id"],
    filters: { id: paymentId },
  })
  const [payment] = data as unknown as { payment_collection?: { order?: { id: string } } }[]
  return payment?.payment_collection?.order?.id
}

/** Undefined for an order that is gone; the event is sent to the bridge without it. */
async function readOrder(orderId: string, container: MedusaContainer): Promise<unknown> {
  try {
    // What GET /admin/orders/:id runs, so that totals and statuses are computed as they are there.
    const { result } = await getOrderDetailWorkflow(container).run({ input: { fields: ORDER_FIELDS, order_id: orderId } })
    return result
  } catch (error) {
    if ((error as { type?: string }).type === "not_found") return undefined
    throw error
  }
}
