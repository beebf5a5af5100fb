"""Store API: the customer's own balance, transactions and redemptions, and what a storefront may show to everybody.

`openapi.json` has the paths and keys.
"""

from bridge.api.store import (
    balance,
    forecast,
    orders,
    products,
    programme,
    quotes,
    redeem,
    redemptions,
    referral,
    rewards,
    transactions,
)

ROUTERS = (
    programme.router,
    rewards.router,
    balance.router,
    transactions.router,
    orders.router,
    products.router,
    quotes.router,
    forecast.router,
    redeem.router,
    redemptions.router,
    referral.router,
)
