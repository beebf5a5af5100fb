"""Create and read redemptions, and request their release. Nothing here calls Medusa."""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select, update

from bridge.db.bulk import among
from bridge.errors import Conflict, KeyReused, NotFound
from bridge.ids import CustomerId, OrderId, ProductId, new_id
from bridge.ledger.account import Kind, PostingDetails
from bridge.ledger.store import open_accounts, save
from bridge.medusa.carts import Cart
from bridge.programme.versions import Version
from bridge.redemptions.pricing.basket import OpenDiscount
from bridge.redemptions.pricing.terms import Terms
from bridge.redemptions.tables import OPEN_STATES, RedemptionKind, State, dust_redemption, dust_redemption_code

# How long a task may take to start on a due redemption before it is enqueued again.
ENQUEUE_GRACE = timedelta(seconds=60)
# More would let one customer occupy Medusa and the workers.
MAX_OPEN_REDEMPTIONS = 20
# Crockford's base32 without look-alikes; 16 characters are 80 bits, which cannot be guessed over the Store API.
_CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_CHARACTERS = 16


class UnknownRedemption(NotFound):
    """The redemption does not exist, or belongs to another customer."""

    code = "unknown_redemption"

    def __init__(self, redemption_id: str) -> None:
        super().__init__("This redemption was not found among yours.", redemption_id=redemption_id)


class AlreadyUsed(Conflict):
    """An order has used the code, so its points cannot be released."""

    code = "already_used"

    def __init__(self, redemption_id: str, order_id: str | None) -> None:
        super().__init__("An order has used these points already.", redemption_id=redemption_id, order_id=order_id)


class TooManyOpenRedemptions(Conflict):
    """The customer has `MAX_OPEN_REDEMPTIONS` open redemptions."""

    code = "too_many_open_redemptions"

    def __init__(self) -> None:
        super().__init__(
            f"You have {MAX_OPEN_REDEMPTIONS} discounts from points that are not used yet. "
            "Please use or cancel one of them first.",
            max_open=MAX_OPEN_REDEMPTIONS,
        )


@dataclass(frozen=True, kw_only=True)
class Code:
    """One promotion code of a redemption: what it pays for, and what the order that used it has taken of it."""

    code: str
    dust: int
    value: Decimal | None
    product_id: ProductId | None
    quantity: int | None
    promotion_id: str | None
    order_id: OrderId | None = None
    dust_captured: int = 0


@dataclass(frozen=True, kw_only=True)
class Redemption:
    """A redemption and its codes, as read from the database."""

    id: str
    customer_id: CustomerId
    state: State
    kind: RedemptionKind
    dust: int
    dust_captured: int
    value: Decimal | None
    currency_code: str | None
    reward_id: str | None
    percent: Decimal | None
    least_cart: Decimal | None
    cart_id: str | None
    order_id: OrderId | None
    expires_at: datetime
    reason: str | None
    programme_version: int
    release_requested_at: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    created_at: datetime
    codes: tuple[Code, ...]

    @property
    def open(self) -> bool:
        """Whether points are still held for it."""
        return self.state in OPEN_STATES

    def should_withdraw(self, now: datetime) -> bool:
        """Whether its promotions have to be deleted: it has expired, or its release was requested."""
        return self.open and (self.release_requested_at is not None or self.expires_at <= now)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A shopper's request, with its idempotency key."""

    customer_id: CustomerId
    idempotency_key: str
    request_hash: str
    cart_id: str | None


def find_first_response(connection: Connection, request: Request) -> dict[str, Any] | None:
    """Return the first answer to this request; None if it is new. Raises `KeyReused`."""
    row = connection.execute(
        select(dust_redemption.c.request_hash, dust_redemption.c.first_answer).where(
            dust_redemption.c.customer_id == request.customer_id,
            dust_redemption.c.idempotency_key == request.idempotency_key,
        )
    ).one_or_none()
    if row is None:
        return None
    if row.request_hash != request.request_hash:
        raise KeyReused
    answer: dict[str, Any] = row.first_answer
    return answer


