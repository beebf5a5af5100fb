import { defineWidgetConfig } from "@medusajs/admin-sdk"
import type { AdminOrder, DetailWidgetProps } from "@medusajs/framework/types"
import { Container, Heading } from "@medusajs/ui"
import { useQuery } from "@tanstack/react-query"
import type { ReactNode } from "react"
import type { DustOrder } from "../../types"
import { OrderExplanation } from "../components/order/order-explanation"
import { OrderPoints } from "../components/order/order-points"
import { PreviewDrawer } from "../components/order/preview-drawer"
import { Loaded, Nothing } from "../components/states"
import { DustError, dust } from "../lib/dust"
import { useTexts } from "../lib/texts"

const OrderDust = ({ data: order }: DetailWidgetProps<AdminOrder>): ReactNode => {
  const t = useTexts()
  const path = `/orders/${order.id}`
  const query = useQuery({ queryKey: ["dust", path], queryFn: () => readOrder(path) })
  return (
    <Container className="divide-y p-0">
      <div className="flex items-center justify-between px-6 py-4">
        <Heading level="h2">{t("general.dust")}</Heading>
        {query.data && <OrderExplanation order={query.data} />}
      </div>
      <Loaded query={query}>
        {(order) => (order ? <OrderPoints order={order} /> : <Nothing>{t("order.unknown")}</Nothing>)}
      </Loaded>
      {query.data && (
        <div className="flex justify-end px-6 py-4">
          <PreviewDrawer order={order} />
        </div>
      )}
    </Container>
  )
}

/** Null for an order that Dust has not settled. */
async function readOrder(path: string): Promise<DustOrder | null> {
  try {
    return await dust<DustOrder>(path)
  } catch (error) {
    if (error instanceof DustError && error.problem.code === "order_not_settled") return null
    throw error
  }
}

export const config = defineWidgetConfig({ zone: "order.details.side.after", id: "dust-order" })

export default OrderDust
