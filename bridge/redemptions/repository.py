"""Rows of redemptions as typed values: read, lock and search them, and save what has changed.

`lifecycle.py` alone changes a state.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, update

from bridge.db.bulk import among, matching
from bridge.db.rows import TypedRow
from bridge.errors import NotFound
from bridge.ids import CustomerId, OrderId, ProductId
from bridge.medusa.carts import Cart
from bridge.programme.shop_currencies import load_currencies
from bridge.redemptions.pricing.basket import OpenCode
from bridge.redemptions.pricing.terms import CodeTerms, Terms
from bridge.redemptions.tables import OPEN_STATES, RedemptionState, dust_redemption, dust_redemption_code

# How long a task may take to start on a due redemption before it is enqueued again.
ENQUEUE_GRACE = timedelta(seconds=60)


class UnknownRedemption(NotFound):
    """The redemption does not exist, or belongs to another customer."""

    code = "unknown_redemption"
    message = "This code is not in your account. Please reload the page."


@dataclass(frozen=True, kw_only=True)
class Code(CodeTerms, TypedRow):
    """One promotion code of a redemption: its terms, and what the order that used it has taken of it."""

    code: str
    promotion_id: str | None = None
    order_id: OrderId | None = None
    dust_captured: int = 0


@dataclass(frozen=True, kw_only=True)
class Redemption(Terms, TypedRow):
    """A redemption, with its terms and codes, as read from the database. The defaults are those of a new one."""

    id: str
    customer_id: CustomerId
    state: RedemptionState
    dust_captured: int = 0
    cart_id: str | None
    order_id: OrderId | None = None
    expires_at: datetime
    reason: str | None = None
    programme_version: int
    release_requested_at: datetime | None = None
    attempts: int = 0
    next_step_at: datetime | None
    """When `medusa_sync.advance` does the next step. Which one depends on the redemption:

    - if it should be withdrawn: delete its promotions and release the points
    - pending: create its promotions
    - active: ask whether its codes have left the cart
    - captured, released or failed: delete promotions that are left over

    A failed step is repeated later. None if there is no step before it expires.
    """
    created_at: datetime
    codes: tuple[Code, ...]
    lease: str | None = None
    """The token of the worker that may call Medusa for it, until `leased_until`."""
    leased_until: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether points are still held for it."""
        return self.state in OPEN_STATES

    @property
    def unused_codes(self) -> list[Code]:
        """The codes that no order has used."""
        return [code for code in self.codes if code.order_id is None]


# What changes during its life. `state` is missing here: `lifecycle.py` alone writes it.
_MUTABLE_COLUMNS = (
    "dust_captured", "order_id", "reason", "release_requested_at", "lease", "leased_until", "attempts",
    "next_step_at",
)  # fmt: skip


def changed_values(redemption: Redemption, *, now: datetime) -> dict[str, Any]:
    """Return what `save_redemption` writes, by column."""
    return {name: getattr(redemption, name) for name in _MUTABLE_COLUMNS} | {"updated_at": now}


def save_redemption(connection: Connection, redemption: Redemption, *, now: datetime) -> None:
    """Write what may have changed, without the state. The row was locked and read in this transaction."""
    connection.execute(
        update(dust_redemption)
        .where(dust_redemption.c.id == redemption.id)
        .values(**changed_values(redemption, now=now))
    )


def read_redemption(connection: Connection, customer_id: CustomerId, redemption_id: str) -> Redemption:
    """Return a redemption of this customer. Raises `UnknownRedemption`, also for another customer's."""
    redemptions = _load(connection, [redemption_id])
    if not redemptions or redemptions[0].customer_id != customer_id:
        raise UnknownRedemption(redemption_id=redemption_id)
    return redemptions[0]


def pending_among(connection: Connection, redemption_ids: Collection[str]) -> set[str]:
    """Return the redemptions among these whose promotions are not created yet."""
    columns = dust_redemption.c
    query = select(columns.id).where(among(columns.id, redemption_ids), columns.state == RedemptionState.PENDING)
    return set(connection.scalars(query))


def list_redemptions(
    connection: Connection,
    *,
    customer_id: CustomerId | None = None,
    state: RedemptionState | None = None,
    cart_id: str | None = None,
    before: str | None = None,
    limit: int,
) -> list[Redemption]:
    """List redemptions, newest first, of one customer or of all."""
    columns = dust_redemption.c
    wanted = {columns.customer_id: customer_id, columns.state: state, columns.cart_id: cart_id}
    query = select(columns.id).where(*matching(wanted)).order_by(columns.id.desc()).limit(limit)
    if before is not None:
        query = query.where(dust_redemption.c.id < before)
    ids = list(connection.scalars(query))
    return sorted(_load(connection, ids), key=lambda redemption: redemption.id, reverse=True)


