import type { HttpTypes } from "@medusajs/types"
import { applyCode, removeCode } from "@/lib/actions"
import { getTexts } from "@/lib/language"
import { versionOf } from "./cart-lines"
import { Field, Form } from "./form"

/** Codes of points have their own place: the kit's panel lists and removes them. */
const POINTS_CODE = /^DUST-/

/** The shop's own codes. */
export async function Coupons({ cart }: { cart: HttpTypes.StoreCart }) {
  const { coupons: t } = await getTexts()
  const codes = cart.promotions.flatMap(({ code, is_automatic: automatic }) => (code && !automatic ? [code] : []))
  return (
    <div className="panel">
      <h2>{t.heading}</h2>
      <Form action={applyCode} submit={t.apply} className="coupon" about={versionOf(cart)} quiet>
        {/* The key empties the field when a code has come into the cart. */}
        <Field key={codes.join()} label={t.code} name="code" autoComplete="off" />
      </Form>
      <ul>
        {codes
          .filter((code) => !POINTS_CODE.test(code))
          .map((code) => (
            <li key={code}>
              <Form action={removeCode} submit={t.remove(code)} about={versionOf(cart)} quiet>
                <input type="hidden" name="code" value={code} />
              </Form>
            </li>
          ))}
      </ul>
    </div>
  )
}
