"""Compute a customer's tier. Pure arithmetic.

A tier is not stored: it follows from the orders in the window that ends at the given moment. It rises as soon as an
order counts, and falls when the orders that counted leave the window. A canceled order does not count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from bridge.ledger.postings import MAX_DUST
from bridge.medusa.amounts import plain_text
from bridge.medusa.currencies import format_amount
from bridge.programme.fields import DECIMAL_PLACES, MILLIONTH, CurrencyCode, ExactDecimal, Part, ShortText, Whole


class TierBasis(StrEnum):
    """What counts towards a tier: points earned or money spent."""

    EARNED = "earned"
    SPENT = "spent"


class TierLevel(Part):
    """A tier: from the threshold `from` on, a customer's new orders earn `factor` times as many points.

    The threshold is in points or money within the window, by the basis.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    threshold: Annotated[ExactDecimal, Field(ge=0, le=MAX_DUST, decimal_places=2)] = Field(alias="from")
    factor: Annotated[ExactDecimal, Field(gt=0, le=1000, decimal_places=DECIMAL_PLACES)] = Decimal(1)
    benefits: Annotated[tuple[ShortText, ...], Field(max_length=20)] = Field(
        default=(), description="What customers of this tier get besides points, for the storefront to show"
    )


class Tiers(Part):
    basis: TierBasis = TierBasis.EARNED
    currency_code: CurrencyCode | None = Field(
        default=None, validate_default=True, description="The currency whose orders count, if `basis` is `spent`"
    )
    window_days: Whole = Field(default=365, ge=1, le=3650)
    levels: tuple[TierLevel, ...] = Field(default=(), max_length=20, description="The tiers, the lowest first")

    @field_validator("currency_code")
    @classmethod
    def _money_has_a_currency(cls, currency_code: str | None, info: ValidationInfo) -> str | None:
        if currency_code is None and info.data.get("basis") is TierBasis.SPENT:
            raise ValueError("say in which currency, when the basis is spent")
        return currency_code

    @field_validator("levels")
    @classmethod
    def _each_is_above_the_one_before(cls, levels: tuple[TierLevel, ...]) -> tuple[TierLevel, ...]:
        for before, level in pairwise(levels):
            if level.threshold <= before.threshold:
                raise ValueError(f"{level.name} must be from more than {before.name}, which comes before it")
        if len({level.name for level in levels}) < len(levels):
            raise ValueError("each needs a name of its own")
        return levels


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one order counts: the points it earned or the money spent on it, by the basis."""

    placed_at: datetime
    amount: Decimal
    order_id: str = ""


@dataclass(frozen=True, kw_only=True)
class CustomerTier:
    """A customer's tier at one moment, and the rules of tiers by which it was reached.

    `until` is when it is lost without further orders; None if it cannot be lost.
    """

    tiers: Tiers
    level: TierLevel | None
    until: datetime | None
    next: TierLevel | None
    total: Decimal
    """Points, or money in major units, that count within the window."""
    missing: Decimal | None
    """How much is missing to the next level."""

    @property
    def factor(self) -> Decimal:
        return self.level.factor if self.level else Decimal(1)


def tier_at(tiers: Tiers, contributions: Iterable[Contribution], *, moment: datetime) -> CustomerTier:
    """Return the customer's tier at `moment`, from the orders placed up to then."""
    window = timedelta(days=tiers.window_days)
    counted = sorted(
        (contribution for contribution in contributions if moment - window < contribution.placed_at <= moment),
        key=lambda contribution: contribution.placed_at,
    )
    exact = sum((contribution.amount for contribution in counted), Decimal(0))
    # Three shirts for 10.00 with 20 % tax inside are 3 x 8.3333333333 without it, and reach a tier from 25.00.
    total = exact.quantize(MILLIONTH)
    level = next((level for level in reversed(tiers.levels) if level.threshold <= total), None)
    following = next((level for level in tiers.levels if level.threshold > total), None)
    until = None
    if level:
        left = exact
        for contribution in counted:
            left -= contribution.amount
            if left.quantize(MILLIONTH) < level.threshold:
                until = contribution.placed_at + window
                break
    return CustomerTier(
        tiers=tiers,
        level=level,
        until=until,
        next=following,
        total=total,
        missing=following.threshold - total if following else None,
    )


def format_reached(tiers: Tiers, total: Decimal) -> str:
    """Return what counts towards a tier, in points or in the currency, without more than there is."""
    return _format(tiers, total, ROUND_FLOOR)


def format_needed(tiers: Tiers, amount: Decimal) -> str:
    """Return what a tier needs, in points or in the currency, rounded up so that it suffices."""
    return _format(tiers, amount, ROUND_CEILING)


def _format(tiers: Tiers, amount: Decimal, rounding: str) -> str:
    if tiers.basis is TierBasis.SPENT and tiers.currency_code is not None:
        return format_amount(amount, tiers.currency_code, rounding)
    return plain_text(amount)
