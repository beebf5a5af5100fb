"""Store API: the catalogue of rewards."""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field

from bridge.api.store.routing import store_router
from bridge.db import transaction
from bridge.http.etag import UNCHANGED, IfNoneMatch, cacheable_response
from bridge.http.problems import describe_problems
from bridge.medusa.amounts import plain_text
from bridge.medusa.currencies import format_amount
from bridge.programme.fields import MoneyByCurrency
from bridge.programme.rewards import Reward, RewardKind
from bridge.programme.spending import Redeem
from bridge.programme.versions import current_version
from bridge.redemptions.reward_offers import RewardOffer, rewards_by_price

router = store_router()


class RewardResponse(BaseModel):
    id: str = Field(examples=["ten-percent"], description="The `reward_id` of a redemption")
    name: str
    kind: RewardKind
    dust: int = Field(description="Price in points, independent of the discount")
    percent: str | None = Field(description="For kind `percentage`: the percentage taken off the cart's items")
    max_value: dict[str, str] = Field(description="Maximum discount in major units, by currency")
    product_id: str | None = Field(description="For kind `free_product`: the product, which must be in the cart")
    quantity: int | None = Field(description="For kind `free_product`: number of units")
    min_cart: dict[str, str] = Field(description="Minimum total of the cart's items in major units, by currency")
    currency_codes: list[str] = Field(description="Currencies in which it can be redeemed; empty: all")
    needs_cart: bool = Field(description="Whether redeeming it requires a `cart_id`")


class RewardListResponse(BaseModel):
    rewards: list[RewardResponse]


class QuotedReward(RewardResponse):
    """A reward for this cart and this customer."""

    affordable: bool = Field(description="Whether the customer has enough points")
    fits: bool = Field(description="Whether it can be redeemed for this cart")
    reason: str | None = Field(description="Why it cannot be redeemed now, as a sentence; null if it can")
    reason_code: str | None = Field(
        examples=["cart_below_minimum"], description="The error `code` that redeeming it would return"
    )
    missing_dust: int = Field(description="Points that are missing for this reward; 0 if there are enough")
    missing_amount: str | None = Field(
        description="Amount missing to the minimum total of the cart's items, in major units"
    )


@router.get("/rewards", response_model=RewardListResponse, responses=UNCHANGED | describe_problems(422, 429, 503))
def read_rewards(if_none_match: IfNoneMatch = None) -> Response:
    """List the rewards that points can be redeemed for, cheapest first. Public and cacheable."""
    with transaction() as connection:
        rules = current_version(connection).programme.redeem
    return cacheable_response(RewardListResponse(rewards=list_rewards(rules)), if_none_match)


def list_rewards(rules: Redeem) -> list[RewardResponse]:
    """All rewards, cheapest first."""
    return [RewardResponse.model_validate(_reward_fields(rules, reward)) for reward in rewards_by_price(rules)]


def quoted_rewards(rules: Redeem, offers: Iterable[RewardOffer], *, currency_code: str) -> list[QuotedReward]:
    return [
        QuotedReward(
            **_reward_fields(rules, offer.reward),
            affordable=offer.affordable,
            fits=offer.fits,
            missing_dust=offer.missing_dust,
            missing_amount=None
            if offer.missing_amount is None
            else format_amount(offer.missing_amount, currency_code, ROUND_CEILING),
            reason=offer.refusal.message if offer.refusal else None,
            reason_code=offer.refusal.code if offer.refusal else None,
        )
        for offer in offers
    ]


def _reward_fields(rules: Redeem, reward: Reward) -> dict[str, Any]:
    return {
        **dict(reward),
        "percent": None if reward.percent is None else plain_text(reward.percent),
        "max_value": _sums(reward.max_value, ROUND_FLOOR),
        "quantity": reward.units if reward.kind is RewardKind.FREE_PRODUCT else None,
        "min_cart": _sums(reward.min_cart, ROUND_CEILING),
        "needs_cart": reward.needs_cart(rules.max_share),
    }


def _sums(sums: MoneyByCurrency, rounding: str) -> dict[str, str]:
    return {currency: format_amount(value, currency, rounding) for currency, value in sums.items()}
