import "server-only"
import { cookies, headers } from "next/headers"

const TOKEN = "shop_token"
const CART = "shop_cart"
const REGION = "shop_region"
const DAY = 24 * 60 * 60

const read = async (name: string) => (await cookies()).get(name)?.value

async function write(name: string, value: string, days: number) {
  // A browser drops a secure cookie that comes over plain HTTP, as on this machine or in the LAN.
  const secure = (await headers()).get("x-forwarded-proto") === "https"
  const jar = await cookies()
  jar.set(name, value, { httpOnly: true, sameSite: "lax", path: "/", maxAge: days * DAY, secure })
}

const remove = async (name: string) => (await cookies()).delete(name)

export const getToken = () => read(TOKEN)
export const getCartId = () => read(CART)
export const getRegionId = () => read(REGION)

/** Medusa's tokens are valid for a day. */
export const setToken = (token: string) => write(TOKEN, token, 1)
export const setCartId = (id: string) => write(CART, id, 30)
export const setRegionId = (id: string) => write(REGION, id, 365)

export const forgetToken = () => remove(TOKEN)
export const forgetCart = () => remove(CART)

/** The headers of the shopper's calls: empty for a guest. */
export async function authHeaders(): Promise<Record<string, string>> {
  const token = await getToken()
  return token ? { authorization: `Bearer ${token}` } : {}
}
