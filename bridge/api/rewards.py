"""The catalogue of rewards as the storefront sees it."""

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel, Field

from bridge.api.schemas import money
from bridge.db import transaction
from bridge.errors import DustError
from bridge.http.etag import cached
from bridge.http.problems import describe_problems
from bridge.http.queries import refuse_unknown_query
from bridge.ids import ProductId
from bridge.ledger.account import InsufficientDust
from bridge.medusa.carts import Cart
from bridge.programme.rules import MoneyByCurrency, Redeem, Reward, RewardKind
from bridge.programme.versions import current_version
from bridge.redemptions.basket import Basket
from bridge.redemptions.rewards import CartBelowMinimum, reward_terms
from bridge.redemptions.service import TooManyOpenRedemptions

router = APIRouter(prefix="/store/dust", tags=["store"], dependencies=[Depends(refuse_unknown_query)])


class RewardResponse(BaseModel):
    id: str = Field(examples=["ten-percent"], description="To redeem it by")
    name: str
    kind: RewardKind
    dust: int = Field(description="The price in dust, whatever it takes off")
    percent: str | None = Field(description="`percentage`: what it takes off the cart's items")
    max_value: dict[str, str] = Field(description="The most it takes off, in major units by currency")
    product_id: str | None = Field(description="`free_product`: which product; it has to be in the cart")
    quantity: int | None = Field(description="`free_product`: how many units of it")
    min_cart: dict[str, str] = Field(description="The least that the cart's items cost, in major units by currency")
    currency_codes: list[str] = Field(description="Only in these currencies; in all without any")
    needs_cart: bool = Field(description="Whether it can be redeemed with a `cart_id` only")


class RewardList(BaseModel):
    rewards: list[RewardResponse]


class QuotedReward(RewardResponse):
    """A reward for this cart and this customer."""

    affordable: bool = Field(description="Whether the customer has the dust for it")
    fits: bool = Field(description="Whether it can be had for this cart")
    reason: str | None = Field(description="Why it cannot be redeemed now, in plain words; null when it can")
    reason_code: str | None = Field(examples=["cart_below_minimum"], description="The `code` a redemption would answer")
    missing_dust: int = Field(description="How much more dust the customer needs; 0 when there is enough")
    missing_amount: str | None = Field(description="How much more the cart's items must cost, in major units")


@router.get(
    "/rewards",
    response_model=RewardList,
    responses={304: {"description": "Unchanged since the ETag"}, **describe_problems(422, 429, 503)},
)
def read_rewards(if_none_match: Annotated[str | None, Header()] = None) -> Response:
    """What dust can be redeemed for besides a discount of any size, cheapest first. Public and cacheable."""
    with transaction() as connection:
        rules = current_version(connection).programme.redeem
    return cached(RewardList(rewards=list_rewards(rules)), if_none_match)


def list_rewards(rules: Redeem) -> list[RewardResponse]:
    """All rewards, cheapest first."""
    return [RewardResponse.model_validate(_view(rules, reward)) for reward in _by_price(rules)]


def quote_rewards(
    rules: Redeem,
    *,
    cart: Cart | None,
    basket: Basket | None,
    available: int,
    mixed_prices: Collection[ProductId],
    too_many_open: bool,
) -> list[QuotedReward]:
    """Each reward with whether it can be had for this cart; without a cart, whether it can be had without one."""
    quoted = []
    for reward in _by_price(rules):
        refusal: DustError | None = None
        try:
            reward_terms(rules, reward, cart=cart, basket=basket, mixed_prices=mixed_prices)
        except DustError as error:
            refusal = error
        fits, affordable = refusal is None, reward.dust <= available
        missing = refusal.missing if isinstance(refusal, CartBelowMinimum) else None
        if fits and not affordable:
            # In this order: a redemption looks at the cart first.
            refusal = InsufficientDust(asked=reward.dust, available=available)
        if too_many_open:
            refusal = TooManyOpenRedemptions()
        quoted.append(
            QuotedReward(
                **_view(rules, reward),
                affordable=affordable,
                fits=fits,
                missing_dust=max(0, reward.dust - available),
                missing_amount=money(missing),
                reason=refusal.message if refusal else None,
                reason_code=refusal.code if refusal else None,
            )
        )
    return quoted


def _by_price(rules: Redeem) -> list[Reward]:
    return sorted(rules.rewards, key=lambda reward: reward.dust)


def _view(rules: Redeem, reward: Reward) -> dict[str, object]:
    return {
        "id": reward.id,
        "name": reward.name,
        "kind": reward.kind,
        "dust": reward.dust,
        "percent": None if reward.percent is None else f"{reward.percent.normalize():f}",
        "max_value": _sums(reward.max_value),
        "product_id": reward.product_id,
        "quantity": reward.units if reward.kind is RewardKind.FREE_PRODUCT else None,
        "min_cart": _sums(reward.min_cart),
        "currency_codes": list(reward.currency_codes),
        "needs_cart": reward.needs_cart(rules.max_share),
    }


def _sums(sums: MoneyByCurrency) -> dict[str, str]:
    return {currency: money(value) or "" for currency, value in sums.items()}
