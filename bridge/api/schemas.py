"""Request and response models that the Store and the Admin API share. Names and types are those of CONTRACT."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Row

from bridge.errors import InvalidInput, field_error
from bridge.ids import ID_PATTERN
from bridge.ledger.account import MAX_DUST
from bridge.ledger.adjust import ADJUSTMENT
from bridge.ledger.statements import Balance
from bridge.programme.rules import TierBasis
from bridge.redemptions.service import Redemption
from bridge.redemptions.tables import RedemptionKind, State
from bridge.settlement.tiers import CustomerTier

MAX_ROWS = 100

Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
PathId = Annotated[str, Path(pattern=ID_PATTERN)]
# The sender chooses the id of an event: any printable characters.
EventId = Annotated[str, Path(pattern=r"^[\x21-\x7e]{1,255}$")]
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS, description="Maximum number of rows on a page")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the previous page")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00]*$")]
Dust = Annotated[int, Field(strict=True, ge=1, le=MAX_DUST)]


class Body(BaseModel):
    """Base of request bodies. Unknown keys are rejected, because they are usually typing errors."""

    model_config = ConfigDict(extra="forbid")


class KeyMissing(InvalidInput):
    """The request has no Idempotency-Key. It needs one, so that a double click has one effect."""

    code = "idempotency_key_missing"
    status = 400


_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def idempotency_key(value: Annotated[str | None, Header(alias="Idempotency-Key")] = None) -> str:
    """The Idempotency-Key of a request that must not take effect twice. Raises `KeyMissing`, `FieldErrors`."""
    if not value:
        raise KeyMissing("Send an Idempotency-Key: any text of your own that is new for each new request.")
    if not _KEY.fullmatch(value):
        raise field_error("Idempotency-Key", "must be 1 to 255 printable characters")
    return value


class Listing(StrEnum):
    """The paged lists. A cursor names its list: used with another list it would skip or repeat rows."""

    PRODUCTS = "products"
    TRANSACTIONS = "transactions"
    REDEMPTIONS = "redemptions"
    EVENTS = "events"
    VERSIONS = "versions"
    ESCROWS = "escrows"
    DELIVERIES = "deliveries"
    CLOSES = "closes"


_STRANGE_CURSOR = "is not one of this list's: use the next_cursor of the page before"


def encode_cursor(listing: Listing, position: str | int | None) -> str | None:
    """An opaque cursor for a position in a list."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(f"{listing}:{position}".encode()).decode().rstrip("=")