def create_redemption(
    connection: Connection,
    request: Request,
    *,
    terms_for: Callable[[int], Terms],
    response_for: Callable[[Redemption], dict[str, Any]],
    version: Version,
    now: datetime,
) -> dict[str, Any]:
    """Hold the points and store the redemption; return the answer. The same request always gets the first answer.

    `terms_for` is called with the customer's available points, under the lock on the account. Raises what it raises,
    `InsufficientDust` and `TooManyOpenRedemptions`.
    """
    account = open_accounts(connection, [request.customer_id])[request.customer_id]
    # Checked again under the lock: of two concurrent requests the second finds what the first has written.
    earlier = find_first_response(connection, request)
    if earlier is not None:
        return earlier
    if has_max_open(connection, request.customer_id):
        raise TooManyOpenRedemptions
    account.book_due(now=now)
    terms = terms_for(max(0, account.available))
    redemption = _new_redemption(request, terms, version, now)
    details = PostingDetails(
        kind=Kind.HOLD,
        reference_type="redemption",
        reference_id=redemption.id,
        description="Dust set aside for a redemption",
        event_at=now,
        actor=request.customer_id,
        programme_version=version.number,
    )
    account.hold(terms.dust, details, now=now)
    save(connection, [account])
    answer = response_for(redemption)
    row = {name: value for name, value in vars(redemption).items() if name != "codes"}
    connection.execute(
        dust_redemption.insert(),
        {
            **row,
            "state": redemption.state.value,
            "kind": redemption.kind.value,
            "idempotency_key": request.idempotency_key,
            "request_hash": request.request_hash,
            "first_answer": answer,
            "updated_at": now,
        },
    )
    connection.execute(
        dust_redemption_code.insert(), [{**vars(code), "redemption_id": redemption.id} for code in redemption.codes]
    )
    return answer


def has_max_open(connection: Connection, customer_id: CustomerId) -> bool:
    """Whether the customer has `MAX_OPEN_REDEMPTIONS` open redemptions."""
    columns = dust_redemption.c
    query = select(columns.id).where(columns.customer_id == customer_id, columns.state.in_(OPEN_STATES))
    return len(connection.execute(query.limit(MAX_OPEN_REDEMPTIONS)).all()) == MAX_OPEN_REDEMPTIONS


def _new_redemption(request: Request, terms: Terms, version: Version, now: datetime) -> Redemption:
    return Redemption(
        id=new_id("dred"),
        customer_id=request.customer_id,
        state=State.PENDING,
        kind=terms.kind,
        dust=terms.dust,
        dust_captured=0,
        value=terms.value,
        currency_code=terms.currency_code,
        reward_id=terms.reward_id,
        percent=terms.percent,
        least_cart=terms.least_cart,
        cart_id=request.cart_id,
        order_id=None,
        expires_at=now + timedelta(minutes=version.programme.redeem.code_ttl_minutes),
        reason=None,
        programme_version=version.number,
        release_requested_at=None,
        attempts=0,
        next_attempt_at=now,
        created_at=now,
        codes=tuple(
            Code(
                code=_new_code(),
                dust=part.dust,
                value=part.value,
                product_id=part.product_id,
                quantity=part.quantity,
                promotion_id=None,
            )
            for part in terms.parts
        ),
    )


def _new_code() -> str:
    return "DUST-" + "".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_CHARACTERS))


def request_release(
    connection: Connection, customer_id: CustomerId, redemption_id: str, *, now: datetime
) -> Redemption:
    """Request the release of a redemption. Raises `UnknownRedemption`, `AlreadyUsed`."""
    redemption = lock_redemption(connection, redemption_id)
    if redemption.customer_id != customer_id:
        raise UnknownRedemption(redemption_id)
    if redemption.state is State.CAPTURED:
        raise AlreadyUsed(redemption_id, redemption.order_id)
    return _note_release(connection, redemption, now)


def request_release_of_all(connection: Connection, customer_id: CustomerId, *, now: datetime) -> None:
    """Like `request_release`, for all open redemptions of the customer; locked in id order."""
    theirs = select(dust_redemption.c.id).where(
        dust_redemption.c.customer_id == customer_id, dust_redemption.c.state.in_(OPEN_STATES)
    )
    for redemption in _load(connection, list(connection.scalars(theirs)), lock=True):
        _note_release(connection, redemption, now)


def _note_release(connection: Connection, redemption: Redemption, now: datetime) -> Redemption:
    if not redemption.open or redemption.release_requested_at:
        return redemption
    update_redemption(connection, redemption.id, now=now, release_requested_at=now, next_attempt_at=now)
    return replace(redemption, release_requested_at=now, next_attempt_at=now)


