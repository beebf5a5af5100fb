"""Escrow: points of guests' orders, held until the guest claims them with a proof, or the time is over.

Settlement keeps the escrow at the order's target, whatever happens to the order meanwhile. Claiming is in `claims.py`.

Locks: `order_settlement`, then `guest_escrow`, each by order id, before any account.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.db.bulk import among
from bridge.db.rows import TypedRow
from bridge.errors import NotFound
from bridge.ids import CustomerId, OrderId
from bridge.medusa.orders import Order
from bridge.programme.versions import Version
from bridge.settlement.email_hash import email_hash_key, hash_email
from bridge.settlement.repository import lock_rows
from bridge.settlement.tables import EscrowState, Proof, guest_escrow, guest_escrow_entry, order_settlement

_EXPIRED = "A guest's order: nobody claimed its points in time."
_NO_EMAIL = "A guest's order without an e-mail: nobody could claim its points."


class UnknownEscrow(NotFound):
    """The order never had an escrow."""

    code = "unknown_escrow"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"No points of order {order_id} were ever in escrow.")


@dataclass(frozen=True, kw_only=True)
class Escrow(TypedRow):
    """The escrow of one guest's order. `dust` is in points, and 0 unless the state is `waiting`."""

    order_id: OrderId
    email_hash: bytes | None = field(default=None, repr=False)
    erased: bool = False
    state: EscrowState = EscrowState.WAITING
    dust: int = 0
    customer_id: CustomerId | None = None
    proof: Proof | None = None
    claimed_at: datetime | None = None
    placed_at: datetime
    expires_at: datetime

    def due(self, moment: datetime) -> bool:
        """Whether its time to be claimed is over, while it is not yet stored as expired."""
        return self.state is EscrowState.WAITING and self.expires_at <= moment

    def claimable(self, moment: datetime) -> bool:
        return self.state is EscrowState.WAITING and self.expires_at > moment

    def claimed_by(self, customer_id: CustomerId, proof: Proof, *, now: datetime) -> "Escrow":
        return replace(
            self,
            state=EscrowState.CLAIMED,
            dust=0,
            email_hash=None,
            customer_id=customer_id,
            proof=proof,
            claimed_at=now,
        )

    def as_expired(self) -> "Escrow":
        return replace(self, state=EscrowState.EXPIRED, dust=0, email_hash=None)


@dataclass(frozen=True, kw_only=True)
class Entry(TypedRow):
    """One change of an order's escrow."""

    order_id: OrderId
    amount: int
    kind: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class EscrowTotals:
    """Totals of all waiting escrows."""

    orders: int
    dust: int


def lock_escrows(connection: Connection, order_ids: Iterable[str]) -> dict[OrderId, Escrow]:
    """Lock and return the escrows of these orders. The caller has locked their rows in `order_settlement`."""
    ids = list(order_ids)
    if not ids:
        return {}
    query = select(guest_escrow).where(among(guest_escrow.c.order_id, ids)).order_by(guest_escrow.c.order_id)
    return {OrderId(row.order_id): Escrow.from_row(row) for row in connection.execute(query.with_for_update())}


def open_escrow(order: Order, known: Escrow | None, version: Version, *, now: datetime) -> Escrow | None:
    """Return the escrow of an order by its present facts, before its points are computed; None if it needs none.

    A transfer to an account counts as a claim. An escrow whose time is over is expired. A draft has none: the time to
    claim its points begins when it becomes an order.
    """
    if known is None:
        if order.is_draft or not order.is_guest or not order.email:
            return None
        expires_at = order.placed_at + timedelta(days=version.programme.guests.escrow_days)
        known = Escrow(order_id=order.id, placed_at=order.placed_at, expires_at=expires_at)
    if known.state is EscrowState.EXPIRED or known.due(now):
        return known.as_expired()
    if not order.is_guest and order.customer_id is not None and known.customer_id != order.customer_id:
        return known.claimed_by(order.customer_id, Proof.TRANSFER, now=now)
    return known


def owner_of(order: Order, escrow: Escrow | None) -> CustomerId | None:
    """Return the owner of the order's points: the account of the order, or the one that has claimed it."""
    return (escrow.customer_id if escrow else None) if order.is_guest else order.customer_id


def why_nobody_earns(order: Order, escrow: Escrow | None) -> str | None:
    """Return why an order earns neither for an account nor for a guest; None when it earns."""
    if escrow is not None and escrow.state is EscrowState.EXPIRED:
        return _EXPIRED
    return _NO_EMAIL if order.is_guest and escrow is None else None


def settle_escrows(
    connection: Connection, settled: Iterable[tuple[Order, Escrow | None, Escrow, int]], *, now: datetime
) -> None:
    """Write the escrows after settling: for each order its old and new escrow, and the points to hold."""
    changes = []
    for order, known, escrow, dust in settled:
        after = escrow
        if escrow.state is EscrowState.WAITING:
            after = replace(escrow, dust=dust)
            if order.email and not escrow.erased:
                # Written each time: the first facts may have come without an e-mail, and a new key gives another hash.
                after = replace(after, email_hash=hash_email(email_hash_key(connection, now=now), order.email))
        if after != known:
            changes.append((known, after))
    write_escrows(connection, changes, now)


def due_escrows(connection: Connection, *, now: datetime, limit: int) -> list[OrderId]:
    """Return the orders of escrows that were not claimed in time, those that ended first."""
    due = select(guest_escrow.c.order_id).where(
        guest_escrow.c.state == EscrowState.WAITING, guest_escrow.c.expires_at <= now
    )
    order_ids = connection.scalars(due.order_by(guest_escrow.c.expires_at).limit(limit))
    return [OrderId(order_id) for order_id in order_ids]


