"""Compare what a cart's last quote said with what its order earns.

A quote stores its forecast; the settlement with which the order first earns compares. A forecast that was not kept has
a reason; `unexplained` means a fault of Dust.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.dialects.postgresql import insert

from bridge.db.bulk import among, update_rows
from bridge.medusa.amounts import plain_text
from bridge.medusa.exchanges import MoneyKept
from bridge.medusa.orders import Order
from bridge.settlement.compute import OrderPlan
from bridge.settlement.forecast import Forecast
from bridge.settlement.tables import ForecastOutcome, cart_forecast

# How long forecasts are stored, and so how far back a report reaches.
FORECAST_RETENTION = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class ForecastOutcomes:
    """How many forecasts had each outcome, and the orders without an explanation, newest first."""

    since: datetime
    outcomes: dict[ForecastOutcome, int]
    unexplained: tuple[str, ...]

    @property
    def orders(self) -> int:
        return sum(self.outcomes.values())


def store_forecast(connection: Connection, order: Order, forecast: Forecast, *, now: datetime) -> None:
    """Store the last forecast of a cart, `order` being what it would become. Does nothing once it was ordered."""
    values = {
        "dust": forecast.dust,
        "programme_version": forecast.programme_version,
        "cart_hash": _hash(order),
        "tier": forecast.tier,
        "quoted_at": now,
    }
    statement = insert(cart_forecast).values(cart_id=order.cart_id, **values)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["cart_id"], set_=values, where=cart_forecast.c.settled_at.is_(None)
        )
    )


def compare_forecasts(connection: Connection, settled: Iterable[OrderPlan], *, now: datetime) -> None:
    """Compare the forecasts of orders that earn for the first time with this settlement."""
    by_cart = {
        plan.loaded.order.cart_id: plan
        for plan in settled
        if plan.loaded.order.cart_id
        and plan.earning_due
        and not (plan.loaded.row.earning_due or plan.loaded.order.canceled)
    }
    if not by_cart:
        return
    query = select(cart_forecast).where(
        among(cart_forecast.c.cart_id, list(by_cart)), cart_forecast.c.settled_at.is_(None)
    )
    rows = [
        {
            "cart_id": row.cart_id,
            "order_id": plan.order_id,
            "earned": plan.dust,
            "outcome": _outcome(row, plan),
            "settled_at": now,
        }
        for row in connection.execute(query.order_by(cart_forecast.c.cart_id).with_for_update())
        for plan in (by_cart[row.cart_id],)
    ]
    update_rows(connection, cart_forecast, rows, key=("cart_id",))


def _outcome(row: Row[Any], plan: OrderPlan) -> ForecastOutcome:
    if plan.dust == row.dust:
        return ForecastOutcome.KEPT
    if plan.loaded.version.number != row.programme_version:
        return ForecastOutcome.RULES_CHANGED
    if _hash(plan.loaded.order) != row.cart_hash or plan.loaded.order.money_kept != MoneyKept():
        return ForecastOutcome.CART_CHANGED
    limited = plan.allowed.dust < plan.earned.dust
    if limited or row.tier != (plan.tier["name"] if plan.tier else None):
        return ForecastOutcome.OTHER_ORDERS
    return ForecastOutcome.UNEXPLAINED


def _hash(order: Order) -> str:
    """Return a hash of what decides how much the order earns, except for the rules and other orders."""
    lines = sorted(
        [
            f"{line.product_id}",
            _plain(line.units),
            _plain(line.gross),
            sorted(line.category_ids),
            f"{line.collection_id}",
        ]
        for line in order.lines
    )
    kept = _plain(order.money_kept_without_credit.bought)
    parts = [order.currency_code, lines, _plain(order.shipping_gross), sorted(order.customer_group_ids), kept]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _plain(amount: Decimal) -> str:
    return plain_text(round(amount, 4))


def read_forecast_outcomes(connection: Connection, *, since: datetime) -> ForecastOutcomes:
    """Return what came of the forecasts of orders that first earned since then."""
    columns = cart_forecast.c
    counts = select(columns.outcome, func.count().label("orders")).where(columns.settled_at >= since)
    unexplained = select(columns.order_id).where(
        columns.settled_at >= since, columns.outcome == ForecastOutcome.UNEXPLAINED
    )
    numbers = {row.outcome: row.orders for row in connection.execute(counts.group_by(columns.outcome))}
    return ForecastOutcomes(
        since=since,
        outcomes={outcome: numbers.get(outcome, 0) for outcome in ForecastOutcome},
        unexplained=tuple(connection.scalars(unexplained.order_by(columns.settled_at.desc()).limit(100))),
    )


def delete_old_forecasts(connection: Connection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` forecasts that were quoted before `before`; return how many."""
    old = select(cart_forecast.c.cart_id).where(cart_forecast.c.quoted_at < before).limit(limit)
    return connection.execute(cart_forecast.delete().where(cart_forecast.c.cart_id.in_(old))).rowcount
