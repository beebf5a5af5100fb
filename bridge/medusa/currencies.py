"""Decimal digits of currencies in Medusa. Medusa's values count: HUF has 0 there, and 2 in ISO 4217.

The defaults are those that Medusa 2.21.2 ships. They are replaced by the shop's `GET /admin/currencies`.
"""

from collections.abc import Iterable, Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

# @medusajs/utils 2.21.2, defaults/currencies.js. All others there have two.
_NO_DECIMALS = (
    "afn all amd bif clp cop crc djf gnf huf idr iqd irr irt isk jpy kmf krw lbp mga mmk mnt mur pkr pyg rsd rwf"
    " sos syp tzs ugx uzs vnd xaf xof xpf yer zmk zwl"
)
_THREE_DECIMALS = "bhd jod kwd lyd omr tnd"
_DEFAULT_DIGITS = 2

_SHIPPED = dict.fromkeys(_NO_DECIMALS.split(), 0) | dict.fromkeys(_THREE_DECIMALS.split(), 3)


# The shop's own digits, once they were loaded.
_of_the_shop: dict[str, int] = {}


class _Currency(BaseModel):
    code: str = Field(pattern=r"^[A-Za-z]{3}$")
    decimal_digits: int = Field(ge=0, le=6)


_CURRENCIES = TypeAdapter(list[_Currency])


def read_currencies(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the decimal digits by currency code, from `GET /admin/currencies`.

    Raises `ValueError` for anything else.
    """
    try:
        currencies = _CURRENCIES.validate_python(list(rows))
    except ValidationError as error:
        raise ValueError("Medusa's currencies are not of the known shape.") from error
    return {currency.code.lower(): currency.decimal_digits for currency in currencies}


def use_currencies(digits: Mapping[str, int]) -> None:
    """Use these digits of the shop in this process from now on; without any, the shipped ones."""
    # A new dictionary: another thread may be reading the old one.
    global _of_the_shop
    _of_the_shop = dict(digits)


def decimal_digits(currency_code: str) -> int:
    """Return the currency's decimal digits: 2 for eur, 0 for jpy and huf, 3 for kwd."""
    code = currency_code.lower()
    return _of_the_shop.get(code, _SHIPPED.get(code, _DEFAULT_DIGITS))


def smallest_unit(currency_code: str) -> Decimal:
    """Return the currency's smallest unit: 0.01 for eur, 1 for jpy and huf."""
    return Decimal(1).scaleb(-decimal_digits(currency_code))


def amount_to_pay(total: Decimal, currency_code: str) -> Decimal:
    """Round a total to the currency's smallest unit, half up. 0.004 eur are nothing to pay."""
    return total.quantize(smallest_unit(currency_code), ROUND_HALF_UP) + 0


def round_down(value: Decimal, currency_code: str) -> Decimal:
    """Round down to the currency's smallest unit."""
    return value.quantize(smallest_unit(currency_code), ROUND_FLOOR)


def format_amount(value: Decimal, currency_code: str, rounding: str = ROUND_FLOOR) -> str:
    """Return an amount in major units with the currency's decimals: `5.00` for eur, `5` for jpy, `5.000` for kwd."""
    return f"{value.quantize(smallest_unit(currency_code), rounding):f}"


def rounded_amount(value: Decimal, currency_code: str) -> str:
    """Like `format_amount`, rounded half up: for sums and averages, which are not money to pay or to give."""
    return format_amount(value, currency_code, ROUND_HALF_UP)


def format_money(value: Decimal, currency_code: str, rounding: str = ROUND_FLOOR) -> str:
    """Return an amount for a sentence: `5.00 EUR`."""
    return f"{format_amount(value, currency_code, rounding)} {currency_code.upper()}"
