"""Store API: the customer's balance and tier."""

from datetime import datetime

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from bridge.api.store.routing import store_router
from bridge.clock import now
from bridge.db import transaction
from bridge.http.auth import Customer, customer_of
from bridge.http.micro_batching import MicroBatcher
from bridge.http.problems import describe_problems
from bridge.http.query_parameters import require_known_query
from bridge.http.schemas import FromAttributes
from bridge.ids import CustomerId
from bridge.ledger.queries import Balance, read_balances, read_points
from bridge.medusa.amounts import plain_text
from bridge.programme.tiers import CustomerTier, TierBasis, format_needed, format_reached
from bridge.settlement.tier_history import read_tiers

router = store_router()


class ExpiringResponse(FromAttributes):
    amount: int
    expires_at: datetime


class PendingLotResponse(FromAttributes):
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


class BalanceResponse(FromAttributes):
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


def balance_response(balance: Balance, tier: CustomerTier | None = None) -> BalanceResponse:
    response = BalanceResponse.model_validate(balance)
    response.tier = _tier_response(tier) if tier else None
    return response


def _tier_response(tier: CustomerTier) -> TierResponse:
    following = None
    if tier.next is not None and tier.missing is not None:
        following = NextTierResponse(
            name=tier.next.name,
            from_=format_needed(tier.tiers, tier.next.threshold),
            missing=format_needed(tier.tiers, tier.missing),
        )
    return TierResponse(
        name=tier.level.name if tier.level else None,
        factor=plain_text(tier.factor),
        from_=format_needed(tier.tiers, tier.level.threshold) if tier.level else None,
        progress=format_reached(tier.tiers, tier.total),
        until=tier.until,
        basis=tier.tiers.basis,
        currency_code=tier.tiers.currency_code if tier.tiers.basis is TierBasis.SPENT else None,
        next=following,
    )


class Points(BaseModel):
    points: int


@router.get("", responses=describe_problems(401, 422, 503))
def read_own_points(customer_id: Customer) -> Points:
    """Return the customer's balance as one number."""
    with transaction() as connection:
        return Points(points=read_points(connection, customer_id))


def _read_balances(connection: Connection, customer_ids: list[CustomerId]) -> list[tuple[Balance, CustomerTier | None]]:
    tiers = read_tiers(connection, customer_ids, now=now())
    balances = read_balances(connection, customer_ids)
    return [(balance, tiers.get(balance.customer_id)) for balance in balances]


# Every page of a storefront shows the balance. Requests that arrive together share one read-only query.
_balances: MicroBatcher[CustomerId, tuple[Balance, CustomerTier | None]] = MicroBatcher("balances", _read_balances)


@router.get("/balance", response_model=BalanceResponse, responses=describe_problems(401, 422, 503))
async def read_own_balance(customer_id: Customer) -> Response:
    """Return the customer's balance, held, pending and expiring points, and tier. Unknown customers get zeros."""
    balance, tier = await _balances(customer_id)
    # Serialized here: with a response model FastAPI would validate it a second time.
    return Response(balance_response(balance, tier).model_dump_json(), media_type="application/json")


async def handle_own_balance(request: Request) -> Response:
    """As `read_own_balance`, for the fast path (`http/fast_path.py`), which bypasses FastAPI's routing."""
    require_known_query(request)
    return await read_own_balance(await customer_of(request))
