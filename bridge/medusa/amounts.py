"""Decimal types for Medusa's numbers, without floating-point noise. Every document is read through these types.

Medusa 2.21.2 computes with 20 decimal places and prints the result as a binary double: 12.00 may arrive as
11.999999999999998, and a fully paid order may keep a total of 1e-20. A price that includes tax has endless decimals
(10.00 / 1.2 = 8.3333…), so an amount is not rounded to the currency's smallest unit when it is read.
"""

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

# A double has 15 to 17 significant digits; arithmetic in doubles changes the last ones.
_SIGNIFICANT_DIGITS = 14
# Smaller values are left over from a subtraction.
_MAX_PLACES = 10
# Some currencies have three decimals; those are never rounded away.
_MIN_PLACES = 3
_ZERO, _THOUSANDTH = Decimal(0), Decimal("0.001")


def without_noise(value: Decimal) -> Decimal:
    """Round away the noise of binary arithmetic.

    59.99999999999999 is 60, 0.30000000000000004 is 0.3, 1e-20 is 0, and 8.333333333333334 is 8.3333333333. An amount
    below 10,000 keeps ten decimal places; a larger one keeps fewer, but at least three.
    """
    if not value:
        # Also -0.
        return _ZERO
    if value == value.quantize(_THOUSANDTH, ROUND_HALF_EVEN):
        # Nearly every amount.
        return value
    integer_digits = max(value.adjusted() + 1, 0)
    places = max(min(_MAX_PLACES, _SIGNIFICANT_DIGITS - integer_digits), _MIN_PLACES)
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    if rounded != value:
        value = rounded.normalize()
    # Without an exponent, and never -0.
    return value.quantize(Decimal(1)) + 0 if value == value.to_integral_value() else value


def sum_of(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum of amounts. Each may be short in its tenth place: 3 x 3.3333333333 is 10."""
    return sum(amounts, Decimal(0)).quantize(Decimal("1e-8"), ROUND_HALF_EVEN).normalize() + 0


def plain_text(value: Decimal) -> str:
    """Return a number as people write it: 1.50 and 1.5 are "1.5", 100 is not "1E+2"."""
    return f"{value.normalize():f}"


Number = Annotated[Decimal, Field(ge=-(10**15), le=10**15), AfterValidator(without_noise)]
"""An amount in major units, or a quantity. No shop sells for more."""


# Pydantic puts a limit that is checked after a function into the JSON schema under its own name, which is no keyword.
def _json_schema(**minimum: int) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "number", **minimum, "maximum": 10**15}, {"type": "string"}]})


PositiveNumber = Annotated[Number, Field(gt=0), _json_schema(exclusiveMinimum=0)]
"""A number above 0, also without noise."""

NonNegativeNumber = Annotated[Number, Field(ge=0), _json_schema(minimum=0)]
"""A number that is 0 or more, without noise."""

Quantity = Annotated[Decimal, Field(ge=0, le=10**15), AfterValidator(without_noise)]
"""A quantity of a product: a whole number, or a weight such as 1.5."""
