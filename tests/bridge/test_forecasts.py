"""A forecast says what the order will earn: by the same rules, terms, tiers and limits as its settlement.

FORECAST_CARTS=2000 make test-system ARGS="-k test_each_order_earns_what_its_cart_forecast" plays so many random carts.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

import bridge.settlement.forecast as forecasts
from bridge.api.store import quotes
from bridge.clock import now
from bridge.db import transaction
from bridge.ledger.postings import MAX_DUST
from bridge.medusa import cart_orders
from bridge.medusa.carts import read_cart
from bridge.medusa.client import get_medusa
from bridge.medusa.orders import read_order
from bridge.products.settings import dust_product
from bridge.redemptions.medusa_sync import advance as advance_redemption
from bridge.settlement.forecast import Forecast, forecast
from bridge.settlement.kept_forecasts import delete_old_forecasts, read_forecast_outcomes
from bridge.settlement.settle import settle_orders
from tests.support import tokens
from tests.support.clock import advance
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import line, order
from tests.support.settling import set_rules, settle
from tests.support.store_api import redeem

pytestmark = pytest.mark.usefixtures("settings")

GROUPS, CATEGORIES, COLLECTIONS = ("cusgroup_vip",), ("pcat_sale", "pcat_shoes"), ("pcol_new",)
EXAMPLES = count()
PRODUCTS = ("prod_shirt", "prod_mug", "prod_shoe", "prod_badge")


def cart_of(document: dict[str, Any]) -> dict[str, Any]:
    """The cart that became this order."""
    return {
        "id": "cart_1",
        "customer_id": document["customer_id"],
        "customer": document["customer"],
        "currency_code": document["currency_code"],
        "completed_at": None,
        "items": [
            {
                "id": f"cali_{item['id']}",
                "product_id": item["product_id"],
                "product": item["product"],
                "quantity": item["quantity"],
                "total": item["total"],
                "tax_total": item["tax_total"],
                "adjustments": [
                    {"code": adjustment["code"], "amount": adjustment["amount"]}
                    for adjustment in item["adjustments"]
                    if adjustment["code"]
                ],
            }
            for item in document["items"]
        ],
        "shipping_methods": [{"id": "casm_1", "total": document["shipping_total"], "tax_total": 0}],
        "promotions": document["promotions"],
    }


def forecast_of(document: dict[str, Any]) -> Forecast:
    with transaction() as connection:
        predicted = forecast(connection, cart_orders.order_of_cart(read_cart(cart_of(document)), now=now()), now=now())
        assert connection.scalar(text("SELECT count(*) FROM order_settlement WHERE order_id = 'cart_1'")) == 0
    return predicted


def earned(document: dict[str, Any]) -> int:
    with transaction() as connection:
        settled = settle_orders(connection, [read_order(document)], now=now())[document["id"]]
        waiting = connection.scalar(
            text("SELECT escrowed FROM order_settlement WHERE order_id = :order"), {"order": document["id"]}
        )
    return settled.booked + int(waiting or 0)


def parts(predicted: Forecast) -> dict[str, int]:
    return {part.rule: part.dust for part in predicted.breakdown}


def test_a_category_a_collection_and_a_group_count_as_in_the_order() -> None:
    set_rules(
        earn={
            "rates": {"eur": "1"},
            "excluded_collection_ids": ["pcol_new"],
            "multipliers": [
                {"name": "sale", "factor": "3", "category_ids": ["pcat_sale"]},
                {"name": "friends", "factor": "2", "customer_group_ids": ["cusgroup_vip"]},
            ],
        }
    )
    lines = [
        line("ordli_1", price=10, categories=("pcat_sale",)),
        line("ordli_2", price=5),
        line("ordli_3", price=100, collection="pcol_new"),
    ]
    document = order(lines=lines, groups=GROUPS, placed=now())
    predicted = forecast_of(document)
    assert predicted.dust == earned(document) == 10 * 3 * 2 + 5 * 2
    assert parts(predicted) == {"rate": 15, "sale × friends": 50, "friends": 5}


def test_shipping_and_fixed_points_are_named() -> None:
    set_rules(
        earn={
            "rates": {"eur": "1"},
            "basis": {"include_shipping": True},
            "fixed": [{"product_id": "prod_mug", "dust": 50}],
        }
    )
    document = order(lines=[line(product_id="prod_mug", quantity=2, price=7)], shipping=4, placed=now())
    predicted = forecast_of(document)
    assert predicted.dust == earned(document) == 104
    assert parts(predicted) == {"fixed points": 100, "shipping": 4}


def test_a_tier_and_a_limit_are_named_and_add_up() -> None:
    set_rules(
        earn={"rates": {"eur": "1"}, "limits": {"per_day": 250}},
        tiers={"basis": "earned", "levels": [{"name": "gold", "from": "100", "factor": "2"}]},
    )
    before = order("order_0", lines=[line(price=100)], placed=now() - timedelta(minutes=1))
    assert earned(before) == 100
    document = order(lines=[line(price=90)], placed=now())
    predicted = forecast_of(document)
    assert predicted.dust == earned(document) == 150
    assert parts(predicted) == {"rate": 90, "gold": 90, "limit": -30}


def test_a_guests_cart_forecasts_what_goes_into_escrow() -> None:
    document = order(lines=[line(price=42)], guest=True, placed=now())
    assert forecast_of(document).dust == earned(document) == 42


def test_a_forecast_changes_nothing() -> None:
    document = order(lines=[line(price=42)], placed=now())
    assert forecast_of(document).dust == 42
    with transaction() as connection:
        assert connection.scalar(text("SELECT count(*) FROM dust_balance")) == 0


amounts = st.integers(1, 40_000).map(lambda cents: cents / 100)
factors = st.sampled_from(["0", "0.5", "1.5", "2", "3"])
programmes = st.fixed_dictionaries(
    {
        "earn": st.fixed_dictionaries(
            {
                "rates": st.sampled_from([{"eur": "1"}, {"eur": "1.37"}, {"eur": "0.3"}, {"usd": "1"}]),
                "when": st.sampled_from(["order.placed", "payment.captured", "order.completed"]),
                "rounding": st.sampled_from(["floor", "half_up", "ceiling"]),
                "basis": st.fixed_dictionaries({"include_shipping": st.booleans()}),
                "excluded_product_ids": st.sampled_from([[], ["prod_badge"]]),
                "excluded_category_ids": st.sampled_from([[], ["pcat_shoes"]]),
                "fixed": st.sampled_from([[], [{"product_id": "prod_mug", "dust": 7}]]),
                "multipliers": st.lists(
                    st.fixed_dictionaries(
                        {
                            "name": st.sampled_from(["sale", "friends", "new", "week"]),
                            "factor": factors,
                            "category_ids": st.sampled_from([[], ["pcat_sale"]]),
                            "collection_ids": st.sampled_from([[], ["pcol_new"]]),
                            "customer_group_ids": st.sampled_from([[], ["cusgroup_vip"]]),
                        }
                    ),
                    max_size=2,
                ),
                "limits": st.fixed_dictionaries(
                    {
                        "per_order": st.sampled_from([None, 100]),
                        "per_day": st.sampled_from([None, 150]),
                        "per_customer": st.sampled_from([None, {"dust": 300, "days": 7}]),
                    }
                ),
            }
        ),
        "tiers": st.sampled_from(
            [
                {},
                {"basis": "earned", "levels": [{"name": "gold", "from": "50", "factor": "1.5"}]},
                {"basis": "spent", "currency_code": "eur", "levels": [{"name": "gold", "from": "50", "factor": "2"}]},
            ]
        ),
    }
)
carts = st.lists(
    st.fixed_dictionaries(
        {
            "product_id": st.sampled_from(PRODUCTS),
            "price": amounts,
            "quantity": st.sampled_from([1, 2, 3, 1.5]),
            "paid_with": st.sampled_from(["money", "money", "coupon", "points"]),
            "categories": st.sampled_from([(), ("pcat_sale",), CATEGORIES]),
            "collection": st.sampled_from([None, "pcol_new"]),
        }
    ),
    min_size=1,
    max_size=4,
)
shops = st.fixed_dictionaries(
    {
        "programme": programmes,
        "baskets": st.lists(carts, min_size=1, max_size=3),
        "vip": st.booleans(),
        "shipping": amounts,
    }
)
# A shop has two carts on average.
SHOPS = int(os.environ.get("FORECAST_CARTS", "300")) // 2
SHARE_PAID, POINTS_OFF = 0.5, 1.0


def play(api: TestClient, shop: dict[str, Any]) -> None:
    """Several orders after each other, so that tiers and limits are reached on the way."""
    example = next(EXAMPLES)
    customer = f"cus_{example}"
    set_rules(**shop["programme"])
    give(2000, customer)
    for number, basket in enumerate(shop["baskets"]):
        document = order(
            f"order_{example}_{number}",
            customer_id=customer,
            lines=[line_of(api, customer, f"ordli_{number}_{place}", **wanted) for place, wanted in enumerate(basket)],
            groups=GROUPS if shop["vip"] else (),
            shipping=shop["shipping"],
            placed=now(),
            status="completed",
            payment_status="captured",
        )
        document["summary"] = None
        predicted = forecast_of(document)
        assert predicted.dust == sum(parts(predicted).values())
        assert predicted.dust == earned(document), predicted
        advance(timedelta(hours=20))


def line_of(api: TestClient, customer: str, line_id: str, *, paid_with: str, **wanted: Any) -> dict[str, Any]:
    total = wanted["price"] * wanted["quantity"]
    if paid_with == "coupon":
        return line(line_id, discount=round(total * SHARE_PAID, 2), code="COUPON", **wanted)
    if paid_with == "points" and total > POINTS_OFF:
        return line(line_id, discount=POINTS_OFF, code=code_for_one_euro(api, customer), **wanted)
    return line(line_id, **wanted)


def code_for_one_euro(api: TestClient, customer: str) -> str:
    """A code for points that is not limited to one cart."""
    response = redeem(api, {"dust": 100, "currency_code": "eur"}, customer_id=customer)
    assert response.status_code == 202, response.text
    redemption_id = response.json()["redemption"]["id"]
    advance_redemption(redemption_id, get_medusa())
    path = f"/store/dust/redemptions/{redemption_id}"
    return str(api.get(path, headers=tokens.customer(customer)).json()["redemption"]["code"])


@pytest.fixture
def badge(settings: object) -> None:
    """A product that only points can buy."""
    row = {
        "product_id": "prod_badge",
        "dust_only": True,
        "dust_price": 500,
        "updated_by": "test",
        "created_at": now(),
        "updated_at": now(),
    }
    with transaction() as connection:
        connection.execute(insert(dust_product).values(row))


@pytest.mark.system
@pytest.mark.timeout(300 + SHOPS)
@pytest.mark.usefixtures("badge", "medusa")
@settings(max_examples=SHOPS, deadline=None, suppress_health_check=list(HealthCheck))
@given(shop=shops)
def test_each_order_earns_what_its_cart_forecast(api: TestClient, shop: dict[str, Any]) -> None:
    play(api, shop)


Change = Callable[[Any], Any]


def cart_changed(change: Change) -> Callable[[pytest.MonkeyPatch], None]:
    real = cart_orders.order_of_cart
    return lambda patch: patch.setattr(cart_orders, "order_of_cart", lambda cart, *, now: change(real(cart, now=now)))


def lines_changed(**changes: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return cart_changed(lambda order: replace(order, lines=tuple(replace(line, **changes) for line in order.lines)))


def loaded_changed(change: Change) -> Callable[[pytest.MonkeyPatch], None]:
    real = forecasts.load
    return lambda patch: patch.setattr(forecasts, "load", lambda *args, **named: change(real(*args, **named)))


def orders_changed(change: Change) -> Callable[[pytest.MonkeyPatch], None]:
    return loaded_changed(lambda loaded: replace(loaded, orders=tuple(map(change, loaded.orders))))


def without_fixed_points(loaded: Any) -> Any:
    return replace(loaded, terms={line_id: replace(terms, fixed=None) for line_id, terms in loaded.terms.items()})


PLANTED = {
    "nothing": lambda patch: None,
    "shipping": cart_changed(lambda order: replace(order, shipping_net=Decimal(0), shipping_gross=Decimal(0))),
    "groups": cart_changed(lambda order: replace(order, customer_group_ids=frozenset())),
    "categories": lines_changed(category_ids=frozenset()),
    "collections": lines_changed(collection_id=None),
    "fixed points": orders_changed(without_fixed_points),
    "points that pay": orders_changed(lambda loaded: replace(loaded, redemptions=())),
    "points-only products": orders_changed(lambda loaded: replace(loaded, dust_only_lines=frozenset())),
    "tiers": loaded_changed(lambda loaded: replace(loaded, tiers=None)),
    "limits": loaded_changed(lambda loaded: replace(loaded, limits=None)),
}


@pytest.mark.system
@pytest.mark.usefixtures("badge", "medusa")
@pytest.mark.parametrize("rule", PLANTED)
def test_a_rule_that_the_forecast_misses_is_found(rule: str, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the first hundred carts, as a rule; then no more are played."""
    missed = False

    @settings(
        # The rarest needs fixed points on a line that points paid in part.
        max_examples=100 if rule == "nothing" else 1000,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(shop=shops)
    def play_all(shop: dict[str, Any]) -> None:
        nonlocal missed
        if missed:
            return
        with monkeypatch.context() as patch:
            PLANTED[rule](patch)
            try:
                play(api, shop)
            except AssertionError:
                missed = True

    play_all()
    assert missed == (rule != "nothing")


def ask(api: TestClient, items: list[dict[str, Any]], *, customer: str | None = None, currency: str = "eur") -> Any:
    headers = tokens.customer(customer) if customer else {}
    body = {"currency_code": currency, "items": items}
    response = api.post("/store/dust/forecast", json=body, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def test_products_forecast_alone_and_together(api: TestClient) -> None:
    set_rules(earn={"rates": {"eur": "1"}, "fixed": [{"product_id": "prod_mug", "dust": 50}]})
    items = [
        {"product_id": "prod_shirt", "amount": "10.60", "quantity": 2},
        {"product_id": "prod_mug", "amount": 3},
        {"product_id": "prod_shirt", "amount": 0.5},
    ]
    predicted = ask(api, items)
    assert [(item["product_id"], item["earn"]) for item in predicted["items"]] == [
        ("prod_shirt", 21),
        ("prod_mug", 50),
        ("prod_shirt", 0),
    ]
    assert predicted["items"][1]["breakdown"] == [{"rule": "fixed points", "dust": 50}]
    assert predicted["total"] == 71


def test_categories_come_from_medusa_when_a_rule_needs_them(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.add_product("prod_shirt", 10)
    medusa.products["prod_shirt"] |= {"categories": [{"id": "pcat_sale"}], "collection_id": None}
    item = {"product_id": "prod_shirt", "amount": 10}
    assert ask(api, [item])["total"] == 10
    assert not medusa.calls
    multiplier = {"name": "sale", "factor": "2", "category_ids": ["pcat_sale"]}
    set_rules(earn={"rates": {"eur": "1"}, "multipliers": [multiplier]})
    predicted = ask(api, [item, {"product_id": "prod_unknown", "amount": 10}])
    assert [item["earn"] for item in predicted["items"]] == [20, 10]
    assert predicted["items"][0]["breakdown"] == [{"rule": "rate", "dust": 10}, {"rule": "sale", "dust": 10}]


def test_a_customers_token_brings_their_tier_and_groups(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.add_customer("cus_1", "a@example.com")
    medusa.customers["cus_1"]["groups"] = [{"id": "cusgroup_vip"}]
    friends = {"name": "friends", "factor": "3", "customer_group_ids": ["cusgroup_vip"]}
    set_rules(
        earn={"rates": {"eur": "1"}, "multipliers": [friends]},
        tiers={"basis": "earned", "levels": [{"name": "gold", "from": "30", "factor": "2"}]},
    )
    assert earned(order("order_0", lines=[line(price=30)], placed=now() - timedelta(minutes=1))) == 30
    item = {"product_id": "prod_shirt", "amount": 10}
    assert ask(api, [item], customer="cus_1")["total"] == 60
    assert ask(api, [item])["total"] == 10
    medusa.customers.clear()
    assert ask(api, [item], customer="cus_1")["total"] == 20


def test_a_forecast_refuses_what_it_cannot_compute(api: TestClient) -> None:
    def status(body: dict[str, Any], **headers: str) -> int:
        return api.post("/store/dust/forecast", json=body, headers=headers).status_code

    item = {"product_id": "prod_shirt", "amount": 10}
    assert status({"currency_code": "eur", "items": []}) == 422
    assert status({"currency_code": "eur", "items": [item] * 101}) == 422
    assert status({"currency_code": "eur", "items": [{**item, "quantity": 1.5}]}) == 422
    assert status({"currency_code": "eur", "items": [{**item, "amount": -1}]}) == 422
    assert status({"currency_code": "nope", "items": [item]}) == 422
    assert status({"currency_code": "eur", "items": [item]}, Authorization="Bearer nonsense") == 401
    assert ask(api, [item], currency="usd")["total"] == 0


def quoted_cart(api: TestClient, medusa: FakeMedusa, *, total: float = 10, cart_id: str = "cart_1") -> int:
    medusa.add_cart(cart_id, lines=[cart_line(total=total)])
    response = api.post("/store/dust/quote", json={"cart_id": cart_id}, headers=tokens.customer())
    assert response.status_code == 200, response.text
    return int(response.json()["earn"])


def ordered(order_id: str = "order_1", *, price: float = 10, cart_id: str = "cart_1") -> dict[str, Any]:
    return {**order(order_id, lines=[line(price=price)], placed=now()), "cart": {"id": cart_id}}


def outcomes() -> dict[str, int]:
    with transaction() as connection:
        summary = read_forecast_outcomes(connection, since=now() - timedelta(days=1))
    assert summary.orders == sum(summary.outcomes.values())
    return {outcome.value: orders for outcome, orders in summary.outcomes.items() if orders}


def test_a_quote_is_kept_when_its_order_earns_what_it_said(api: TestClient, medusa: FakeMedusa) -> None:
    assert quoted_cart(api, medusa) == 10
    assert outcomes() == {}
    settle(ordered())
    assert outcomes() == {"kept": 1}
    # A return later changes what the order earns, not what came of its quote.
    settle({**order(lines=[line(quantity=2, price=5, returned=1)], version=2), "cart": {"id": "cart_1"}})
    assert outcomes() == {"kept": 1}


def test_an_order_that_earns_once_it_is_paid_is_compared_then(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(earn={"rates": {"eur": "1"}, "when": "payment.captured"})
    assert quoted_cart(api, medusa) == 10
    settle(ordered())
    assert outcomes() == {}
    settle({**ordered(), "payment_status": "captured", "summary": None})
    assert outcomes() == {"kept": 1}


def test_a_changed_cart_is_the_reason_of_a_forecast_that_was_not_kept(api: TestClient, medusa: FakeMedusa) -> None:
    quoted_cart(api, medusa)
    settle(ordered(price=12))
    assert outcomes() == {"cart_changed": 1}


def test_changed_rules_are_the_reason_of_a_forecast_that_was_not_kept(api: TestClient, medusa: FakeMedusa) -> None:
    quoted_cart(api, medusa)
    set_rules(earn={"rates": {"eur": "2"}})
    settle(ordered())
    assert outcomes() == {"rules_changed": 1}


def test_other_orders_are_the_reason_of_a_forecast_that_was_not_kept(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(earn={"rates": {"eur": "1"}, "limits": {"per_day": 15}})
    assert quoted_cart(api, medusa) == 10
    settle(order("order_0", lines=[line(price=10)], placed=now() - timedelta(minutes=1)))
    settle(ordered())
    assert outcomes() == {"other_orders": 1}


def test_a_forecast_that_nothing_explains_names_its_order(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(quotes, "forecast", lambda *args, **named: replace(forecast(*args, **named), dust=11))
        assert quoted_cart(api, medusa) == 11
    settle(ordered())
    assert outcomes() == {"unexplained": 1}
    with transaction() as connection:
        assert read_forecast_outcomes(connection, since=now() - timedelta(days=1)).unexplained == ("order_1",)


def test_the_last_quote_of_a_cart_counts_and_an_ordered_cart_has_no_further_one(
    api: TestClient, medusa: FakeMedusa
) -> None:
    quoted_cart(api, medusa, total=99)
    quoted_cart(api, medusa)
    settle(ordered())
    quoted_cart(api, medusa, total=50)
    assert outcomes() == {"kept": 1}


def test_old_forecasts_are_deleted(api: TestClient, medusa: FakeMedusa) -> None:
    quoted_cart(api, medusa)
    with transaction() as connection:
        assert delete_old_forecasts(connection, before=now() - timedelta(days=1), limit=10) == 0
        assert delete_old_forecasts(connection, before=now() + timedelta(days=1), limit=10) == 1


def test_the_admin_api_reports_what_came_of_forecasts(api: TestClient, medusa: FakeMedusa) -> None:
    quoted_cart(api, medusa)
    settle(ordered())
    response = api.get("/admin/dust/reports/forecasts", headers=tokens.admin())
    assert response.status_code == 200
    summary = response.json()
    assert (summary["orders"], summary["kept"], summary["unexplained"], summary["unexplained_orders"]) == (1, 1, 0, [])


def test_a_forecast_is_at_most_the_maximum_of_points(api: TestClient) -> None:
    set_rules(earn={"rates": {"eur": "1000"}})
    items = [{"product_id": f"prod_{n}", "amount": 10**15, "quantity": 1000} for n in range(100)]
    predicted = ask(api, items)
    assert predicted["total"] == predicted["items"][0]["earn"] == MAX_DUST


def test_a_canceled_order_is_no_broken_forecast(api: TestClient, medusa: FakeMedusa) -> None:
    quoted_cart(api, medusa)
    settle({**order(lines=[line(price=10)], placed=now(), status="canceled"), "cart": {"id": "cart_1"}})
    assert outcomes() == {}


def test_a_refund_before_the_first_settlement_is_a_changed_cart(api: TestClient, medusa: FakeMedusa) -> None:
    quoted_cart(api, medusa)
    settle({**order(lines=[line(price=10)], placed=now(), version=2, credit=5), "cart": {"id": "cart_1"}})
    assert outcomes() == {"cart_changed": 1}
