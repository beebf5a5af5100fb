import { EarnHint, PointsPrice } from "dust-storefront-kit/react"

export const page = (
  <>
    <PointsPrice productId="prod_1" amount="10.00" />
    <EarnHint productId="prod_1" amount="10.00" />
  </>
)
