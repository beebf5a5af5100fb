"""What an order earns: the rules, and their arithmetic on exact decimals.

Example: a shirt for 20.00 and shorts for 10.00 less a discount of 3.00 are 27.00 before tax; at 1 point per eur
that is 27 points.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import cached_property
from math import prod
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from bridge.counted import counted
from bridge.ledger.postings import MAX_DUST
from bridge.medusa.times import IsoTime
from bridge.programme.fields import (
    DECIMAL_PLACES,
    CurrencyCode,
    ExactDecimal,
    Id,
    Ids,
    Part,
    Rate,
    Whole,
    YesNo,
    is_new,
    points_precision,
)
from bridge.programme.limits import Limits

SHIPPING = "shipping"
"""In place of a line's id: what shipping earns."""


class Rounding(StrEnum):
    FLOOR = "floor"
    HALF_UP = "half_up"
    CEILING = "ceiling"


class EarnWhen(StrEnum):
    """The event after which an order earns."""

    PLACED = "order.placed"
    CAPTURED = "payment.captured"
    COMPLETED = "order.completed"


_DECIMAL_ROUNDING = {
    Rounding.FLOOR: ROUND_FLOOR,
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.CEILING: ROUND_CEILING,
}


@dataclass(frozen=True, kw_only=True)
class LineAttributes:
    """The attributes of an order's line that rules can match."""

    product_id: str | None
    category_ids: frozenset[str] = frozenset()
    collection_id: str | None = None
    customer_group_ids: frozenset[str] = frozenset()


class Basis(Part):
    include_tax: YesNo = False
    include_shipping: YesNo = False
    include_credit: YesNo = Field(
        default=True,
        description="Whether amounts paid with a gift card or store credit when the order was placed earn points as "
        "money does",
    )


class Multiplier(Part):
    """Multiplies by `factor` the points of matching lines; several multipliers multiply.

    A line matches by its product, one of its categories, or its collection. Without such ids every line matches.
    `customer_group_ids` limits it to orders of customers in one of these groups.
    """

    # Postgres cannot store NUL, not even inside JSON.
    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    factor: Annotated[ExactDecimal, Field(ge=0, le=1000, decimal_places=DECIMAL_PLACES)]
    product_ids: Ids = ()
    category_ids: Ids = ()
    collection_ids: Ids = ()
    customer_group_ids: Ids = ()
    starts_at: IsoTime | None = None
    ends_at: IsoTime | None = None

    # Validated on the field, here and below, so that a form shows the error at that field.
    @field_validator("ends_at")
    @classmethod
    def _ends_after_it_starts(cls, ends_at: datetime | None, info: ValidationInfo) -> datetime | None:
        starts_at = info.data.get("starts_at")
        if starts_at and ends_at and ends_at <= starts_at:
            raise ValueError("must be after starts_at")
        return ends_at

    def applies(self, attributes: LineAttributes, *, moment: datetime) -> bool:
        if (self.starts_at and moment < self.starts_at) or (self.ends_at and moment >= self.ends_at):
            return False
        if self.customer_group_ids and attributes.customer_group_ids.isdisjoint(self.customer_group_ids):
            return False
        if not self.product_ids and not self.category_ids and not self.collection_ids:
            return True
        return (
            attributes.product_id in self.product_ids
            or attributes.collection_id in self.collection_ids
            or not attributes.category_ids.isdisjoint(self.category_ids)
        )


class FixedDust(Part):
    """Fixed points for each unit of a product, whatever it costs, instead of the rate."""

    product_id: Id
    dust: Whole = Field(ge=0, le=MAX_DUST)


class Earn(Part):
    rates: dict[CurrencyCode, Rate] = Field(
        default={"eur": Decimal(1)}, description="Points for each major unit of money spent, by currency"
    )
    basis: Basis = Basis()
    rounding: Rounding = Rounding.FLOOR
    when: EarnWhen = EarnWhen.PLACED
    pending_days: Whole = Field(default=0, ge=0, le=3650)
    pending_until_paid: YesNo = Field(
        default=False,
        description="Whether earned points are pending until the order is paid; recommended with `order.placed`",
    )
    expires_after_days: Whole | None = Field(default=None, ge=1, le=36_500)
    expiry_notice_days: Whole | None = Field(
        default=14,
        ge=1,
        le=365,
        description="How many days before points expire the webhook `dust.expiring` is sent; null: never",
    )
    excluded_product_ids: Ids = ()
    excluded_category_ids: Ids = ()
    excluded_collection_ids: Ids = ()
    fixed: tuple[FixedDust, ...] = Field(
        default=(),
        max_length=10_000,
        description="Products that earn a fixed number of points per unit instead of the rate",
    )
    multipliers: tuple[Multiplier, ...] = Field(default=(), max_length=200)
    limits: Limits = Limits()

    @field_validator("expires_after_days")
    @classmethod
    def _matures_before_it_expires(cls, expires_after_days: int | None, info: ValidationInfo) -> int | None:
        pending_days = info.data.get("pending_days")
        if is_new(info) and expires_after_days is not None and (pending_days or 0) >= expires_after_days:
            raise ValueError(
                f"expires_after_days ({expires_after_days}) must be more than pending_days ({pending_days}): "
                "points would expire before anybody can spend them"
            )
        return expires_after_days

    @field_validator("fixed")
    @classmethod
    def _each_product_once(cls, fixed: tuple[FixedDust, ...]) -> tuple[FixedDust, ...]:
        times = Counter(rule.product_id for rule in fixed)
        if repeated := [product_id for product_id in times if times[product_id] > 1]:
            raise ValueError(f"names {', '.join(repeated[:3])} more than once")
        return fixed

    @cached_property
    def fixed_by_product(self) -> dict[str, int]:
        return {product.product_id: product.dust for product in self.fixed}


