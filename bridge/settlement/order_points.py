"""What an order did to its customer's points, and the number that the customer knows it by."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, select

from bridge.db.bulk import among
from bridge.db.rows import TypedRow
from bridge.errors import NotFound
from bridge.ids import CustomerId, OrderId
from bridge.ledger.customer_statement import EntryState
from bridge.ledger.postings import Kind
from bridge.ledger.tables import dust_lot, dust_transaction
from bridge.programme.breakdown import RulePart, break_down
from bridge.programme.earning import SHIPPING, Earning
from bridge.programme.spending import dust_for_value
from bridge.redemptions.tables import dust_redemption, dust_redemption_code
from bridge.settlement.stored_lines import StoredLine, read_lines, uses_by_code
from bridge.settlement.tables import order_settlement


class OrderNotFound(NotFound):
    """The order does not exist, was not settled yet, or belongs to another customer."""

    code = "order_not_found"
    message = "This order was not found among yours."


class OrderNotSettled(NotFound):
    """Dust has no such order, or has not settled it yet."""

    code = "order_not_settled"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Dust has not settled the order {order_id}.", order_id=order_id)


@dataclass(frozen=True, kw_only=True)
class LinePoints:
    """Points that paid for units of a line."""

    line_item_id: str
    dust: int


@dataclass(frozen=True, kw_only=True)
class OrderPoints(TypedRow):
    """What one order did to its customer's points. All figures are 0 or more."""

    order_id: OrderId
    customer_id: CustomerId | None
    """Medusa's record of the guest for a guest's order that nobody has claimed."""
    order_number: str | None
    earned: int
    """What the customer has from it now, pending points included. Expired points count as long as it is worth them."""
    breakdown: tuple[RulePart, ...]
    """`earned` by the rules that give it; empty if rules do not explain all of it."""
    pending: int
    """The part of `earned` that has not matured."""
    matures_at: datetime | None
    """When the first of those mature; None: when the order is paid, or nothing is pending."""
    taken_back: int
    """What it had earned before, and what was taken back when it was canceled, returned or changed."""
    spent: int
    """What was spent on it, before anything was given back."""
    spent_on_lines: tuple[LinePoints, ...]
    """The part of `spent` that paid for units of products, as the order was placed."""
    given_back: int
    """The part of `spent` that was given back when it was canceled, returned or changed."""
    waits: bool
    """Whether it will earn later: when it is paid or completed, as the programme says."""
    placed_at: datetime | None
    escrow: int
    """What a guest can claim of it."""
    note: str | None
    """Why it earns nothing, or less than it is worth."""

    @property
    def state(self) -> EntryState:
        return EntryState.PENDING if self.pending or self.waits else EntryState.BOOKED


def read_order_points(connection: Connection, customer_id: CustomerId, order_id: OrderId) -> OrderPoints:
    """Return what this order of the customer did to their points. Raises `OrderNotFound`."""
    orders = read_points_of_orders(connection, customer_id, [order_id])
    if not orders:
        raise OrderNotFound
    return orders[0]


def read_points_of_orders(
    connection: Connection, customer_id: CustomerId, order_ids: Collection[OrderId]
) -> list[OrderPoints]:
    """Return what these orders of the customer did to their points, newest first. Others are left out."""
    order = order_settlement.c
    query = (
        select(order_settlement)
        .where(among(order.order_id, list(order_ids)), order.customer_id == customer_id)
        .where(order.facts_version.is_not(None))
        .order_by(order.placed_at.desc(), order.order_id.desc())
    )
    return [_order_points(connection, row) for row in connection.execute(query).all()]


def read_any_order_points(connection: Connection, order_id: OrderId) -> OrderPoints:
    """Return what this order did to the points of the customer whom it belongs to. Raises `OrderNotSettled`."""
    order = order_settlement.c
    query = select(order_settlement).where(order.order_id == order_id, order.facts_version.is_not(None))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise OrderNotSettled(order_id)
    return _order_points(connection, row)