def expire_escrows(connection: Connection, order_ids: Sequence[OrderId], *, now: datetime) -> None:
    """Expire the escrows of these orders, if they were not claimed meanwhile."""
    lock_rows(connection, order_ids)
    over = [escrow for escrow in lock_escrows(connection, order_ids).values() if escrow.due(now)]
    write_escrows(connection, [(escrow, escrow.as_expired()) for escrow in over], now)
    connection.execute(
        update(order_settlement)
        .where(among(order_settlement.c.order_id, [escrow.order_id for escrow in over]))
        .values(
            escrowed=0,
            # Only what former owners keep is left.
            worth=func.least(order_settlement.c.worth, func.coalesce(order_settlement.c.former_share, 0)),
            note=_EXPIRED,
            updated_at=now,
        )
    )


def unlink_guest_orders(connection: Connection, customer_ids: Iterable[CustomerId], *, now: datetime) -> None:
    """Delete the link from guests' orders to these customers; the points stay in escrow until they expire."""
    erased = list(customer_ids)
    theirs = or_(among(order_settlement.c.customer_id, erased), among(order_settlement.c.buyer_id, erased))
    ids = select(guest_escrow.c.order_id).join(
        order_settlement, order_settlement.c.order_id == guest_escrow.c.order_id
    )  # fmt: skip
    known = lock_escrows(connection, list(connection.scalars(ids.where(theirs, ~guest_escrow.c.erased))))
    write_escrows(
        connection, [(escrow, replace(escrow, email_hash=None, erased=True)) for escrow in known.values()], now
    )


def write_escrows(connection: Connection, changes: Sequence[tuple[Escrow | None, Escrow]], now: datetime) -> None:
    """Write the rows, and an entry for each change. No other function writes escrows."""
    if not changes:
        return
    rows = [after.columns() | {"updated_at": now} for _, after in changes]
    statement = insert(guest_escrow)
    changing = {name: statement.excluded[name] for name in rows[0] if name != "order_id"}
    connection.execute(statement.on_conflict_do_update(index_elements=["order_id"], set_=changing), rows)
    entries = [
        {"order_id": after.order_id, "amount": amount, "kind": _entry_kind(after, amount), "created_at": now}
        for before, after in changes
        if (amount := after.dust - (before.dust if before else 0))
    ]
    if entries:
        connection.execute(guest_escrow_entry.insert(), entries)


def _entry_kind(after: Escrow, amount: int) -> str:
    if after.state is not EscrowState.WAITING:
        return after.state.value
    return "escrowed" if amount > 0 else "taken_back"


def list_escrows(
    connection: Connection, *, state: EscrowState | None = None, before: str | None = None, limit: int
) -> list[Escrow]:
    """List escrows, newest orders first."""
    query = select(guest_escrow).order_by(guest_escrow.c.order_id.desc()).limit(limit)
    if state is not None:
        query = query.where(guest_escrow.c.state == state)
    if before is not None:
        query = query.where(guest_escrow.c.order_id < before)
    return [Escrow.from_row(row) for row in connection.execute(query)]


def read_escrow(connection: Connection, order_id: OrderId) -> Escrow:
    """Return the escrow of one order. Raises `UnknownEscrow`."""
    query = select(guest_escrow).where(guest_escrow.c.order_id == order_id)
    return Escrow.read_one(connection, query, otherwise=UnknownEscrow(order_id))


def read_entries(connection: Connection, order_id: OrderId) -> list[Entry]:
    """Return the changes of one order's escrow, oldest first."""
    query = select(guest_escrow_entry).where(guest_escrow_entry.c.order_id == order_id)
    return [Entry.from_row(row) for row in connection.execute(query.order_by(guest_escrow_entry.c.id))]


def escrows_of(connection: Connection, customer_id: CustomerId) -> dict[OrderId, Escrow]:
    """Return the guests' orders that this customer has claimed."""
    rows = connection.execute(select(guest_escrow).where(guest_escrow.c.customer_id == customer_id))
    return {OrderId(row.order_id): Escrow.from_row(row) for row in rows}


def read_escrow_totals(connection: Connection) -> EscrowTotals:
    """Return how many orders are in escrow, and how many points."""
    figures = select(func.count().label("orders"), func.coalesce(func.sum(guest_escrow.c.dust), 0).label("dust"))
    row = connection.execute(figures.where(guest_escrow.c.state == EscrowState.WAITING)).one()
    return EscrowTotals(orders=row.orders, dust=int(row.dust))


def escrowed_at(connection: Connection, moment: datetime) -> int:
    """Return how many points were in escrow at `moment`."""
    query = select(func.coalesce(func.sum(guest_escrow_entry.c.amount), 0))
    return int(connection.scalar(query.where(guest_escrow_entry.c.created_at <= moment)) or 0)


def lacks_email_hash() -> ColumnElement[bool]:
    """Condition on `order_settlement`: a guest's order that cannot be claimed by its e-mail yet.

    It was settled before Dust had an escrow, or its hash was deleted with an old key.
    """
    has_what_it_needs = (
        select(guest_escrow.c.order_id)
        .where(
            guest_escrow.c.order_id == order_settlement.c.order_id,
            or_(
                guest_escrow.c.email_hash.is_not(None),
                guest_escrow.c.erased,
                guest_escrow.c.state != EscrowState.WAITING,
            ),
        )
        .exists()
    )
    return order_settlement.c.guest & ~has_what_it_needs
