"""Rows of `order_settlement`: read, lock, add and update them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, select

from bridge.db.bulk import Values, among, insert_missing, update_rows
from bridge.db.rows import TypedRow
from bridge.ids import CustomerId, OrderId
from bridge.programme.limits import Allowed
from bridge.settlement.shares import Share
from bridge.settlement.tables import order_settlement

PENDING_UNTIL_PAID = "Its points are pending until the order is paid."


@dataclass(frozen=True, kw_only=True)
class SettlementRow(TypedRow):
    """What is stored of an order, as `tables.py` describes it. The defaults are those of an order without a row."""

    order_id: OrderId
    stored: bool = False
    """Whether the order has a row."""
    customer_id: CustomerId | None = None
    buyer_id: CustomerId | None = None
    guest: bool = False
    facts_version: int | None = None
    facts_updated_at: datetime | None = None
    facts_money: Decimal = Decimal(0)
    facts_canceled: bool = False
    gone: bool = False
    revision: int = 0
    placed_at: datetime | None = None
    programme_version: int | None = None
    earning_due: bool = False
    paid: bool = False
    pending_until_paid: bool = False
    booked: int = 0
    not_taken: int = 0
    expired: int = 0
    taken_back: int = 0
    worth: int = 0
    former_share: int | None = None
    escrowed: int = 0
    worth_note: str | None = None
    lines: Mapping[str, Any] = field(default_factory=dict)
    tier: Mapping[str, str] | None = None
    order_number: str | None = None

    @property
    def is_new(self) -> bool:
        """Whether the next settlement is the order's first one.

        Settlements as a draft, and a backfill that only pinned its rules, do not count as earlier ones.
        """
        return self.programme_version is None or self.facts_version is None

    @property
    def was_draft(self) -> bool:
        """Whether the order was settled as a draft only."""
        return self.facts_version is not None and self.programme_version is None

    @property
    def share(self) -> Share:
        """The share of the customer that owned the order at its last settlement."""
        return Share(
            customer_id=self.customer_id,
            booked=self.booked,
            not_taken=self.not_taken,
            expired=self.expired,
            taken_back=self.taken_back,
        )

    def note_for(self, allowed: Allowed) -> str | None:
        """Return the note of an order with an owner, once limits across several orders allow it this."""
        pending = PENDING_UNTIL_PAID if self.pending_until_paid and allowed.dust else None
        return allowed.why or self.worth_note or pending


def lock_rows(connection: Connection, order_ids: Collection[OrderId]) -> dict[OrderId, SettlementRow]:
    """Lock the rows of these orders, by id; an order without a row gets the defaults."""
    chosen = select(order_settlement).where(among(order_settlement.c.order_id, sorted(order_ids)))
    return _by_order(order_ids, _read(connection, chosen.order_by(order_settlement.c.order_id).with_for_update()))


def read_rows(connection: Connection, order_ids: Collection[OrderId]) -> dict[OrderId, SettlementRow]:
    """Read the rows of these orders without locks; an order without a row gets the defaults."""
    chosen = select(order_settlement).where(among(order_settlement.c.order_id, sorted(order_ids)))
    return _by_order(order_ids, _read(connection, chosen))


def rows_of_customers(
    connection: Connection, customers: Collection[CustomerId], *, placed_after: datetime
) -> list[SettlementRow]:
    """Return the settled orders of these customers, without drafts."""
    orders = order_settlement.c
    return _read(
        connection,
        select(order_settlement).where(
            among(orders.customer_id, list(customers)),
            orders.programme_version.is_not(None),
            orders.placed_at > placed_after,
        ),
    )


def add_rows(connection: Connection, rows: Sequence[Values]) -> bool:
    """Add rows, sorted by order; return False if another transaction has added one of them meanwhile."""
    return len(insert_missing(connection, order_settlement, rows, returning="order_id")) == len(rows)


def change_rows(connection: Connection, rows: Sequence[Values]) -> None:
    """Update rows; all have the same columns, `order_id` among them."""
    update_rows(connection, order_settlement, rows, key=("order_id",))


def orders_with_unpaid_dust_only(connection: Connection, *, limit: int) -> list[OrderId]:
    """Return the newest orders with points-only products that were not paid with points."""
    query = select(order_settlement.c.order_id).where(order_settlement.c.unpaid_dust_only)
    newest = query.order_by(order_settlement.c.order_id.desc()).limit(limit)
    return [OrderId(order_id) for order_id in connection.scalars(newest)]


def _read(connection: Connection, query: Select[Any]) -> list[SettlementRow]:
    return [SettlementRow.from_row(row, stored=True) for row in connection.execute(query)]


def _by_order(order_ids: Collection[OrderId], rows: list[SettlementRow]) -> dict[OrderId, SettlementRow]:
    known = {row.order_id: row for row in rows}
    return {order_id: known.get(order_id) or SettlementRow(order_id=order_id) for order_id in order_ids}
