"""What points take off: the rules of redemptions, and their arithmetic on exact decimals.

Example: 500 points at 100 per eur are 5.00 eur off.
"""

from decimal import ROUND_CEILING, Decimal
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from bridge.ids import ProductId
from bridge.ledger.postings import MAX_DUST
from bridge.medusa.currencies import round_down, smallest_unit
from bridge.programme.fields import DECIMAL_PLACES, CurrencyCode, ExactDecimal, Part, Rate, Whole, points_precision
from bridge.programme.rewards import Reward


class Redeem(Part):
    rates: dict[CurrencyCode, Rate] = Field(
        default={"eur": Decimal(100)}, description="Points for each major unit of discount, by currency"
    )
    min_dust: Whole = Field(default=1, ge=1, le=MAX_DUST)
    max_dust: Whole | None = Field(default=None, ge=1, le=MAX_DUST)
    max_share: Annotated[ExactDecimal, Field(gt=0, le=1, decimal_places=DECIMAL_PLACES)] = Decimal(1)
    code_ttl_minutes: Whole = Field(default=60, ge=1, le=525_600)
    rewards: tuple[Reward, ...] = Field(default=(), max_length=200)

    @field_validator("max_dust")
    @classmethod
    def _max_is_not_below_min(cls, max_dust: int | None, info: ValidationInfo) -> int | None:
        if max_dust is not None and max_dust < info.data.get("min_dust", 0):
            raise ValueError("must not be below the minimum points at a time, min_dust")
        return max_dust

    @field_validator("rewards")
    @classmethod
    def _rewards_keep_the_limits(cls, rewards: tuple[Reward, ...], info: ValidationInfo) -> tuple[Reward, ...]:
        min_dust, max_dust, share = (info.data.get(name) for name in ("min_dust", "max_dust", "max_share"))
        known = set()
        for reward in rewards:
            if reward.id in known:
                raise ValueError(f"two rewards have the id {reward.id}")
            known.add(reward.id)
            if min_dust is not None and reward.dust < min_dust:
                raise ValueError(f"{reward.id}: the price of {reward.dust} is below the minimum at a time ({min_dust})")
            if max_dust is not None and reward.dust > max_dust:
                raise ValueError(f"{reward.id}: the price of {reward.dust} is above the maximum at a time ({max_dust})")
            if share is not None and reward.percent is not None and reward.percent > share * 100:
                raise ValueError(f"{reward.id}: {reward.percent:f} % are above max_share ({share:f} of the cart)")
        return rewards

    def reward(self, reward_id: str) -> Reward | None:
        """Return the reward with this id; None if it is not in the catalogue."""
        return next((reward for reward in self.rewards if reward.id == reward_id), None)

    @property
    def free_products(self) -> set[ProductId]:
        """The products of the catalogue's rewards."""
        return {ProductId(reward.product_id) for reward in self.rewards if reward.product_id}


def discount_value(rules: Redeem, dust: int, currency_code: str) -> Decimal | None:
    """Return the discount for `dust` points, in major units, rounded down to the smallest unit; None without a rate."""
    rate = rules.rates.get(currency_code)
    if rate is None:
        return None
    return round_down(dust / rate, currency_code)


def dust_for_value(rate: Decimal, value: Decimal) -> int:
    """Return the points for a discount of `value` at `rate` points per major unit, rounded up to whole points."""
    return int((value * rate).quantize(points_precision(rate)).to_integral_value(ROUND_CEILING))


def min_dust_for(rules: Redeem, value: Decimal, currency_code: str) -> int:
    """Return the smallest number of points that takes `value` off, or more. The currency needs a rate.

    At 133.3 points per eur, 1.00 costs 134 points: 133 of them take only 0.99 off.
    """
    return int((value * rules.rates[currency_code]).to_integral_value(ROUND_CEILING))


def useful_dust(rules: Redeem, dust: int, currency_code: str) -> int:
    """Return the part of `dust` that has an effect: the fewest points with the same discount. The currency needs a
    rate.

    At 100 points per yen, 100 of 199 points: both take 1 yen off.
    """
    return min_dust_for(rules, discount_value(rules, dust, currency_code) or Decimal(0), currency_code)


def min_redeemable(rules: Redeem, currency_code: str) -> int:
    """Return the smallest number of points from `min_dust` on that has an effect with all its points.

    At 100 points per yen it is 100, and 200 if `min_dust` is 150.
    """
    min_dust = useful_dust(rules, rules.min_dust, currency_code)
    if min_dust > 0 and min_dust >= rules.min_dust:
        return min_dust
    value = (discount_value(rules, rules.min_dust, currency_code) or Decimal(0)) + smallest_unit(currency_code)
    return min_dust_for(rules, value, currency_code)


def max_dust_within(rules: Redeem, value: Decimal, currency_code: str) -> int | None:
    """Return the most points that take off no more than `value` and all have an effect; None without a rate.

    The programme's `max_dust` applies too.
    """
    if currency_code not in rules.rates:
        return None
    coverable = max(Decimal(0), round_down(value, currency_code))
    # One point less than what takes the next unit off.
    max_dust = min_dust_for(rules, coverable + smallest_unit(currency_code), currency_code) - 1
    return useful_dust(rules, min(max_dust, rules.max_dust or MAX_DUST), currency_code)


def percentage_of(percent: Decimal, amount: Decimal, currency_code: str) -> Decimal:
    """Return `percent` percent of an amount, rounded down to the currency's smallest unit."""
    return round_down(amount * percent / 100, currency_code)
