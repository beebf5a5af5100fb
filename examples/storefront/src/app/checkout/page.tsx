import { CheckoutPanel } from "dust-storefront-kit/react"
import type { HttpTypes } from "@medusajs/types"
import type { Metadata } from "next"
import Link from "next/link"
import { AutoForm } from "@/components/auto-form"
import { LinePrice, namesOf, versionOf } from "@/components/cart-lines"
import { CartTotals } from "@/components/cart-totals"
import { Field, Form } from "@/components/form"
import { PlaceOrder } from "@/components/place-order"
import { chooseShipping, saveAddress } from "@/lib/actions"
import { formatMoney } from "@/lib/money"
import { getCart, getCustomer, getRegion, listShippingOptions } from "@/lib/shop"

export const metadata: Metadata = { title: "Checkout" }

export default async function Checkout() {
  const cart = await getCart()
  if (!cart?.items?.length)
    return (
      <div className="empty">
        <h1>There is nothing to pay</h1>
        <p>Your cart is empty, or this order was already placed.</p>
        <Link href="/account" className="button">
          See your orders
        </Link>
      </div>
    )
  const [region, customer, options] = await Promise.all([getRegion(), getCustomer(), listShippingOptions(cart.id)])
  const chosen = cart.shipping_methods?.at(-1)?.shipping_option_id
  return (
    <>
      <h1>Checkout</h1>
      <div className="columns">
        <div className="steps">
          <section className="panel">
            <h2>1. Address</h2>
            {!customer && (
              <p className="hint">
                You order as a guest. <Link href="/login?next=/checkout">Log in</Link> to see the order in your account.
              </p>
            )}
            <AddressForm cart={cart} countries={region.countries ?? []} customer={customer} />
          </section>
          <section className="panel">
            <h2>2. Delivery</h2>
            <AutoForm action={chooseShipping} about={versionOf(cart)}>
              <fieldset className="options" key={chosen}>
                <legend className="visually-hidden">Delivery</legend>
                {options.map(({ id, name, amount, calculated_price: price }) => (
                  <label key={id}>
                    <input type="radio" name="option_id" value={id} defaultChecked={id === chosen} />
                    <span>{name}</span>
                    <span className="price">{formatMoney(price?.calculated_amount_with_tax ?? amount, cart.currency_code)}</span>
                  </label>
                ))}
              </fieldset>
            </AutoForm>
          </section>
          <section className="panel">
            <h2>3. Payment</h2>
            <p>You pay on delivery: this shop uses Medusa's manual payment provider.</p>
          </section>
        </div>
        <aside className="side">
          <CheckoutPanel
            version={versionOf(cart)}
            names={namesOf(cart)}
            signInHref="/login?next=/checkout"
            signUpHref="/signup?next=/checkout"
          />
          <div className="panel">
            <h2>Your order</h2>
            <ul className="short-lines">
              {cart.items.map((line) => (
                <li key={line.id}>
                  {line.quantity} × {line.product_title}
                  <span className="price">
                    <LinePrice line={line} lines={cart.items ?? []} currency={cart.currency_code} />
                  </span>
                </li>
              ))}
            </ul>
            <CartTotals cart={cart} />
            <PlaceOrder total={cart.total} version={versionOf(cart)} missing={whatIsMissing(cart, Boolean(chosen))} />
          </div>
        </aside>
      </div>
    </>
  )
}

function whatIsMissing(cart: HttpTypes.StoreCart, delivery: boolean): string | undefined {
  if (!cart.shipping_address?.address_1 || !cart.email) return "Save your address first."
  if (!delivery) return "Choose a delivery first."
  return undefined
}

function AddressForm({
  cart,
  countries,
  customer,
}: {
  cart: HttpTypes.StoreCart
  countries: HttpTypes.StoreRegionCountry[]
  customer?: HttpTypes.StoreCustomer
}) {
  const known = cart.shipping_address
  return (
    <Form action={saveAddress} submit="Save the address" className="address" quiet={Boolean(known?.address_1)}>
      <Field label="E-mail" name="email" type="email" autoComplete="email" defaultValue={cart.email ?? customer?.email} />
      <Field
        label="First name"
        name="first_name"
        autoComplete="given-name"
        defaultValue={known?.first_name ?? customer?.first_name ?? ""}
      />
      <Field
        label="Last name"
        name="last_name"
        autoComplete="family-name"
        defaultValue={known?.last_name ?? customer?.last_name ?? ""}
      />
      <Field label="Street and number" name="address_1" autoComplete="address-line1" defaultValue={known?.address_1 ?? ""} />
      <Field label="Postal code" name="postal_code" autoComplete="postal-code" defaultValue={known?.postal_code ?? ""} />
      <Field label="City" name="city" autoComplete="address-level2" defaultValue={known?.city ?? ""} />
      <label className="field">
        <span>Country</span>
        <select name="country_code" autoComplete="country" defaultValue={known?.country_code ?? countries[0]?.iso_2}>
          {countries.map(({ iso_2, display_name }) => (
            <option key={iso_2} value={iso_2}>
              {display_name}
            </option>
          ))}
        </select>
      </label>
    </Form>
  )
}
