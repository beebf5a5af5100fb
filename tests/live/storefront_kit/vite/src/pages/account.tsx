import * as dust from "dust-storefront-kit/react"

export const page = (
  <>
    <dust.BalanceSummary />
    <dust.TierProgress />
    <dust.PendingList />
    <dust.ExpiringList />
    <dust.OpenRedemptions />
    <dust.History />
    <dust.Referral />
  </>
)
