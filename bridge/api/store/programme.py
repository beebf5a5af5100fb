"""What a shopper may know of the rules: public and cacheable."""

from decimal import Decimal

from fastapi import Response
from pydantic import BaseModel, Field

from bridge.api.store.rewards import RewardResponse, list_rewards
from bridge.api.store.routing import store_router
from bridge.db import transaction
from bridge.http.etag import UNCHANGED, IfNoneMatch, cacheable_response
from bridge.http.problems import describe_problems
from bridge.programme.rules import Bonuses, PointsName, Programme
from bridge.programme.tiers import TierLevel, Tiers, format_needed
from bridge.programme.versions import current_version

router = store_router()


class PublicEarn(BaseModel):
    rates: dict[str, str] = Field(description="Points for one major unit, by currency")


class PublicRedeem(BaseModel):
    rates: dict[str, str] = Field(description="Points that are worth one major unit, by currency")
    min_dust: int = Field(description="Minimum points per discount")
    max_dust: int | None = Field(description="Maximum points per discount; null: no limit")
    max_share: str = Field(description="The part of a cart that points may pay, from 0 to 1")


class PublicProgramme(BaseModel):
    name: PointsName
    time_zone: str = Field(
        description="IANA time zone of the shop: points expire at the end of a day in it, so show dates in it"
    )
    earn: PublicEarn
    redeem: PublicRedeem
    bonuses: Bonuses
    tiers: list[TierLevel] = Field(description="Lowest first")
    rewards: list[RewardResponse] = Field(description="Cheapest first")
    expires_after_days: int | None = Field(description="Points expire at the end of this day; null: never")


@router.get("/programme", response_model=PublicProgramme, responses=UNCHANGED | describe_problems(422, 429, 503))
def read_public_programme(if_none_match: IfNoneMatch = None) -> Response:
    """The rules that a storefront shows. Public and cacheable."""
    with transaction() as connection:
        programme = current_version(connection).programme
    return cacheable_response(_public(programme), if_none_match)


def _public(programme: Programme) -> PublicProgramme:
    document = programme.document()
    return PublicProgramme(
        name=programme.name,
        time_zone=programme.time_zone,
        earn=document["earn"],
        redeem=document["redeem"],
        bonuses=programme.bonuses,
        tiers=[_shown(programme.tiers, level) for level in programme.tiers.levels],
        rewards=list_rewards(programme.redeem),
        expires_after_days=programme.earn.expires_after_days,
    )


def _shown(tiers: Tiers, level: TierLevel) -> TierLevel:
    """Return the tier with its threshold in the currency's decimals, if tiers are by money."""
    return level.model_copy(update={"threshold": Decimal(format_needed(tiers, level.threshold))})
