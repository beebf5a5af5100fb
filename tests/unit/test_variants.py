"""Which variants differ in price."""

from decimal import Decimal
from typing import Any

import pytest

from bridge.products.variants import differing_prices


def eur(amount: Any, **more: Any) -> dict[str, Any]:
    return {"amount": amount, "currency_code": "eur", **more}


USD = {"amount": 12, "currency_code": "usd"}


def in_region(amount: int) -> dict[str, Any]:
    return eur(amount, rules={"region_id": "reg_1"})


@pytest.mark.parametrize(
    "prices",
    [
        [],
        [[eur(10), USD]],
        [[eur(10), USD], [USD, eur(Decimal("10.00"))]],
        [[eur(10), USD], [eur(10)]],
        [[eur(10), eur(8, price_list_id="plist_1")], [eur(10)]],
        [[eur(10), in_region(11)], [eur(10), in_region(11)]],
    ],
)
def test_variants_at_the_same_prices(prices: list[list[dict[str, Any]]]) -> None:
    assert differing_prices([{"title": "Size", "prices": price} for price in prices]) == []


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ([eur(10)], [eur(100)], ["Small 10.00 EUR", "Large 100.00 EUR"]),
        ([eur("10.50"), USD], [eur("10.50"), {**USD, "amount": 13}], ["Small 12.00 USD", "Large 13.00 USD"]),
        ([eur(10), in_region(11)], [eur(10), in_region(12)], ["Small 10.00/11.00 EUR", "Large 10.00/12.00 EUR"]),
        ([eur(10)], [eur(10), eur(9, min_quantity=5)], ["Small 10.00 EUR", "Large 10.00/9.00 EUR"]),
    ],
)
def test_variants_at_different_prices_are_named(
    first: list[dict[str, Any]], second: list[dict[str, Any]], named: list[str]
) -> None:
    variants = [{"title": "Small", "prices": first}, {"title": "Large", "prices": second}]
    assert differing_prices(variants) == named
