"use server"

import { createDustServer, placeOrder } from "dust-storefront-kit/next"
import type { CartRedemption } from "dust-storefront-kit"
import { cookies } from "next/headers"

const dust = createDustServer({
  baseUrl: process.env.DUST_URL!,
  publishableKey: "pk_1",
  getToken: async () => (await cookies()).get("token")?.value,
  getCartId: async () => (await cookies()).get("cart")?.value,
})

export async function programme() {
  return dust.programme()
}

export async function balance() {
  return dust.balance()
}

export async function quote() {
  return dust.quote()
}

export async function redeem(request: CartRedemption, key: string) {
  return dust.redeem(request, key)
}

export async function order() {
  return placeOrder(async () => ({ type: "order" as const, order: { id: "order_1" } }))
}