def read_redemption(connection: Connection, customer_id: CustomerId, redemption_id: str) -> Redemption:
    """Return a redemption of this customer. Raises `UnknownRedemption`, also for another customer's."""
    found = _load(connection, [redemption_id])
    if not found or found[0].customer_id != customer_id:
        raise UnknownRedemption(redemption_id)
    return found[0]


def pending_among(connection: Connection, redemption_ids: Collection[str]) -> set[str]:
    """Return the redemptions among these whose promotions are not created yet."""
    columns = dust_redemption.c
    query = select(columns.id).where(among(columns.id, redemption_ids), columns.state == State.PENDING.value)
    return set(connection.scalars(query))


def list_redemptions(
    connection: Connection,
    *,
    customer_id: CustomerId | None = None,
    state: State | None = None,
    cart_id: str | None = None,
    before: str | None = None,
    limit: int,
) -> list[Redemption]:
    """List redemptions, newest first, of one customer or of all."""
    query = select(dust_redemption.c.id).order_by(dust_redemption.c.id.desc()).limit(limit)
    if customer_id is not None:
        query = query.where(dust_redemption.c.customer_id == customer_id)
    if state is not None:
        query = query.where(dust_redemption.c.state == state.value)
    if cart_id is not None:
        query = query.where(dust_redemption.c.cart_id == cart_id)
    if before is not None:
        query = query.where(dust_redemption.c.id < before)
    ids = list(connection.scalars(query))
    return sorted(_load(connection, ids), key=lambda redemption: redemption.id, reverse=True)


def lock_redemption(connection: Connection, redemption_id: str) -> Redemption:
    """Lock the redemption until the transaction ends, and return it. Raises `UnknownRedemption`."""
    found = _load(connection, [redemption_id], lock=True)
    if not found:
        raise UnknownRedemption(redemption_id)
    return found[0]


def lock_redemptions_of_orders(
    connection: Connection, *, codes: Iterable[str], order_ids: Iterable[OrderId]
) -> list[Redemption]:
    """Lock all redemptions that have one of these codes, or that one of these orders has used, in id order."""
    by_code = select(dust_redemption_code.c.redemption_id).where(among(dust_redemption_code.c.code, list(codes)))
    by_order = select(dust_redemption_code.c.redemption_id).where(
        among(dust_redemption_code.c.order_id, list(order_ids))
    )
    # A union and not an `or`: each half uses its own index.
    return _load(connection, list(connection.scalars(by_code.union(by_order))), lock=True)


# Kinds that take nothing off the lines, or pay for units at their own price in points.
_NOT_DISCOUNTS = (RedemptionKind.PRODUCTS.value, RedemptionKind.FREE_SHIPPING.value)


def discounts_for_cart(connection: Connection, customer_id: CustomerId, cart: Cart) -> list[OpenDiscount]:
    """Return the customer's open discounts that are in this cart or were redeemed for it.

    Codes that pay for products by the unit, and free shipping, are not included.
    """
    code, redemption = dust_redemption_code.c, dust_redemption.c
    query = (
        select(code.code, code.value, redemption.percent, code.product_id, code.quantity)
        .join(dust_redemption, redemption.id == code.redemption_id)
        .where(_open_for_cart(customer_id, cart), redemption.kind.not_in(_NOT_DISCOUNTS))
    )
    return [OpenDiscount(**row._mapping) for row in connection.execute(query)]


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
        (dust_redemption.c.cart_id == cart.id) | dust_redemption_code.c.code.in_(sorted(cart.promotion_codes)),
    )


def due_redemptions(connection: Connection, *, now: datetime, limit: int) -> list[str]:
    """Return the redemptions that are due for a step: to be created, withdrawn, or checked a second time."""
    return list(connection.scalars(_due(now).limit(limit)))


def claim_due(connection: Connection, *, now: datetime, limit: int) -> dict[str, State]:
    """Return the due redemptions and their states, to enqueue a task for each.

    They are not due again for `ENQUEUE_GRACE`: behind a slow queue, tasks would be enqueued faster than they are
    processed.
    """
    rows = connection.execute(
        _due(now).add_columns(dust_redemption.c.state).limit(limit).with_for_update(skip_locked=True)
    )
    offered = {row.id: State(row.state) for row in rows}
    connection.execute(
        update(dust_redemption).where(dust_redemption.c.id.in_(offered)).values(next_attempt_at=now + ENQUEUE_GRACE)
    )
    return offered


