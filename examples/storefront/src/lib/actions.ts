"use server"

import type { HttpTypes } from "@medusajs/types"
import { de } from "dust-storefront-kit"
import { placeOrder as complete } from "dust-storefront-kit/next"
import { revalidatePath } from "next/cache"
import { redirect } from "next/navigation"
import { dust } from "./dust"
import { getTexts } from "./language"
import { customerOf, medusa, unauthorized, shopperMessage } from "./medusa"
import { isNothing } from "./money"
import { authHeaders, forgetCart, forgetToken, getCartId, setCartId, setRegionId, setToken } from "./session"
import { getCart, getRegion } from "./shop"

/** Next hides the messages of errors that an action throws, so every action returns its error. */
export type ActionState = { error?: string; done?: string }

const MAX_QUANTITY = 99

const getActionTexts = async () => (await getTexts()).actions

const text = (form: FormData, name: string) => String(form.get(name) ?? "").trim()

/** The number of units; undefined for what is none, such as an empty field. */
function quantityOf(form: FormData, least: number): number | undefined {
  const typed = text(form, "quantity")
  const quantity = Number(typed)
  return /^\d+$/.test(typed) && quantity >= least && quantity <= MAX_QUANTITY ? quantity : undefined
}

/** Run calls to Medusa. All pages are rendered again afterwards, also the layout with the cart and the balance. */
async function attempt(otherwise: string, calls: () => Promise<ActionState | void>): Promise<ActionState> {
  try {
    const state = (await calls()) ?? {}
    revalidatePath("/", "layout")
    return state
  } catch (error) {
    const t = await getActionTexts()
    if (!unauthorized(error)) return { error: shopperMessage(error, otherwise, t) }
    await forgetToken()
    revalidatePath("/", "layout")
    return { error: t.ended }
  }
}

export async function addToCart(_: ActionState, form: FormData): Promise<ActionState> {
  const t = await getActionTexts()
  const quantity = quantityOf(form, 1)
  if (quantity === undefined) return { error: t.wholeNumber(1, MAX_QUANTITY) }
  return attempt(t.notAdded, async () => {
    const headers = await authHeaders()
    let cartId = (await getCart())?.id
    if (!cartId) {
      const { cart } = await medusa.store.cart.create({ region_id: (await getRegion()).id }, {}, headers)
      cartId = cart.id
      await setCartId(cart.id)
    }
    await medusa.store.cart.createLineItem(cartId, { variant_id: text(form, "variant_id"), quantity }, {}, headers)
    return { done: t.added }
  })
}

export async function changeQuantity(_: ActionState, form: FormData): Promise<ActionState> {
  const t = await getActionTexts()
  const quantity = quantityOf(form, 0)
  if (quantity === undefined) return { error: t.wholeNumber(0, MAX_QUANTITY) }
  const cartId = await getCartId()
  if (!cartId) return { error: t.noCart }
  return attempt(t.notChanged, async () => {
    const [line, headers] = [text(form, "line_id"), await authHeaders()]
    if (quantity === 0) await medusa.store.cart.deleteLineItem(cartId, line, {}, headers)
    else await medusa.store.cart.updateLineItem(cartId, line, { quantity }, {}, headers)
  })
}

/** Apply a code of the shop, or one that the shopper got for points elsewhere. */
export async function applyCode(_: ActionState, form: FormData): Promise<ActionState> {
  const [t, cartId, code] = [await getActionTexts(), await getCartId(), text(form, "code")]
  if (!cartId) return { error: t.noCart }
  if (!code) return { error: t.enterCode }
  return attempt(t.codeNotValid, async () => {
    const cart = await changeCodes("POST", cartId, code)
    // Medusa drops a code that takes nothing off, without an error.
    return cart.promotions.some((promotion) => promotion.code === code) ? { done: t.codeApplied } : { error: t.codeNotValid }
  })
}

export async function removeCode(_: ActionState, form: FormData): Promise<ActionState> {
  const [t, cartId] = [await getActionTexts(), await getCartId()]
  if (!cartId) return { error: t.noCart }
  return attempt(t.codeNotRemoved, async () => {
    await changeCodes("DELETE", cartId, text(form, "code"))
  })
}

async function changeCodes(method: "POST" | "DELETE", cartId: string, code: string): Promise<HttpTypes.StoreCart> {
  const request = { method, body: { promo_codes: [code] }, headers: await authHeaders() }
  return (await medusa.client.fetch<HttpTypes.StoreCartResponse>(`/store/carts/${cartId}/promotions`, request)).cart
}

export async function chooseRegion(_: ActionState, form: FormData): Promise<ActionState> {
  const region = text(form, "region_id")
  return attempt((await getActionTexts()).regionNotChanged, async () => {
    const cart = await getCart()
    if (cart) await medusa.store.cart.update(cart.id, { region_id: region }, {}, await authHeaders())
    // Not before: where Medusa refuses, the shop would show other prices than the cart has.
    await setRegionId(region)
  })
}

