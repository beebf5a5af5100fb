"""The rules of earning: what a line is worth by its product, its categories, its collection and who buys it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.medusa.orders import OrderDetail
from bridge.programme.earning import Earn, EarningLine, LineAttributes, LineTerms, earning, line_terms
from bridge.programme.rules import Programme

NOW = datetime(2026, 11, 22, tzinfo=UTC)
# A whole document with one multiplier.
DOCUMENT: dict[str, Any] = {
    "earn": {
        "rates": {"eur": "1"}, "basis": {"include_tax": False, "include_shipping": False}, "rounding": "floor",
        "when": "order.placed", "pending_days": 0, "expires_after_days": None, "excluded_product_ids": [],
        "multipliers": [{"name": "double week", "factor": "2", "product_ids": [], "category_ids": [],
                         "starts_at": None, "ends_at": None}],
    },
    "bonuses": {"signup": 0},
    "redeem": {"rates": {"eur": "100"}, "min_dust": 1, "max_dust": None, "max_share": "1", "code_ttl_minutes": 60},
    "reversal": {"negative_balance": "allow"},
    "guests": {"escrow_days": 90},
}  # fmt: skip


def terms(rules: dict[str, Any], **attributes: Any) -> LineTerms:
    return line_terms(Earn.model_validate(rules), LineAttributes(**{"product_id": "prod_1", **attributes}), moment=NOW)


def multiplier(**more: Any) -> dict[str, Any]:
    return {"multipliers": [{"name": "m", "factor": "3", **more}]}


def test_the_contracts_document_is_valid_and_asks_for_nothing_more() -> None:
    programme = Programme.model_validate(DOCUMENT)
    assert Programme.model_validate(programme.document()) == programme
    assert programme.looks_at == frozenset()
    assert terms(DOCUMENT["earn"]).factor == 2


@pytest.mark.parametrize(
    ("ids", "attributes", "matches"),
    [
        ({}, {}, True),
        ({"collection_ids": ["pcol_1"]}, {"collection_id": "pcol_1"}, True),
        ({"collection_ids": ["pcol_1"]}, {"collection_id": None}, False),
        ({"category_ids": ["pcat_1"], "collection_ids": ["pcol_1"]}, {"collection_id": "pcol_1"}, True),
        ({"customer_group_ids": ["vip"]}, {"customer_group_ids": frozenset({"vip", "new"})}, True),
        ({"customer_group_ids": ["vip"]}, {}, False),
        # A group narrows down; it does not add.
        ({"customer_group_ids": ["vip"], "product_ids": ["prod_1"]}, {}, False),
        ({"customer_group_ids": ["vip"], "product_ids": ["prod_2"]}, {"customer_group_ids": frozenset({"vip"})}, False),
        ({"customer_group_ids": ["vip"], "product_ids": ["prod_1"]}, {"customer_group_ids": frozenset({"vip"})}, True),
    ],
)  # fmt: skip
def test_what_a_multiplier_matches(ids: dict[str, Any], attributes: dict[str, Any], matches: bool) -> None:
    applied = terms(multiplier(**ids), **attributes)
    assert (applied.factor, applied.multipliers) == ((3, ("m",)) if matches else (1, ()))


@pytest.mark.parametrize(
    ("rule", "attributes"),
    [
        ({"excluded_product_ids": ["prod_1"]}, {}),
        ({"excluded_category_ids": ["pcat_1"]}, {"category_ids": frozenset({"pcat_1", "pcat_2"})}),
        ({"excluded_collection_ids": ["pcol_1"]}, {"collection_id": "pcol_1"}),
    ],
)
def test_what_is_excluded(rule: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert terms(rule, **attributes).excluded
    assert not terms(rule, product_id="prod_2").excluded


@pytest.mark.parametrize(
    ("earn", "detail"),
    [
        ({"excluded_category_ids": ["pcat_1"]}, OrderDetail.CATEGORIES),
        ({"excluded_collection_ids": ["pcol_1"]}, OrderDetail.COLLECTIONS),
        (multiplier(category_ids=["pcat_1"]), OrderDetail.CATEGORIES),
        (multiplier(collection_ids=["pcol_1"]), OrderDetail.COLLECTIONS),
        (multiplier(customer_group_ids=["vip"]), OrderDetail.CUSTOMER_GROUPS),
    ],
)
def test_a_programme_lists_the_order_details_that_its_rules_use(earn: dict[str, Any], detail: OrderDetail) -> None:
    assert Programme.model_validate({"earn": earn}).looks_at == {detail}


def test_one_product_cannot_have_two_fixed_numbers() -> None:
    twice = [{"product_id": "prod_1", "dust": 5}, {"product_id": "prod_1", "dust": 6}]
    with pytest.raises(ValidationError) as refused:
        Programme.model_validate({"earn": {"fixed": twice}})
    assert [error["loc"] for error in refused.value.errors()] == [("earn", "fixed")]


@given(
    fixed=st.integers(0, 10_000),
    units=st.integers(0, 100),
    cents=st.integers(0, 10_000_00),
    factor=st.decimals("0", "10", places=2),
)
def test_fixed_dust_takes_the_place_of_the_rate_and_not_of_the_factor(
    fixed: int, units: int, cents: int, factor: Decimal
) -> None:
    price = Decimal(cents) / 100
    line = EarningLine(
        id="l", terms=LineTerms(fixed=fixed, factor=factor), net=price, gross=price, units=Decimal(units)
    )
    earned = earning(
        Earn(rates={"eur": Decimal(7)}),
        currency_code="eur",
        lines=[line],
        shipping_net=Decimal(0),
        shipping_gross=Decimal(0),
    )
    assert earned.dust == int(fixed * units * factor)