def lock_redemption(connection: Connection, redemption_id: str) -> Redemption:
    """Lock the redemption until the transaction ends, and return it. Raises `UnknownRedemption`."""
    redemptions = _load(connection, [redemption_id], lock=True)
    if not redemptions:
        raise UnknownRedemption(redemption_id=redemption_id)
    return redemptions[0]


def lock_open_redemptions(connection: Connection, customer_id: CustomerId) -> list[Redemption]:
    """Lock the customer's open redemptions, in id order. One may have ended before it was locked."""
    open_ids = select(dust_redemption.c.id).where(
        dust_redemption.c.customer_id == customer_id, dust_redemption.c.state.in_(OPEN_STATES)
    )
    return _load(connection, list(connection.scalars(open_ids)), lock=True)


def redemptions_of_orders(
    connection: Connection, *, codes: Iterable[str], order_ids: Iterable[OrderId], lock: bool
) -> list[Redemption]:
    """Return all redemptions that have one of these codes, or that one of these orders has used, in id order."""
    by_code = select(dust_redemption_code.c.redemption_id).where(among(dust_redemption_code.c.code, list(codes)))
    by_order = select(dust_redemption_code.c.redemption_id).where(
        among(dust_redemption_code.c.order_id, list(order_ids))
    )
    # A union and not an `or`: each half uses its own index.
    return _load(connection, list(connection.scalars(by_code.union(by_order))), lock=lock)


def codes_for_cart(connection: Connection, customer_id: CustomerId, cart: Cart) -> list[OpenCode]:
    """Return the codes of the customer's open redemptions that are in this cart or were made for it."""
    code, redemption = dust_redemption_code.c, dust_redemption.c
    query = (
        select(code.code, redemption.kind, code.value, redemption.percent, code.product_id, code.quantity)
        .join(dust_redemption, redemption.id == code.redemption_id)
        .where(_open_for_cart(customer_id, cart))
    )
    return [OpenCode(**row._mapping) for row in connection.execute(query)]


def units_paid_for_cart(connection: Connection, customer_id: CustomerId, cart: Cart) -> dict[ProductId, int]:
    """Return the units, by product, that open redemptions already pay for in this cart."""
    code, redemption = dust_redemption_code.c, dust_redemption.c
    query = (
        select(code.product_id, func.sum(code.quantity).label("quantity"))
        .join(dust_redemption, redemption.id == code.redemption_id)
        .where(_open_for_cart(customer_id, cart), code.product_id.is_not(None))
        .group_by(code.product_id)
    )
    return {ProductId(row.product_id): int(row.quantity) for row in connection.execute(query)}


def open_for_cart(connection: Connection, customer_id: CustomerId, cart: Cart) -> list[Redemption]:
    """Return the customer's open redemptions that are in this cart or were made for it, oldest first."""
    query = (
        select(dust_redemption.c.id)
        .join(dust_redemption_code, dust_redemption.c.id == dust_redemption_code.c.redemption_id)
        .where(_open_for_cart(customer_id, cart))
        .distinct()
    )
    return _load(connection, list(connection.scalars(query)))


def _open_for_cart(customer_id: CustomerId, cart: Cart) -> ColumnElement[bool]:
    return and_(
        dust_redemption.c.customer_id == customer_id,
        dust_redemption.c.state.in_(OPEN_STATES),
        dust_redemption.c.release_requested_at.is_(None),
        (dust_redemption.c.cart_id == cart.id) | among(dust_redemption_code.c.code, sorted(cart.promotion_codes)),
    )


def due_redemptions(connection: Connection, *, now: datetime, limit: int) -> list[str]:
    """Return the redemptions that are due for a step: to be created, withdrawn, or checked a second time."""
    return list(connection.scalars(_due(now).limit(limit)))


def claim_due(connection: Connection, *, now: datetime, limit: int) -> dict[str, RedemptionState]:
    """Return the due redemptions and their states, to enqueue a task for each.

    They are not due again for `ENQUEUE_GRACE`: behind a slow queue, tasks would be enqueued faster than they are
    processed.
    """
    rows = connection.execute(
        _due(now).add_columns(dust_redemption.c.state).limit(limit).with_for_update(skip_locked=True)
    )
    due = {row.id: row.state for row in rows}
    connection.execute(
        update(dust_redemption).where(among(dust_redemption.c.id, due)).values(next_step_at=now + ENQUEUE_GRACE)
    )
    return due