def _order_points(connection: Connection, row: Row[Any]) -> OrderPoints:
    customer_id, order_id = row.customer_id, row.order_id
    lots = dust_lot.c
    pending = connection.execute(
        select(
            func.coalesce(func.sum(lots.remaining), 0).label("amount"), func.min(lots.matures_at).label("matures_at")
        )
        # Merged accounts: the lots are carried over, and what they have is no longer this account's.
        .where(lots.customer_id == customer_id, lots.source_id == order_id, lots.remaining > 0, ~lots.matured)
    ).one()
    spent, given_back = _spent(connection, customer_id, order_id)
    lines = read_lines(row.lines)
    return OrderPoints.from_row(
        row,
        earned=row.booked - row.expired,
        breakdown=_breakdown(row, lines),
        pending=int(pending.amount),
        matures_at=pending.matures_at,
        spent=spent,
        spent_on_lines=_spent_on_lines(connection, row, lines),
        given_back=given_back,
        waits=not (row.earning_due or row.facts_canceled or row.gone),
        escrow=row.escrowed,
    )


def _breakdown(row: Row[Any], lines: Mapping[str, StoredLine]) -> tuple[RulePart, ...]:
    # Points that a former owner keeps, or that the customer keeps although the order is no longer worth them, come from
    # no rule.
    earned = row.booked - row.expired
    if not earned or row.not_taken > row.expired or row.former_share is not None:
        return ()
    points = {line_id: line.points for line_id, line in lines.items()}
    if row.shipping_points is not None:
        points[SHIPPING] = row.shipping_points
    terms = {line_id: line.terms for line_id, line in lines.items()}
    return break_down(Earning(dust=earned, lines=points), terms, tier=row.tier)


def _spent_on_lines(connection: Connection, row: Row[Any], lines: Mapping[str, StoredLine]) -> tuple[LinePoints, ...]:
    uses, codes = uses_by_code(lines), dust_redemption_code.c
    if not uses:
        return ()
    query = (
        select(codes.code, codes.dust, codes.quantity)
        .join(dust_redemption, dust_redemption.c.id == codes.redemption_id)
        .where(among(codes.code, list(uses)), codes.order_id == row.order_id, codes.product_id.is_not(None))
        .where(dust_redemption.c.customer_id == row.customer_id)
    )
    spent: dict[str, int] = {}
    for code in connection.execute(query.order_by(codes.code)):
        for line_id, use in uses[code.code].items():
            dust = dust_for_value(Decimal(code.dust) / code.quantity, use.units)
            if dust:
                spent[line_id] = spent.get(line_id, 0) + dust
    return tuple(LinePoints(line_item_id=line_id, dust=dust) for line_id, dust in spent.items())


def spending_on(order_id: OrderId) -> ColumnElement[bool]:
    """Ledger rows of redemptions that were spent on the order or given back."""
    rows = dust_transaction.c
    return and_(rows.reference_type == "redemption", rows.order_id == order_id)


def _spent(connection: Connection, customer_id: CustomerId | None, order_id: OrderId) -> tuple[int, int]:
    """Return what redemptions spent on the order, and how much was given back."""
    rows = dust_transaction.c
    query = select(
        func.coalesce(func.sum(case((rows.kind == Kind.REDEEM, -rows.amount))), 0),
        func.coalesce(func.sum(case((rows.kind == Kind.REFUND, rows.amount))), 0),
    ).where(rows.customer_id == customer_id, spending_on(order_id))
    spent, given_back = connection.execute(query).one()
    return int(spent), int(given_back)


def read_order_numbers(connection: Connection, order_ids: Collection[str]) -> dict[str, str]:
    """Return the numbers of these orders; an order whose number is not known is left out."""
    if not order_ids:
        return {}
    order = order_settlement.c
    query = select(order.order_id, order.order_number).where(
        among(order.order_id, list(order_ids)), order.order_number.is_not(None)
    )
    return {row.order_id: row.order_number for row in connection.execute(query)}
