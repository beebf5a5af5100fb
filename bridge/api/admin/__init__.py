"""Admin API: for merchants and operators. CONTRACT, "Admin API", has the paths and keys."""

from bridge.api.admin import (
    bonuses,
    customers,
    events,
    guests,
    orders,
    outgoing_webhooks,
    overview,
    products,
    programme,
    reconcile,
    redemptions,
    reports,
)

ROUTERS = (
    overview.router,
    products.router,
    customers.router,
    orders.router,
    redemptions.router,
    events.router,
    programme.router,
    reconcile.router,
    bonuses.router,
    guests.router,
    outgoing_webhooks.router,
    reports.router,
)
