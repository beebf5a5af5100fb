"""Forecast what an order would earn, by settlement's own computation. Reads only, without locks."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from bridge.medusa.orders import Order
from bridge.programme.breakdown import RulePart, break_down
from bridge.programme.versions import longest_limit_window
from bridge.settlement.compute import compute
from bridge.settlement.load import load
from bridge.settlement.repository import SettlementRow


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The points that an order would earn if it were placed now and paid.

    For a guest they would be in escrow. `why` says why they are none, or limited.
    """

    dust: int
    breakdown: tuple[RulePart, ...]
    why: str | None
    programme_version: int
    tier: str | None


def forecast(connection: Connection, order: Order, *, now: datetime) -> Forecast:
    """Return what the order would earn under the rules in force now, after its customer's other orders."""
    return forecast_each(connection, [order], now=now)[0]


def forecast_each(connection: Connection, orders: list[Order], *, now: datetime) -> list[Forecast]:
    """Forecast each of these orders by itself, as if the others were not placed. All are of one customer."""
    if not orders:
        return []
    loaded = load(
        connection,
        orders,
        {order.id: SettlementRow(order_id=order.id) for order in orders},
        longest_limit_days=longest_limit_window(connection),
        lock=False,
        now=now,
    )
    forecasts = []
    for loaded_order in loaded.orders:
        [plan] = compute(replace(loaded, orders=(loaded_order,)), now=now).orders
        forecasts.append(
            Forecast(
                dust=plan.dust,
                breakdown=break_down(plan.earned, loaded_order.terms, tier=plan.tier, dust=plan.dust),
                why=plan.allowed.why,
                programme_version=plan.loaded.version.number,
                tier=plan.tier["name"] if plan.tier else None,
            )
        )
    return forecasts
