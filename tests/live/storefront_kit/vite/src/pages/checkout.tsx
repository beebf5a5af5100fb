import { CheckoutPanel, EarnHint, GuestNudge } from "dust-storefront-kit/react"

export const page = (
  <>
    <EarnHint cart />
    <CheckoutPanel />
    <GuestNudge />
  </>
)
