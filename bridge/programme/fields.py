"""Types of the fields in the programme document, and the base class of its parts."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationInfo

from bridge.ids import ID_PATTERN
from bridge.programme.days import zone_named

# Medusa decides which currencies exist, see `currencies.py`.
_CURRENCY = re.compile("[a-z]{3}")
# Higher rates are typing errors. The limit also keeps every product of rate and amount inside a BIGINT.
_MAX_RATE = Decimal(1_000_000)
DECIMAL_PLACES = 6
_MAX_MONEY = Decimal(1_000_000_000)
# A price without its tax, or a share of a discount, is cut off: 10.00 / 1.2 is read as 8.3333333333. So points are
# rounded to a millionth before they are rounded to whole points: 8.3333333333 x 1.2 are 10 points, not 9.
MILLIONTH = Decimal("0.000001")
_HUNDREDTH = Decimal("0.01")


def points_precision(rate: Decimal) -> Decimal:
    """Return what points are rounded to before they are rounded to whole points: a millionth, and more at high rates.

    Amounts are cut off at their tenth place: 8.3333333333 x 120000 are 1000000 points, and not 999999.999996.
    """
    return min(max(MILLIONTH, Decimal(1).scaleb(rate.adjusted() - 7)), _HUNDREDTH)


def _currency_code(code: str) -> str:
    if not _CURRENCY.fullmatch(code):
        hint = "use lower case" if _CURRENCY.fullmatch(code.lower()) else "use an ISO 4217 code such as eur"
        raise ValueError(f"{code!r} is not a currency: {hint}")
    return code


CurrencyCode = Annotated[str, AfterValidator(_currency_code)]


def _lower_case(code: object) -> object:
    return code.lower() if isinstance(code, str) else code


RequestedCurrency = Annotated[CurrencyCode, BeforeValidator(_lower_case)]
"""The currency of a shopper's request. Intl and payment providers write it in upper case, Medusa in lower case."""


def _plain(value: Decimal) -> str:
    return f"{value:f}"


# Decimals are strings in JSON, so that no client turns them into binary floats.
ExactDecimal = Annotated[Decimal, PlainSerializer(_plain, return_type=str)]
Rate = Annotated[ExactDecimal, Field(gt=0, le=_MAX_RATE, decimal_places=DECIMAL_PLACES)]
Id = Annotated[str, Field(pattern=ID_PATTERN)]
Ids = Annotated[tuple[Id, ...], Field(max_length=10_000)]
# Strict: true, "5" and 5.0 are refused, because they are usually mistakes.
Whole = Annotated[int, Field(strict=True)]
YesNo = Annotated[bool, Field(strict=True)]
ShortText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Money = Annotated[ExactDecimal, Field(gt=0, le=_MAX_MONEY, decimal_places=DECIMAL_PLACES)]
MoneyByCurrency = Annotated[dict[CurrencyCode, Money], Field(max_length=200)]


def _known_zone(name: str) -> str:
    try:
        zone_named(name)
    except (ValueError, KeyError, OSError):
        raise ValueError(f"{name!r} is not a time zone: use an IANA name such as Europe/Berlin") from None
    return name


TimeZone = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]{1,64}$"), AfterValidator(_known_zone)]


# Validation context for a stored version: it was checked by the rules of its day.
STORED = {"stored": True}


def is_new(info: ValidationInfo) -> bool:
    return not info.context


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
