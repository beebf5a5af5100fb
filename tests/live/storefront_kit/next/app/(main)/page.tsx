import { formatPoints } from "dust-storefront-kit"
import { placeOrder } from "dust-storefront-kit/next"
import { NavBalance } from "dust-storefront-kit/react"
import { balance, programme } from "@lib/dust"

async function complete() {
  "use server"
  await placeOrder(async () => ({ type: "order", order: { id: "order_1" } }))
}

export default async function Page() {
  const [rules, { data, error }] = await Promise.all([programme(), balance()])
  const { one = "point", many = "points" } = rules.data?.name ?? {}
  return (
    <form action={complete}>
      <NavBalance />
      <p>{data ? formatPoints(data.available, { one, many }) : error?.message}</p>
    </form>
  )
}