def decode_cursor(listing: Listing, cursor: str | None) -> str | None:
    """The position that a cursor encodes. Raises `FieldErrors`."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise field_error("cursor", _STRANGE_CURSOR) from error
    owner, _, position = text.partition(":")
    if owner != listing or not position.isprintable():
        raise field_error("cursor", _STRANGE_CURSOR)
    return position


def decode_number_cursor(listing: Listing, cursor: str | None) -> int | None:
    """As `decode_cursor`, for lists that are ordered by a number."""
    text = decode_cursor(listing, cursor)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise field_error("cursor", _STRANGE_CURSOR)
    return int(text)


class ExpiringResponse(BaseModel):
    amount: int
    expires_at: datetime


class PendingLotResponse(BaseModel):
    amount: int
    matures_at: datetime | None = Field(description="Null: when their order is paid")


class NextTierResponse(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)

    name: str
    from_: str = Field(serialization_alias="from", description="Points, or money in major units, at which it begins")
    missing: str = Field(description="Points, or money in major units, still missing within the tier window")


class TierResponse(BaseModel):
    model_config = ConfigDict(serialize_by_alias=True)

    name: str | None = Field(description="Name of the level; null below the first level")
    factor: str = Field(description="Multiplier for the points that new orders earn")
    from_: str | None = Field(serialization_alias="from", description="Where the level begins; null below the first")
    progress: str = Field(description="Points, or money in major units, that count within the tier window")
    until: datetime | None = Field(description="When the level is lost without a new order; null if it cannot be lost")
    basis: TierBasis
    currency_code: str | None
    next: NextTierResponse | None


class BalanceResponse(BaseModel):
    customer_id: str
    balance: int = Field(description="Points that the customer owns and that have matured")
    available: int = Field(description="Points that can be spent now: balance minus held")
    held: int = Field(description="Points held for open redemptions")
    pending: int = Field(description="Points earned that have not matured; not part of the balance")
    expiring: list[ExpiringResponse] = Field(description="Points that expire and when, soonest first")
    pending_lots: list[PendingLotResponse] = Field(description="Pending points and when they mature, soonest first")
    tier: TierResponse | None = Field(
        default=None, description="The customer's tier; null if the programme has no tiers"
    )


def balance_view(balance: Balance, tier: CustomerTier | None = None) -> BalanceResponse:
    return BalanceResponse(
        customer_id=balance.customer_id,
        balance=balance.balance,
        available=balance.available,
        held=balance.held,
        pending=balance.pending,
        expiring=[ExpiringResponse(amount=each.amount, expires_at=each.expires_at) for each in balance.expiring],
        pending_lots=[PendingLotResponse(amount=lot.amount, matures_at=lot.matures_at) for lot in balance.pending_lots],
        tier=_tier_view(tier) if tier else None,
    )


def _tier_view(tier: CustomerTier) -> TierResponse:
    found = tier.standing
    following = None
    if found.next is not None and found.missing is not None:
        following = NextTierResponse(
            name=found.next.name,
            from_=f"{found.next.threshold.normalize():f}",
            missing=f"{found.missing.normalize():f}",
        )
    return TierResponse(
        name=found.level.name if found.level else None,
        factor=f"{found.factor.normalize():f}",
        from_=f"{found.level.threshold.normalize():f}" if found.level else None,
        progress=f"{found.total.normalize():f}",
        until=found.until,
        basis=tier.tiers.basis,
        currency_code=tier.tiers.currency_code if tier.tiers.basis is TierBasis.SPENT else None,
        next=following,
    )


class TransactionResponse(BaseModel):
    id: str
    amount: int = Field(description="Whole points: positive for a credit, negative for a debit")
    type: str = Field(examples=["credit", "debit"])
    kind: str = Field(
        examples=["earn", "bonus", "adjust", "import", "redeem", "refund", "reverse", "expire", "transfer"]
    )
    reference_type: str
    reference_id: str
    description: str
    balance_after: int
    event_at: datetime = Field(description="When it happened in the shop")
    created_at: datetime = Field(description="When it was recorded")


def transaction_view(row: Row[Any]) -> TransactionResponse:
    return TransactionResponse.model_validate(dict(row._mapping))


class TransactionList(BaseModel):
    transactions: list[TransactionResponse]
    next_cursor: str | None


def own_transaction_view(row: Row[Any]) -> TransactionResponse:
    """The transaction for the customer. An adjustment's reference is the shop's internal reason, so it is replaced."""
    view = transaction_view(row)
    return view.model_copy(update={"reference_id": view.id}) if row.reference_type == ADJUSTMENT else view


def transaction_list(
    rows: list[Row[Any]], limit: int, *, view: Callable[[Row[Any]], TransactionResponse] = transaction_view
) -> TransactionList:
    """One page from `rows`, which were read with a limit of `limit + 1` to see whether there is a next page."""
    return TransactionList(
        transactions=[view(row) for row in rows[:limit]],
        next_cursor=encode_cursor(Listing.TRANSACTIONS, rows[limit - 1].version if len(rows) > limit else None),
    )


class PromotionResponse(BaseModel):
    code: str
    promotion_id: str | None
    product_id: str | None
    quantity: int | None


class RedemptionResponse(BaseModel):
    id: str
    customer_id: str
    state: State
    kind: RedemptionKind
    dust: int = Field(description="Points held")
    dust_captured: int = Field(description="Points that an order used")
    value: str | None = Field(description="The discount in major units; null if it depends on the cart")
    currency_code: str | None
    reward_id: str | None = Field(description="Id of the redeemed reward of the catalogue, if any")
    percent: str | None = Field(description="For kind `percentage`: the percentage taken off the cart's items")
    min_cart: str | None = Field(
        description="Minimum total of the cart's items for the code to apply, with tax, in major units"
    )
    promotions: list[PromotionResponse]
    code: str | None = Field(description="The code, if there is exactly one")
    cart_id: str | None
    order_id: str | None
    expires_at: datetime
    reason: str | None = Field(description="Why it failed, was released or is waiting, as a sentence")
    created_at: datetime


class RedemptionEnvelope(BaseModel):
    redemption: RedemptionResponse


class RedemptionList(BaseModel):
    redemptions: list[RedemptionResponse]
    next_cursor: str | None


def redemption_view(redemption: Redemption) -> RedemptionResponse:
    codes = redemption.codes
    return RedemptionResponse(
        id=redemption.id,
        customer_id=redemption.customer_id,
        state=redemption.state,
        kind=redemption.kind,
        dust=redemption.dust,
        dust_captured=redemption.dust_captured,
        value=money(redemption.value),
        currency_code=redemption.currency_code,
        reward_id=redemption.reward_id,
        percent=None if redemption.percent is None else f"{redemption.percent.normalize():f}",
        min_cart=money(redemption.least_cart),
        promotions=[
            PromotionResponse(
                code=code.code,
                promotion_id=code.promotion_id,
                product_id=code.product_id,
                quantity=code.quantity,
            )
            for code in codes
        ],
        code=codes[0].code if len(codes) == 1 else None,
        cart_id=redemption.cart_id,
        order_id=redemption.order_id,
        expires_at=redemption.expires_at,
        reason=redemption.reason,
        created_at=redemption.created_at,
    )


# The stored reason may quote Medusa and name carts and orders. Only the shop may see that.
_REASONS_FOR_SHOPPERS = {
    State.PENDING: "The code is not ready yet: the shop keeps trying.",
    State.ACTIVE: "The code could not be put into the cart: please enter it there.",
    State.FAILED: "The code could not be made. The points are available again.",
}


def own_redemption_view(redemption: Redemption) -> RedemptionResponse:
    """The redemption for the customer: the reason is replaced by a sentence for shoppers."""
    view = redemption_view(redemption)
    if redemption.reason is None or redemption.state is State.RELEASED:
        return view
    reason = _REASONS_FOR_SHOPPERS.get(redemption.state)
    if redemption.state is State.ACTIVE and redemption.release_requested_at:
        reason = "The points come back as soon as the code is withdrawn: the shop keeps trying."
    return view.model_copy(update={"reason": reason})


def money(value: Decimal | None) -> str | None:
    """An amount in major units with at least two decimal places: `5.00`, `0.125`."""
    if value is None:
        return None
    plain = f"{value.normalize():f}"
    whole, _, places = plain.partition(".")
    return f"{whole}.{places.ljust(2, '0')}"