/** A page of this shop, never an address of another site. */
function pageAfterLogin(form: FormData): string {
  const next = text(form, "next")
  return /^\/[a-z]/.test(next) ? next : "/account"
}

/** Names that a shopper fills in at the sign-up. */
type Names = { first_name?: string; last_name?: string }

async function startSession(email: string, password: string, names: Names = {}): Promise<ActionState> {
  const credentials = { email, password }
  let token = await medusa.auth.login("customer", "emailpass", credentials)
  if (typeof token === "string" && !customerOf(token)) {
    // A sign-up makes the login first. The customer is missing if it failed between the two.
    await medusa.store.customer.create({ email, ...names }, {}, { authorization: `Bearer ${token}` })
    token = await medusa.auth.login("customer", "emailpass", credentials)
  }
  if (typeof token !== "string") return { error: (await getActionTexts()).onlyPasswords }
  await setToken(token)
  return {}
}

/** Make a login. One that is there already, such as from a sign-up that failed, stays: its password decides. */
async function createLogin(email: string, password: string): Promise<void> {
  try {
    await medusa.auth.register("customer", "emailpass", { email, password })
  } catch (error) {
    if (!unauthorized(error)) throw error
  }
}

export async function logIn(_: ActionState, form: FormData): Promise<ActionState> {
  const t = await getActionTexts()
  const [email, password] = [text(form, "email"), String(form.get("password") ?? "")]
  try {
    const { error } = await startSession(email, password)
    if (error) return { error }
  } catch (error) {
    return { error: shopperMessage(error, t.wrongPassword, t) }
  }
  revalidatePath("/", "layout")
  redirect(pageAfterLogin(form))
}

export async function signUp(_: ActionState, form: FormData): Promise<ActionState> {
  const t = await getActionTexts()
  const [email, password] = [text(form, "email"), String(form.get("password") ?? "")]
  const names = { first_name: text(form, "first_name"), last_name: text(form, "last_name") }
  if (password.length < 8) return { error: t.shortPassword }
  try {
    await createLogin(email, password)
    const { error } = await startSession(email, password, names)
    if (error) return { error }
  } catch (error) {
    return { error: unauthorized(error) ? t.emailTaken : shopperMessage(error, t.notSignedUp, t) }
  }
  revalidatePath("/", "layout")
  redirect(pageAfterLogin(form))
}

export async function logOut(): Promise<void> {
  await dust.releaseCart()
  await forgetToken()
  await forgetCart()
  revalidatePath("/", "layout")
  redirect("/")
}

export async function saveAddress(_: ActionState, form: FormData): Promise<ActionState> {
  const [t, cartId] = [await getActionTexts(), await getCartId()]
  if (!cartId) return { error: t.noCart }
  const names = ["first_name", "last_name", "address_1", "postal_code", "city", "country_code"]
  const address = Object.fromEntries(names.map((name) => [name, text(form, name)]))
  if (!text(form, "email") || Object.values(address).includes("")) return { error: t.everyField }
  return attempt(t.addressNotSaved, async () => {
    const cart = { email: text(form, "email"), shipping_address: address, billing_address: address }
    await medusa.store.cart.update(cartId, cart, {}, await authHeaders())
    return { done: t.addressSaved }
  })
}

export async function chooseShipping(_: ActionState, form: FormData): Promise<ActionState> {
  const [t, cartId] = [await getActionTexts(), await getCartId()]
  if (!cartId) return { error: t.noCart }
  return attempt(t.deliveryNotChosen, async () => {
    await medusa.store.cart.addShippingMethod(cartId, { option_id: text(form, "option_id") }, {}, await authHeaders())
  })
}

/** Pay with Medusa's manual provider, and place the order. */
export async function placeOrder(_: ActionState, form: FormData): Promise<ActionState> {
  const [{ actions: t, language }, cart] = [await getTexts(), await getCart()]
  if (!cart?.items?.length) return { error: t.noCart }
  const difference = cart.total - Number(text(form, "total"))
  if (difference > 0 && !isNothing(difference)) {
    revalidatePath("/", "layout")
    return { error: t.cartChanged }
  }
  const headers = await authHeaders()
  const { order, error } = await complete(
    async () => {
      // A code that enters a cart ends its payment session, so it is started here. A total of 0 needs none.
      if (cart.total > 0) await medusa.store.payment.initiatePaymentSession(cart, { provider_id: "pp_system_default" }, {}, headers)
      return medusa.store.cart.complete(cart.id, {}, headers)
    },
    { messages: language === "de" ? de : undefined, programme: dust.programme },
  )
  if (!order) return { error }
  await forgetCart()
  revalidatePath("/", "layout")
  redirect(`/order/${order.id}`)
}