def _due(now: datetime) -> Select[Any]:
    due = or_(
        dust_redemption.c.next_attempt_at <= now,
        dust_redemption.c.state.in_(OPEN_STATES) & (dust_redemption.c.expires_at <= now)
        & dust_redemption.c.next_attempt_at.is_(None),
    )  # fmt: skip
    return select(dust_redemption.c.id).where(due).order_by(dust_redemption.c.id)


def update_redemption(connection: Connection, redemption_id: str, *, now: datetime, **changes: Any) -> None:
    """Write these columns of the redemption's row."""
    connection.execute(
        update(dust_redemption).where(dust_redemption.c.id == redemption_id).values(**changes, updated_at=now)
    )


def store_code_use(connection: Connection, code: str, *, order_id: OrderId | None, dust_captured: int) -> None:
    """Store which order has used a code, and how many of its points; `order_id` None if that order was deleted."""
    connection.execute(
        update(dust_redemption_code)
        .where(dust_redemption_code.c.code == code)
        .values(order_id=order_id, dust_captured=dust_captured)
    )


def store_second_use(connection: Connection, codes: Iterable[str], *, order_id: OrderId) -> None:
    """Store an order that carries codes which another order has used."""
    connection.execute(
        update(dust_redemption_code).where(dust_redemption_code.c.code.in_(codes)).values(also_order_id=order_id)
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
    query = select(dust_redemption).where(dust_redemption.c.id.in_(ids)).order_by(dust_redemption.c.id)
    rows = connection.execute(query.with_for_update() if lock else query).all()
    code_rows = connection.execute(
        select(dust_redemption_code)
        .where(dust_redemption_code.c.redemption_id.in_(ids))
        .order_by(dust_redemption_code.c.code)
    ).all()
    codes: Mapping[str, list[Code]] = {row.id: [] for row in rows}
    for row in code_rows:
        codes[row.redemption_id].append(
            Code(
                code=row.code,
                dust=row.dust,
                value=row.value,
                product_id=row.product_id,
                quantity=row.quantity,
                promotion_id=row.promotion_id,
                order_id=OrderId(row.order_id) if row.order_id else None,
                dust_captured=row.dust_captured,
            )
        )
    return [_redemption(row, codes[row.id]) for row in rows]


def _redemption(row: Row[Any], codes: list[Code]) -> Redemption:
    return Redemption(
        id=row.id,
        customer_id=CustomerId(row.customer_id),
        state=State(row.state),
        kind=RedemptionKind(row.kind),
        dust=row.dust,
        dust_captured=row.dust_captured,
        value=row.value,
        currency_code=row.currency_code,
        reward_id=row.reward_id,
        percent=row.percent,
        least_cart=row.least_cart,
        cart_id=row.cart_id,
        order_id=OrderId(row.order_id) if row.order_id else None,
        expires_at=row.expires_at,
        reason=row.reason,
        programme_version=row.programme_version,
        release_requested_at=row.release_requested_at,
        attempts=row.attempts,
        next_attempt_at=row.next_attempt_at,
        created_at=row.created_at,
        codes=tuple(codes),
    )


def count_open(connection: Connection) -> int:
    """Return how many redemptions hold points now."""
    query = select(func.count()).where(dust_redemption.c.state.in_(OPEN_STATES))
    return connection.scalar(query) or 0


def oldest_pending(connection: Connection) -> datetime | None:
    """Return when the oldest pending redemption was created; None if there is none."""
    query = select(func.min(dust_redemption.c.created_at)).where(dust_redemption.c.state == State.PENDING.value)
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
                dust_redemption.c.state.in_([State.RELEASED.value, State.FAILED.value]),
                and_(
                    dust_redemption.c.state == State.CAPTURED.value,
                    dust_redemption.c.next_attempt_at.is_(None),
                    dust_redemption_code.c.order_id.is_(None),
                ),
            ),
            dust_redemption.c.updated_at >= moment,
        )
    )
    return {row.code: row.id for row in connection.execute(query)}
