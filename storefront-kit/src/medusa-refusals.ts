const DECLINED = {
  code: "payment_declined",
  message: "The payment was declined. Please try again, or pay in another way.",
}
const UNCONFIRMED = {
  code: "payment_unconfirmed",
  message: "The payment needs one more step. Please go back to the payment and confirm it.",
}
const NO_PAYMENT = { code: "no_payment", message: "Please choose how to pay first." }
const NO_SHIPPING = { code: "no_shipping", message: "Please choose the shipping first." }
const OUT_OF_STOCK = {
  code: "out_of_stock",
  message: "A product is no longer there in this quantity. Please change your cart.",
}

/** Why Medusa does not complete a cart: by the type of its error, or by its sentence (2.21.2). */
const REFUSALS: Record<string, { code: string; message: string }> = {
  payment_authorization_error: DECLINED,
  payment_requires_more_error: UNCONFIRMED,
  "Payment sessions are required to complete cart": NO_PAYMENT,
  "Payment collection has not been initiated for cart": NO_PAYMENT,
  "No shipping method selected but the cart contains items that require shipping.": NO_SHIPPING,
  "The cart items require shipping profiles that are not satisfied by the current shipping methods": NO_SHIPPING,
  "Some variant does not have the required inventory": OUT_OF_STOCK,
}

/** The code of an error of Medusa, and its sentence for shoppers; undefined for others. */
export function medusaRefusal({ message, type = "" }: { message: string; type?: string }) {
  return REFUSALS[type] ?? REFUSALS[message]
}
