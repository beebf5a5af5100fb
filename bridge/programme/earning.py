"""Points that an order earns, and the money that points take off. Pure arithmetic on exact decimals.

A worked row: a shirt for 20.00 and shorts for 10.00 less a discount of 3.00 are 27.00 before tax; at 1 point per eur
that is 27 points. 500 points at 100 per eur are 5.00 eur off.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from math import prod

from bridge.ledger.postings import MAX_DUST
from bridge.medusa.currencies import smallest_unit
from bridge.programme.rules import Earn, LineAttributes, Redeem, Rounding

_DECIMAL_ROUNDING = {
    Rounding.FLOOR: ROUND_FLOOR,
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.CEILING: ROUND_CEILING,
}
# A price without its tax, or a share of a discount, is cut off: 10.00 / 1.2 is read as 8.3333333333. So points are
# rounded to a millionth before they are rounded to whole points: 8.3333333333 x 1.2 are 10 points, not 9.
_MILLIONTH = Decimal("0.000001")


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

    `dust` is the sum in whole points, `lines` are the exact shares before rounding. `why` is set if the sum is 0 or
    limited.
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
    without: Collection[str] = (),
    factor: Decimal = Decimal(1),
) -> Earning:
    """Return what these lines earn, up to the limit for one order.

    `without` are ids of lines that never earn, such as dust-only products; `factor` is the factor of the customer's
    tier.

    A worked row: 2 mugs with 50 fixed points each, in a week with factor 2, earn 200 points, whatever they cost.
    """
    rate = rules.rates.get(currency_code)
    if rate is None:
        return Earning(dust=0, lines={}, why=f"The programme has no earning rate for {currency_code}.")
    shares = {
        line.id: _base(rules, line, rate) * line.terms.factor * factor
        for line in lines
        if line.id not in without and not line.terms.excluded
    }
    if rules.basis.include_shipping:
        shares["shipping"] = _amount(rules, shipping_net, shipping_gross) * rate * factor
    # More than anybody can have is not computed exactly: it would have too many digits.
    exact = min(sum(shares.values(), Decimal(0)), Decimal(MAX_DUST + 1)).quantize(_MILLIONTH)
    dust = int(exact.to_integral_value(_DECIMAL_ROUNDING[rules.rounding]))
    if dust <= 0:
        return Earning(dust=0, lines=shares, why="Nothing in the order earns dust.")
    most = rules.limits.per_order or MAX_DUST
    return Earning(
        dust=min(dust, most),
        lines=shares,
        why=f"Worth {dust} dust, limited to {most} an order." if dust > most else None,
    )


def _amount(rules: Earn, net: Decimal, gross: Decimal) -> Decimal:
    return gross if rules.basis.include_tax else net


def _base(rules: Earn, line: EarningLine, rate: Decimal) -> Decimal:
    if line.terms.fixed is not None:
        return line.terms.fixed * line.units
    return _amount(rules, line.net, line.gross) * rate


def line_terms(rules: Earn, traits: LineAttributes, *, moment: datetime) -> LineTerms:
    """Return the terms of a line in an order placed at `moment`."""
    matching = [multiplier for multiplier in rules.multipliers if multiplier.applies(traits, moment=moment)]
    return LineTerms(
        factor=prod((multiplier.factor for multiplier in matching), start=Decimal(1)),
        multipliers=tuple(multiplier.name for multiplier in matching),
        fixed=rules.fixed_by_product.get(traits.product_id) if traits.product_id else None,
        excluded=(
            traits.product_id in rules.excluded_product_ids
            or traits.collection_id in rules.excluded_collection_ids
            or not traits.category_ids.isdisjoint(rules.excluded_category_ids)
        ),
    )


def discount_value(rules: Redeem, dust: int, currency_code: str) -> Decimal | None:
    """Return the discount for `dust` points, in major units, rounded down to the smallest unit; None without a rate."""
    rate = rules.rates.get(currency_code)
    if rate is None:
        return None
    return (dust / rate).quantize(smallest_unit(currency_code), ROUND_FLOOR)


def dust_for_value(rate: Decimal, value: Decimal) -> int:
    """Return the points for a discount of `value` at `rate` points per major unit, rounded up to whole points."""
    return int((value * rate).quantize(_MILLIONTH).to_integral_value(ROUND_CEILING))


def least_dust_for(rules: Redeem, value: Decimal, currency_code: str) -> int:
    """Return the smallest number of points that takes `value` off, or more. The currency needs a rate.

    At 133.3 points per eur, 1.00 costs 134 points: 133 of them take only 0.99 off.
    """
    return int((value * rules.rates[currency_code]).to_integral_value(ROUND_CEILING))


def useful_dust(rules: Redeem, dust: int, currency_code: str) -> int:
    """Return the part of `dust` that has an effect: the fewest points with the same discount. The currency needs a
    rate.

    At 100 points per yen, 100 of 199 points: both take 1 yen off.
    """
    return least_dust_for(rules, discount_value(rules, dust, currency_code) or Decimal(0), currency_code)


def least_redeemable(rules: Redeem, currency_code: str) -> int:
    """Return the smallest number of points from `min_dust` on that has an effect with all its points.

    At 100 points per yen it is 100, and 200 if `min_dust` is 150.
    """
    least = useful_dust(rules, rules.min_dust, currency_code)
    if 0 < least >= rules.min_dust:
        return least
    value = (discount_value(rules, rules.min_dust, currency_code) or Decimal(0)) + smallest_unit(currency_code)
    return least_dust_for(rules, value, currency_code)


def most_dust_within(rules: Redeem, value: Decimal, currency_code: str) -> int | None:
    """Return the most points that take off no more than `value` and all have an effect; None without a rate.

    The programme's `max_dust` applies too.
    """
    if currency_code not in rules.rates:
        return None
    unit = smallest_unit(currency_code)
    coverable = max(Decimal(0), value.quantize(unit, ROUND_FLOOR))
    # One point less than what takes the next unit off.
    most = least_dust_for(rules, coverable + unit, currency_code) - 1
    return useful_dust(rules, min(most, rules.max_dust or MAX_DUST), currency_code)


def percentage_of(percent: Decimal, amount: Decimal, currency_code: str) -> Decimal:
    """Return `percent` percent of an amount, rounded down to the currency's smallest unit."""
    return (amount * percent / 100).quantize(smallest_unit(currency_code), ROUND_FLOOR)