@dataclass(frozen=True, kw_only=True)
class LineTerms:
    """The rules' terms for a line, by its product and its buyer, not by its price or the time of reading.

    They are fixed at the line's first settlement: a product moved to another category later changes no old order.
    """

    factor: Decimal = Decimal(1)
    multipliers: tuple[str, ...] = ()
    """The names of the multipliers in the factor."""
    fixed: int | None = None
    """Points per unit, instead of the rate."""
    excluded: bool = False


@dataclass(frozen=True, kw_only=True)
class EarningLine:
    """A line of an order or a cart, after discounts. `net` is without tax, `gross` with it, both in major units.

    `units` are the units kept that points have not paid for; fixed points per unit are multiplied by it.
    """

    id: str
    terms: LineTerms
    net: Decimal
    gross: Decimal
    units: Decimal


@dataclass(frozen=True, kw_only=True)
class Earning:
    """What an order earns.

    `dust` is the sum in whole points, `lines` are the exact shares before rounding, by line id or `SHIPPING`. `why` is
    set if the sum is 0 or limited.
    """

    dust: int
    lines: Mapping[str, Decimal]
    why: str | None = None


def earning(
    rules: Earn,
    *,
    currency_code: str,
    lines: Collection[EarningLine],
    shipping_net: Decimal,
    shipping_gross: Decimal,
    dust_only: Collection[str] = (),
    factor: Decimal = Decimal(1),
) -> Earning:
    """Return what these lines earn, up to the limit for one order.

    `dust_only` are ids of lines whose products only points can buy: they never earn. `factor` is that of the customer's
    tier.

    Example: 2 mugs with 50 fixed points each, in a week with factor 2, earn 200 points, whatever they cost.
    """
    rate = rules.rates.get(currency_code)
    if rate is None:
        return Earning(dust=0, lines={}, why=f"The programme has no earning rate for {currency_code}.")
    points = {
        line.id: _base(rules, line, rate) * line.terms.factor * factor
        for line in lines
        if line.id not in dust_only and not line.terms.excluded
    }
    if rules.basis.include_shipping:
        points[SHIPPING] = _amount(rules, shipping_net, shipping_gross) * rate * factor
    # More than anybody can have is not computed exactly: it would have too many digits.
    exact = min(sum(points.values(), Decimal(0)), Decimal(MAX_DUST + 1))
    highest = max((line.terms.factor for line in lines), default=Decimal(1)) * factor * rate
    dust = int(exact.quantize(points_precision(highest)).to_integral_value(_DECIMAL_ROUNDING[rules.rounding]))
    if dust <= 0:
        return Earning(dust=0, lines=points, why="Nothing in the order earns points.")
    max_dust = rules.limits.per_order or MAX_DUST
    return Earning(
        dust=min(dust, max_dust),
        lines=points,
        why=f"Worth {counted(dust, 'point')}, limited to {max_dust:,} an order." if dust > max_dust else None,
    )


def _amount(rules: Earn, net: Decimal, gross: Decimal) -> Decimal:
    return gross if rules.basis.include_tax else net


def _base(rules: Earn, line: EarningLine, rate: Decimal) -> Decimal:
    if line.terms.fixed is not None:
        return line.terms.fixed * line.units
    return _amount(rules, line.net, line.gross) * rate


def line_terms(rules: Earn, attributes: LineAttributes, *, moment: datetime) -> LineTerms:
    """Return the terms of a line in an order placed at `moment`."""
    matching = [multiplier for multiplier in rules.multipliers if multiplier.applies(attributes, moment=moment)]
    return LineTerms(
        factor=prod((multiplier.factor for multiplier in matching), start=Decimal(1)),
        multipliers=tuple(multiplier.name for multiplier in matching),
        fixed=rules.fixed_by_product.get(attributes.product_id) if attributes.product_id else None,
        excluded=(
            attributes.product_id in rules.excluded_product_ids
            or attributes.collection_id in rules.excluded_collection_ids
            or not attributes.category_ids.isdisjoint(rules.excluded_category_ids)
        ),
    )
