"""The catalogue's rewards for a customer: which they can afford, which fit the cart, and why not."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from bridge.errors import DustError
from bridge.ids import ProductId
from bridge.ledger.account import InsufficientDust
from bridge.medusa.carts import Cart
from bridge.programme.rewards import Reward
from bridge.programme.spending import Redeem
from bridge.redemptions.pricing.basket import Basket
from bridge.redemptions.pricing.rewards import CartBelowMinimum, reward_terms
from bridge.redemptions.service import TooManyOpenRedemptions


@dataclass(frozen=True, kw_only=True)
class RewardOffer:
    """A reward for one cart and one customer. `refusal` is the error that redeeming it would raise; None if none."""

    reward: Reward
    affordable: bool
    fits: bool
    missing_dust: int
    missing_amount: Decimal | None
    """What is missing to the minimum worth of the cart, in major units; None if nothing is."""
    refusal: DustError | None


def rewards_by_price(rules: Redeem) -> list[Reward]:
    """Return all rewards, cheapest first."""
    return sorted(rules.rewards, key=lambda reward: reward.dust)


def offer_rewards(
    rules: Redeem,
    *,
    cart: Cart | None,
    basket: Basket | None,
    available: int,
    mixed_price_products: Collection[ProductId],
    too_many_open: bool,
) -> list[RewardOffer]:
    """Return each reward, cheapest first, for this cart, or without a cart if `cart` is None."""
    offers = []
    for reward in rewards_by_price(rules):
        refusal: DustError | None = None
        try:
            reward_terms(rules, reward, cart=cart, basket=basket, mixed_price_products=mixed_price_products)
        except DustError as error:
            refusal = error
        fits, affordable = refusal is None, reward.dust <= available
        missing = refusal.missing if isinstance(refusal, CartBelowMinimum) else None
        if fits and not affordable:
            # The cart comes first, in the order in which a redemption checks.
            refusal = InsufficientDust(asked=reward.dust, available=available)
        if too_many_open:
            refusal = TooManyOpenRedemptions()
        offers.append(
            RewardOffer(
                reward=reward,
                affordable=affordable,
                fits=fits,
                missing_dust=max(0, reward.dust - available),
                missing_amount=missing,
                refusal=refusal,
            )
        )
    return offers
