"""What an order is worth in dust, and dust in money. Pure arithmetic on exact decimals.

A worked row: a shirt for 20.00 and shorts for 10.00 less a discount of 3.00 are 27.00 before tax; at 1 dust per eur
that is 27 dust. 500 dust at 100 per eur are 5.00 eur off.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from math import prod

from bridge.ledger.account import MAX_DUST
from bridge.medusa.currencies import smallest_unit
from bridge.programme.rules import Earn, LineAttributes, Redeem, Rounding

_DECIMAL_ROUNDING = {
    Rounding.FLOOR: ROUND_FLOOR,
    Rounding.HALF_UP: ROUND_HALF_UP,
    Rounding.CEILING: ROUND_CEILING,
}
# A price without its tax, or a share of a discount, has no end in decimals: 10.00 / 1.2 = 8.3333333333 as it is read.
# So points are worked out to a millionth before they are made whole: 8.3333333333 x 1.2 are 10 points, not 9.
_MILLIONTH = Decimal("0.000001")


@dataclass(frozen=True, kw_only=True)
class LineTerms:
    """What the rules say of a line by what it is and who buys it; never by what it costs or when it is looked at.

    They are fixed when the line is first settled: a product moved to another category later changes no old order.
    """

    factor: Decimal = Decimal(1)
    multipliers: tuple[str, ...] = ()
    """The names of those that make up the factor."""
    fixed: int | None = None
    """Dust for each unit, in place of the rate."""
    excluded: bool = False


@dataclass(frozen=True, kw_only=True)
class EarningLine:
    """A line of an order or a cart, after discounts. `net` is without tax, `gross` with it, both in major units.

    `units` are those kept that dust has not paid: what a fixed number of dust for each is multiplied by.
    """

    id: str
    terms: LineTerms
    net: Decimal
    gross: Decimal
    units: Decimal


@dataclass(frozen=True, kw_only=True)
class Earning:
    """`dust` is the whole, `lines` the exact shares before rounding; `why` is set when it is 0, or limited."""

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
    """What these lines earn, up to the limit for one order.

    `without` are line ids that never earn, such as products for dust alone; `factor` is that of the customer's tier.

    A worked row: 2 mugs with 50 fixed dust each, in a double week, are 200 dust, whatever they cost.
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
    exact = sum(shares.values(), Decimal(0)).quantize(_MILLIONTH)
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
    """What the rules say of a line in an order that is placed at `moment`."""
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
    """What `dust` takes off, in major units, rounded down to what the currency can pay; None without a rate."""
    rate = rules.rates.get(currency_code)
    if rate is None:
        return None
    return (dust / rate).quantize(smallest_unit(currency_code), ROUND_FLOOR)


def dust_for_value(rate: Decimal, value: Decimal) -> int:
    """How much dust a discount of `value` uses up at `rate` dust per major unit, rounded up to whole dust."""
    return int((value * rate).quantize(_MILLIONTH).to_integral_value(ROUND_CEILING))


def least_dust_for(rules: Redeem, value: Decimal, currency_code: str) -> int:
    """The smallest number of points that takes `value` off, or more. The currency needs a rate.

    At 133.3 points per eur, 1.00 costs 134 points: 133 of them take only 0.99 off.
    """
    return int((value * rules.rates[currency_code]).to_integral_value(ROUND_CEILING))


def useful_dust(rules: Redeem, dust: int, currency_code: str) -> int:
    """The part of `dust` that buys something: the smallest number that takes the same off. The currency needs a rate.

    At 100 points per yen, 100 of 199 points: both take 1 yen off.
    """
    return least_dust_for(rules, discount_value(rules, dust, currency_code) or Decimal(0), currency_code)


def least_redeemable(rules: Redeem, currency_code: str) -> int:
    """The smallest number of points that is not below `min_dust` and buys something with all of them.

    At 100 points per yen: 100, and 200 where `min_dust` is 150.
    """
    least = useful_dust(rules, rules.min_dust, currency_code)
    if 0 < least >= rules.min_dust:
        return least
    value = (discount_value(rules, rules.min_dust, currency_code) or Decimal(0)) + smallest_unit(currency_code)
    return least_dust_for(rules, value, currency_code)


def most_dust_within(rules: Redeem, value: Decimal, currency_code: str) -> int | None:
    """The most points that take off no more than `value`, and buy something with all of them; None without a rate.

    The programme's `max_dust` counts too.
    """
    if currency_code not in rules.rates:
        return None
    unit = smallest_unit(currency_code)
    coverable = max(Decimal(0), value.quantize(unit, ROUND_FLOOR))
    # One point fewer than what takes the next unit off.
    most = least_dust_for(rules, coverable + unit, currency_code) - 1
    return useful_dust(rules, min(most, rules.max_dust or MAX_DUST), currency_code)


def percentage_of(percent: Decimal, amount: Decimal, currency_code: str) -> Decimal:
    """So many percent of an amount, rounded down to what the currency can pay."""
    return (amount * percent / 100).quantize(smallest_unit(currency_code), ROUND_FLOOR)
