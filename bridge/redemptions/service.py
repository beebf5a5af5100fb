"""Create redemptions and request their release. Nothing here calls Medusa; `medusa_sync.py` does, later."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from bridge.errors import Conflict, KeyReused
from bridge.ids import CustomerId, new_id
from bridge.ledger.store import open_accounts, save
from bridge.programme.versions import Version
from bridge.redemptions import lifecycle
from bridge.redemptions.pricing.terms import Terms
from bridge.redemptions.repository import Code, Redemption, UnknownRedemption, lock_open_redemptions, lock_redemption
from bridge.redemptions.tables import OPEN_STATES, State, dust_redemption

# More would let one customer occupy Medusa and the workers.
MAX_OPEN_REDEMPTIONS = 20
# Crockford's base32 without look-alikes; 16 characters are 80 bits, which cannot be guessed over the Store API.
_CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_CHARACTERS = 16


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
    response = response_for(redemption)
    lifecycle.create(
        connection,
        account,
        redemption,
        idempotency_key=request.idempotency_key,
        request_hash=request.request_hash,
        first_response=response,
        now=now,
    )
    save(connection, [account])
    return response


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
    return _request_release(connection, redemption, now)


def request_release_of_all(connection: Connection, customer_id: CustomerId, *, now: datetime) -> None:
    """Like `request_release`, for all open redemptions of the customer."""
    for redemption in lock_open_redemptions(connection, customer_id):
        _request_release(connection, redemption, now)


def _request_release(connection: Connection, redemption: Redemption, now: datetime) -> Redemption:
    if not redemption.open or redemption.release_requested_at:
        return redemption
    return lifecycle.request_release(connection, redemption, now=now)
