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
import { getTexts } from "@/lib/language"
import { getCart, getCustomer, getRegion, listShippingOptions } from "@/lib/shop"
import type { Texts } from "@/lib/texts"

export async function generateMetadata(): Promise<Metadata> {
  return { title: (await getTexts()).checkout.title }
}

export default async function Checkout() {
  const [texts, cart] = await Promise.all([getTexts(), getCart()])
  const t = texts.checkout
  if (!cart?.items?.length)
    return (
      <div className="empty">
        <h1>{t.nothing}</h1>
        <p>{t.nothingWhy}</p>
        <Link href="/account" className="button">
          {t.orders}
        </Link>
      </div>
    )
  const [region, customer, options] = await Promise.all([getRegion(), getCustomer(), listShippingOptions(cart.id)])
  const chosen = cart.shipping_methods?.at(-1)?.shipping_option_id
  return (
    <>
      <h1>{t.title}</h1>
      <div className="columns">
        <div className="steps">
          <section className="panel">
            <h2>{t.address}</h2>
            {!customer && (
              <p className="hint">
                {t.guest} <Link href="/login?next=/checkout">{t.guestLogIn}</Link>
                {t.guestWhy}
              </p>
            )}
            <AddressForm texts={texts} cart={cart} countries={region.countries ?? []} customer={customer} />
          </section>
          <section className="panel">
            <h2>{t.delivery}</h2>
            <AutoForm action={chooseShipping} submit={texts.choose} about={versionOf(cart)}>
              <fieldset className="options" key={chosen}>
                <legend className="visually-hidden">{t.deliveryOptions}</legend>
                {options.map(({ id, name, amount, calculated_price: price }) => (
                  <label key={id}>
                    <input type="radio" name="option_id" value={id} defaultChecked={id === chosen} />
                    <span>{name}</span>
                    <span className="price">{texts.money(price?.calculated_amount_with_tax ?? amount, cart.currency_code)}</span>
                  </label>
                ))}
              </fieldset>
            </AutoForm>
          </section>
          <section className="panel">
            <h2>{t.payment}</h2>
            <p>{t.paymentHow}</p>
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
            <h2>{t.order}</h2>
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
            <PlaceOrder total={cart.total} version={versionOf(cart)} missing={whatIsMissing(cart, Boolean(chosen), t)} />
          </div>
        </aside>
      </div>
    </>
  )
}

function whatIsMissing(cart: HttpTypes.StoreCart, delivery: boolean, t: Texts["checkout"]): string | undefined {
  if (!cart.shipping_address?.address_1 || !cart.email) return t.addressFirst
  if (!delivery) return t.deliveryFirst
  return undefined
}

function AddressForm({
  texts: { checkout: t, person, countryName },
  cart,
  countries,
  customer,
}: {
  texts: Texts
  cart: HttpTypes.StoreCart
  countries: HttpTypes.StoreRegionCountry[]
  customer?: HttpTypes.StoreCustomer
}) {
  const known = cart.shipping_address
  return (
    <Form action={saveAddress} submit={t.save} className="address" quiet={Boolean(known?.address_1)}>
      <Field label={person.email} name="email" type="email" autoComplete="email" defaultValue={cart.email ?? customer?.email} />
      <Field
        label={person.firstName}
        name="first_name"
        autoComplete="given-name"
        defaultValue={known?.first_name ?? customer?.first_name ?? ""}
      />
      <Field
        label={person.lastName}
        name="last_name"
        autoComplete="family-name"
        defaultValue={known?.last_name ?? customer?.last_name ?? ""}
      />
      <Field label={t.street} name="address_1" autoComplete="address-line1" defaultValue={known?.address_1 ?? ""} />
      <Field label={t.postalCode} name="postal_code" autoComplete="postal-code" defaultValue={known?.postal_code ?? ""} />
      <Field label={t.city} name="city" autoComplete="address-level2" defaultValue={known?.city ?? ""} />
      <label className="field">
        <span>{t.country}</span>
        <select name="country_code" autoComplete="country" defaultValue={known?.country_code ?? countries[0]?.iso_2}>
          {countries.map(({ iso_2 = "" }) => (
            <option key={iso_2} value={iso_2}>
              {countryName(iso_2)}
            </option>
          ))}
        </select>
      </label>
    </Form>
  )
}