def _due(now: datetime) -> Select[Any]:
    due = or_(
        dust_redemption.c.next_step_at <= now,
        dust_redemption.c.state.in_(OPEN_STATES) & (dust_redemption.c.expires_at <= now)
        & dust_redemption.c.next_step_at.is_(None),
    )  # fmt: skip
    return select(dust_redemption.c.id).where(due).order_by(dust_redemption.c.id)


def store_code_use(connection: Connection, code: str, *, order_id: OrderId | None, dust_captured: int) -> None:
    """Store which order has used a code, and how many of its points; `order_id` None if that order was deleted."""
    connection.execute(
        update(dust_redemption_code)
        .where(dust_redemption_code.c.code == code)
        .values(order_id=order_id, dust_captured=dust_captured)
    )


def store_promotions(connection: Connection, promotion_ids: Mapping[str, str]) -> None:
    """Store the ids of promotions in Medusa, by code."""
    for code, promotion_id in promotion_ids.items():
        connection.execute(
            update(dust_redemption_code).where(dust_redemption_code.c.code == code).values(promotion_id=promotion_id)
        )


def store_second_use(connection: Connection, codes: Collection[str], *, order_id: OrderId) -> None:
    """Store an order that carries codes which another order has used."""
    connection.execute(
        update(dust_redemption_code).where(among(dust_redemption_code.c.code, codes)).values(also_order_id=order_id)
    )


def orders_of_freed_codes(connection: Connection) -> list[OrderId]:
    """Return the orders that carry a code whose first order was deleted, so that they can use it now."""
    query = select(dust_redemption_code.c.also_order_id).where(
        dust_redemption_code.c.also_order_id.is_not(None), dust_redemption_code.c.order_id.is_(None)
    )
    return sorted({OrderId(order_id) for order_id in connection.scalars(query)})


def clear_second_uses(connection: Connection, order_ids: Iterable[OrderId]) -> None:
    """Clear the second use of these orders, which are settled again and then store their use of the code."""
    connection.execute(
        update(dust_redemption_code)
        .where(dust_redemption_code.c.also_order_id.in_(order_ids), dust_redemption_code.c.order_id.is_(None))
        .values(also_order_id=None)
    )


def _load(connection: Connection, ids: Sequence[str], *, lock: bool = False) -> list[Redemption]:
    if not ids:
        return []
    # Amounts are shown in the currencies' decimals.
    load_currencies(connection)
    query = select(dust_redemption).where(dust_redemption.c.id.in_(ids)).order_by(dust_redemption.c.id)
    rows = connection.execute(query.with_for_update() if lock else query).all()
    code_rows = connection.execute(
        select(dust_redemption_code)
        .where(dust_redemption_code.c.redemption_id.in_(ids))
        .order_by(dust_redemption_code.c.code)
    ).all()
    codes: Mapping[str, list[Code]] = {row.id: [] for row in rows}
    for row in code_rows:
        codes[row.redemption_id].append(Code.from_row(row))
    return [Redemption.from_row(row, codes=tuple(codes[row.id])) for row in rows]


def count_open(connection: Connection) -> int:
    """Return how many redemptions hold points now."""
    query = select(func.count()).where(dust_redemption.c.state.in_(OPEN_STATES))
    return connection.scalar(query) or 0


def oldest_pending(connection: Connection) -> datetime | None:
    """Return when the oldest pending redemption was created; None if there is none."""
    query = select(func.min(dust_redemption.c.created_at)).where(dust_redemption.c.state == RedemptionState.PENDING)
    oldest: datetime | None = connection.scalar(query)
    return oldest


def codes_closed_since(connection: Connection, moment: datetime) -> dict[str, str]:
    """Return codes of redemptions that were released or failed since `moment`, with the redemptions' ids.

    Unused codes of captured redemptions are included, once they should have been deleted.
    """
    query = (
        select(dust_redemption_code.c.code, dust_redemption.c.id)
        .join(dust_redemption, dust_redemption.c.id == dust_redemption_code.c.redemption_id)
        .where(
            or_(
                dust_redemption.c.state.in_([RedemptionState.RELEASED, RedemptionState.FAILED]),
                and_(
                    dust_redemption.c.state == RedemptionState.CAPTURED,
                    dust_redemption.c.next_step_at.is_(None),
                    dust_redemption_code.c.order_id.is_(None),
                ),
            ),
            dust_redemption.c.updated_at >= moment,
        )
    )
    return {row.code: row.id for row in connection.execute(query)}
