"""Admin API: for merchants and operators. `openapi.json` has the paths and keys."""

from bridge.api.admin import (
    alerts,
    bonuses,
    customers,
    drafts,
    events,
    guests,
    members,
    orders,
    outgoing_webhooks,
    overview,
    products,
    programme,
    reconcile,
    redemptions,
    reports,
    simulations,
)

ROUTERS = (
    overview.router,
    alerts.router,
    products.router,
    members.router,
    customers.router,
    orders.router,
    redemptions.router,
    events.router,
    programme.router,
    drafts.router,
    simulations.router,
    reconcile.router,
    bonuses.router,
    guests.router,
    outgoing_webhooks.router,
    reports.router,
)
