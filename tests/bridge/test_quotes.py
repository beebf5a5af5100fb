"""A quote offers exactly what a redemption accepts, and points that buy nothing are never taken."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil, floor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId, new_id
from bridge.inbox.process_batch import process_batch
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import open_accounts, save
from bridge.medusa.client import get_medusa
from bridge.redemptions.medusa_sync import advance
from tests.support import tokens
from tests.support.admin_api import FIFTH, PARCEL, SHIRTS, offer_rewards, set_dust_only
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import line, order, order_event
from tests.support.store_api import figures, quote, redeem, redeemed, show


def offer_rules(api: TestClient, **rules: Any) -> None:
    response = api.put("/admin/dust/programme", json={"redeem": rules}, headers=tokens.admin())
    assert response.status_code == 200, response.text


def optional_price(api: TestClient, product_id: str, price: int) -> None:
    response = api.put(f"/admin/dust/products/{product_id}", json={"dust_price": price}, headers=tokens.admin())
    assert response.status_code == 200, response.text


def test_a_quote_does_not_wait_for_the_customers_account(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    medusa.add_cart(lines=[cart_line(total=10)])
    with transaction() as connection:
        open_accounts(connection, [CustomerId("cus_1")])
        assert quote(api)["available"] == 500


def test_a_quote_and_the_list_of_redemptions_have_the_servers_time(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.add_cart(lines=[cart_line(total=10)])
    with moved(timedelta(hours=3)):
        listed = api.get("/store/dust/redemptions", headers=tokens.customer()).json()
        times = [datetime.fromisoformat(answer["now"]) for answer in (quote(api), listed)]
        assert times == [now(), now()]


# Points that buy nothing


@pytest.mark.parametrize(
    "body",
    [
        {"cart_id": "cart_1", "amount": "5.00", "currency_code": "eur"},
        {"cart_id": "cart_1", "amount": "5.00"},
        {"cart_id": "cart_1", "currency_code": "usd"},
        {"amount": "5.00"},
        {},
    ],
)
def test_a_quote_is_for_a_cart_or_for_an_amount(api: TestClient, medusa: FakeMedusa, body: dict[str, str]) -> None:
    medusa.add_cart(lines=[cart_line(total=10)])
    response = api.post("/store/dust/quote", json=body, headers=tokens.customer())
    assert (response.status_code, response.json()["detail"]) == (422, "body: give cart_id, or amount and currency_code")


def test_only_the_points_that_buy_something_are_held(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rules(api, rates={"jpy": "100"})
    give(199)
    redemption = redeemed(api, {"dust": 199, "currency_code": "jpy"})
    assert (redemption["dust"], redemption["value"]) == (100, "1")
    assert figures(api) == (199, 100, 99)


def test_max_takes_only_the_points_that_buy_something(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rules(api, rates={"jpy": "100"})
    give(199)
    medusa.add_cart(lines=[cart_line(total=500)], currency_code="jpy")
    quoted = quote(api)
    assert (quoted["min_dust"], quoted["max_dust"], quoted["max_value"]) == (100, 100, "1")
    redemption = redeemed(api, {"cart_id": "cart_1", "dust": "max"})
    assert (redemption["dust"], redemption["value"]) == (100, "1")


def test_a_rate_with_fractions_takes_the_fewest_points_for_the_value(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rules(api, rates={"eur": "133.3"})
    give(1000)
    medusa.add_cart(lines=[cart_line(total=1)])
    # 133 points take 0.99 off and 134 the whole euro.
    assert quote(api)["max_dust"] == ceil(Decimal("133.3"))
    assert redeemed(api, {"cart_id": "cart_1", "dust": "max"})["value"] == "1.00"


def test_fewer_points_than_buy_the_smallest_unit_are_refused_with_the_number_that_does(
    api: TestClient, medusa: FakeMedusa
) -> None:
    offer_rules(api, rates={"jpy": "250"})
    give(1000)
    response = redeem(api, {"dust": 249, "currency_code": "jpy"})
    assert (response.status_code, response.json()["code"], response.json()["min_dust"]) == (422, "below_minimum", 250)
    assert response.json()["detail"] == "Please use at least 250 points at a time."


def test_points_that_are_left_after_trimming_are_never_fewer_than_the_minimum(
    api: TestClient, medusa: FakeMedusa
) -> None:
    offer_rules(api, rates={"jpy": "100"}, min_dust=150)
    give(1000)
    response = redeem(api, {"dust": 199, "currency_code": "jpy"})
    assert (response.status_code, response.json()["code"], response.json()["min_dust"]) == (422, "below_minimum", 200)
    assert redeem(api, {"dust": 200, "currency_code": "jpy"}).json()["redemption"]["dust"] == 200


def test_an_order_that_uses_less_captures_the_fewest_points_for_what_it_uses(
    api: TestClient, medusa: FakeMedusa
) -> None:
    rate = Decimal("33.3")
    offer_rules(api, rates={"eur": str(rate)})
    give(1000)
    redemption = redeemed(api, {"dust": 2, "currency_code": "eur"})
    assert redemption["value"] == "0.06"
    deliver(api, order_event(order(lines=[line(price=1, discount=0.03, code=redemption["code"])])))
    process_batch()
    assert show(api, redemption["id"])["dust_captured"] == ceil(Decimal("0.03") * rate)


def test_more_points_than_the_customer_has_are_refused_though_fewer_would_be_held(
    api: TestClient, medusa: FakeMedusa
) -> None:
    offer_rules(api, rates={"jpy": "100"})
    give(100)
    response = redeem(api, {"dust": 199, "currency_code": "jpy"})
    assert (response.status_code, response.json()["code"]) == (409, "insufficient_dust")
    assert response.json()["detail"] == "You need 199 points and have 100."


# What a quote offers


def test_below_the_minimum_a_quote_offers_no_discount(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rules(api, rates={"eur": "100"}, min_dust=200)
    give(150)
    medusa.add_cart(lines=[cart_line(total=50)])
    quoted = quote(api)
    assert (quoted["min_dust"], quoted["max_dust"], quoted["max_value"]) == (200, 0, "0.00")
    assert redeem(api, {"cart_id": "cart_1", "dust": "max"}).json()["code"] == "insufficient_dust"


def test_a_cart_that_is_too_small_for_the_minimum_is_offered_none(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rules(api, rates={"eur": "100"}, min_dust=200)
    give(500)
    medusa.add_cart(lines=[cart_line(total=1.5)])
    assert quote(api)["max_dust"] == 0
    for dust in ("max", 150, 200):
        assert redeem(api, {"cart_id": "cart_1", "dust": dust}).status_code == 422


def why_no_discount(api: TestClient, dust: int | str = "max") -> str:
    """The code of the reason in a quote that offers no discount. A redemption is refused for the same reason."""
    quoted, refused = quote(api), redeem(api, {"cart_id": "cart_1", "dust": dust}).json()
    assert quoted["max_dust"] == 0
    assert (quoted["reason_code"], quoted["reason"]) == (refused["code"], refused["detail"])
    return str(quoted["reason_code"])


def test_a_quote_that_offers_a_discount_has_no_reason(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    medusa.add_cart(lines=[cart_line()])
    assert [quote(api)[name] for name in ("reason", "reason_code")] == [None, None]


def test_a_quote_says_that_too_many_redemptions_are_open(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.redemptions.service.MAX_OPEN_REDEMPTIONS", 1)
    give(500)
    medusa.add_cart(lines=[cart_line()])
    redeemed(api, {"dust": 10, "currency_code": "eur"})
    assert why_no_discount(api) == "too_many_open_redemptions"


@pytest.mark.parametrize("available", [0, 150])
def test_a_quote_says_that_the_balance_is_too_small(api: TestClient, medusa: FakeMedusa, available: int) -> None:
    offer_rules(api, rates={"eur": "100"}, min_dust=200)
    if available:
        give(available)
    medusa.add_cart(lines=[cart_line(total=50)])
    assert why_no_discount(api) == "insufficient_dust"


def test_a_quote_says_that_the_currency_has_no_rate(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    medusa.add_cart(lines=[cart_line()], currency_code="sek")
    assert why_no_discount(api) == "no_redeem_rate"


@pytest.mark.parametrize("dust", ["max", 150, 200])
def test_a_quote_says_that_the_cart_is_too_small(api: TestClient, medusa: FakeMedusa, dust: int | str) -> None:
    offer_rules(api, rates={"eur": "100"}, min_dust=200)
    give(500)
    medusa.add_cart(lines=[cart_line(total=1.5)])
    assert why_no_discount(api, dust) == "cart_too_small"


@pytest.mark.parametrize("dust", ["max", 1])
def test_a_quote_says_that_points_can_pay_nothing_in_the_cart(
    api: TestClient, medusa: FakeMedusa, dust: int | str
) -> None:
    give(500)
    medusa.add_cart(lines=[cart_line(total=3)])
    redeemed(api, {"cart_id": "cart_1", "dust": "max"})
    assert why_no_discount(api, dust) == "cart_takes_no_points"


@pytest.mark.parametrize(
    ("currency", "total", "points", "value"),
    [
        # 9.99 and 19 % tax, 20.00 and 8.875 %, 99 yen and 10 %, 1.234 and 5 %.
        ("eur", 11.8881, 1189, "11.89"),
        ("usd", 21.775, 2178, "21.78"),
        ("jpy", 108.9, 109, "109"),
        ("kwd", 1.2957, 1296, "1.296"),
        ("eur", 11.8841, 1188, "11.88"),
    ],
)
def test_points_pay_the_whole_of_a_cart_with_a_fraction_of_a_cent(
    api: TestClient, medusa: FakeMedusa, currency: str, total: float, points: int, value: str
) -> None:
    rates = {"eur": "100", "usd": "100", "jpy": "1", "kwd": "1000"}
    offer_rules(api, rates=rates)
    give(5000)
    medusa.add_cart(lines=[cart_line(total=total)], currency_code=currency)
    assert [quote(api)[name] for name in ("max_dust", "max_value")] == [points, value]
    assert redeem(api, {"cart_id": "cart_1", "dust": points + 1}).json()["code"] == "above_maximum"
    redemption = redeemed(api, {"cart_id": "cart_1", "dust": "max"})
    assert (redemption["dust"], redemption["value"]) == (points, value)
    # Medusa asks for a payment of whatever is left.
    assert medusa.carts["cart_1"]["item_total"] == 0
    assert quote(api)["max_dust"] == 0
    paid = line(price=total, discount=total, code=redemption["code"])
    deliver(api, order_event(order(lines=[paid], currency_code=currency)))
    process_batch()
    assert show(api, redemption["id"])["dust_captured"] == points


def test_points_within_a_share_never_take_more_than_it_though_by_a_fraction_of_a_cent(
    api: TestClient, medusa: FakeMedusa
) -> None:
    offer_rules(api, rates={"eur": "100"}, max_share="0.5")
    give(5000)
    medusa.add_cart(lines=[cart_line(total=11.8981)])
    assert quote(api)["max_value"] == "5.94"
    assert redeemed(api, {"cart_id": "cart_1", "dust": "max"})["value"] == "5.94"


def test_paid_units_are_not_due_again(api: TestClient, medusa: FakeMedusa) -> None:
    set_dust_only(api, "prod_mug", 300)
    give(1000)
    medusa.add_cart(lines=[cart_line("prod_mug", total=30, quantity=2)])
    quoted = quote(api)
    assert (quoted["dust_only_due"], quoted["dust_only"]) == (600, 600)
    medusa.carts["cart_1"]["items"][0]["quantity"] = 1
    first = redeem(api, {"cart_id": "cart_1", "pay": "dust_only"}).json()["redemption"]
    medusa.carts["cart_1"]["items"][0]["quantity"] = 2
    quoted = quote(api)
    assert (quoted["dust_only_due"], quoted["dust_only_items"][0]["quantity"]) == (300, 1)
    assert [(redemption["id"], redemption["dust"]) for redemption in quoted["redemptions"]] == [(first["id"], 300)]
    assert redeem(api, {"cart_id": "cart_1", "pay": "dust_only"}).json()["redemption"]["dust"] == 300
    assert (quote(api)["dust_only_due"], quote(api)["dust_only_items"]) == (0, [])


def test_a_code_made_without_the_cart_pays_for_the_cart_it_is_in(api: TestClient, medusa: FakeMedusa) -> None:
    set_dust_only(api, "prod_mug", 300)
    give(1000)
    medusa.add_cart(lines=[cart_line("prod_mug", total=15)])
    redemption = redeemed(api, {"items": [{"product_id": "prod_mug", "quantity": 1}]})
    get_medusa().add_codes_to_cart("cart_1", [redemption["code"]])
    assert quote(api)["dust_only_due"] == 0
    assert redeem(api, {"cart_id": "cart_1", "pay": "dust_only"}).json()["code"] == "nothing_to_pay"


def test_a_product_with_an_optional_price_is_paid_in_its_cart(api: TestClient, medusa: FakeMedusa) -> None:
    optional_price(api, "prod_cap", 450)
    give(2000)
    medusa.add_cart(lines=[cart_line("prod_cap", total=24, quantity=2), cart_line()])
    assert quote(api)["optional"] == [{"product_id": "prod_cap", "quantity": 2, "dust": 900}]
    items = [{"product_id": "prod_cap", "quantity": 1}]
    redemption = redeemed(api, {"cart_id": "cart_1", "items": items})
    assert (redemption["dust"], redemption["cart_id"]) == (450, "cart_1")
    assert quote(api)["optional"] == [{"product_id": "prod_cap", "quantity": 1, "dust": 450}]
    response = redeem(api, {"cart_id": "cart_1", "items": [{"product_id": "prod_cap", "quantity": 2}]})
    assert (response.status_code, response.json()["code"], response.json()["quantity"]) == (409, "units_not_in_cart", 1)
    response = redeem(api, {"cart_id": "cart_1", "items": [{"product_id": "prod_shirt", "quantity": 1}]})
    assert (response.status_code, response.json()["code"]) == (422, "no_dust_price")


def test_a_quote_counts_what_matured_and_what_expired_before_a_sweep_did(api: TestClient, medusa: FakeMedusa) -> None:
    moment = now()
    medusa.add_cart(lines=[cart_line(total=50)])
    with transaction() as connection:
        account = open_accounts(connection, [CustomerId("cus_1")])[CustomerId("cus_1")]
        details = PostingDetails(
            kind=Kind.BONUS, reference_type="bonus", reference_id="b", description="A gift", event_at=moment
        )
        account.earn(100, details, now=moment, expires_at=moment + timedelta(hours=1))
        account.earn(70, details, now=moment, matures_at=moment + timedelta(hours=1))
        save(connection, [account])
    assert (quote(api)["available"], quote(api)["max_dust"]) == (100, 100)
    with moved(timedelta(hours=2)):
        quoted = quote(api)
        assert (quoted["available"], quoted["max_dust"]) == (70, 70)
        assert redeem(api, {"cart_id": "cart_1", "dust": 71}).json()["code"] == "insufficient_dust"
        assert redeem(api, {"cart_id": "cart_1", "dust": "max"}).json()["redemption"]["dust"] == 70


def test_a_reward_says_what_is_missing(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rewards(api, {**PARCEL, "min_cart": {"eur": "50"}}, FIFTH)
    give(150)
    medusa.add_cart(lines=[cart_line(total=40)], shipping=5)
    parcel, fifth = quote(api)["rewards"]
    assert (parcel["missing_amount"], parcel["missing_dust"], parcel["reason_code"]) == (
        "10.00",
        150,
        "cart_below_minimum",
    )
    assert (fifth["fits"], fifth["affordable"], fifth["missing_amount"], fifth["missing_dust"]) == (
        True,
        False,
        None,
        250,
    )
    assert (fifth["reason_code"], fifth["reason"]) == ("insufficient_dust", "You need 400 points and have 150.")


@pytest.mark.parametrize("first", [{"reward_id": "fifth"}, {"reward_id": "shirts"}])
def test_a_reward_on_its_way_into_the_cart_counts_for_the_share(
    api: TestClient, medusa: FakeMedusa, first: dict[str, Any]
) -> None:
    """Two tabs: the second one redeems before the code of the first one is in the cart."""
    offer_rewards(api, FIFTH, SHIRTS, max_share="0.3")
    give(20_000)
    medusa.add_cart(lines=[cart_line("prod_hoodie", total=70), cart_line("prod_shirt", total=30, quantity=3)])
    redemption = redeem(api, {**first, "cart_id": "cart_1"}).json()["redemption"]
    # Both take 20.00 of the 30.00 that points may take off 100.00.
    assert quote(api)["max_value"] == "10.00"
    assert redeem(api, {"cart_id": "cart_1", "dust": 1001}).json()["code"] == "above_maximum"
    advance(redemption["id"], get_medusa())
    assert quote(api)["max_value"] == "10.00"


def test_two_codes_at_once_keep_the_share_together(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rules(api, rates={"eur": "100"}, max_share="0.5")
    give(20_000)
    medusa.add_cart(lines=[cart_line(total=50)])
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: redeem(api, {"cart_id": "cart_1", "dust": 2_000}), range(4)))
    assert sorted(response.status_code for response in answers) == [202, 422, 422, 422]
    assert quote(api)["max_dust"] == 500


def test_the_shops_own_coupon_makes_the_share_smaller(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rules(api, rates={"eur": "100"}, max_share="0.5")
    give(20_000)
    reduced = cart_line(total=30)
    reduced["adjustments"] = [{"code": "SUMMER", "amount": 20}]
    medusa.add_cart(lines=[reduced])
    assert quote(api)["max_value"] == "15.00"


def test_free_shipping_does_not_count_for_the_share(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rewards(api, PARCEL, max_share="0.5")
    give(20_000)
    medusa.add_cart(lines=[cart_line(total=50)], shipping=5)
    assert redeem(api, {"cart_id": "cart_1", "reward_id": "parcel"}).status_code == 202
    assert quote(api)["max_value"] == "25.00"


def test_what_a_gift_card_pays_is_not_offered_for_points(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rewards(api, FIFTH, SHIRTS, PARCEL)
    give(20_000)
    medusa.add_cart(lines=[cart_line("prod_shirt", total=30, quantity=3)], shipping=5)
    medusa.carts["cart_1"]["credit_lines"] = [{"amount": 32}]
    assert quote(api)["max_value"] == "3.00", "30.00 and 5.00 for shipping, less 32.00"
    assert redeem(api, {"cart_id": "cart_1", "dust": 301}).json()["code"] == "above_maximum"
    refused = {reward["id"]: reward["reason_code"] for reward in quote(api)["rewards"]}
    assert refused == {"fifth": "above_share", "shirts": "above_share", "parcel": "above_share"}
    assert redeem(api, {"cart_id": "cart_1", "dust": "max"}).json()["redemption"]["dust"] == 300
    assert quote(api)["max_dust"] == 0


def test_a_cart_that_a_gift_card_pays_wholly_takes_no_points(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rewards(api, FIFTH, SHIRTS, PARCEL)
    give(20_000)
    medusa.add_cart(lines=[cart_line("prod_shirt", total=30, quantity=3)], shipping=5)
    medusa.carts["cart_1"]["credit_lines"] = [{"amount": 35}]
    assert quote(api)["max_dust"] == 0
    assert not any(reward["fits"] for reward in quote(api)["rewards"])
    assert redeem(api, {"cart_id": "cart_1", "dust": "max"}).status_code == 422


def test_points_pay_for_no_units_that_cost_nothing(api: TestClient, medusa: FakeMedusa) -> None:
    optional_price(api, "prod_cap", 200)
    set_dust_only(api, "prod_mug", 300)
    give(20_000)
    medusa.add_cart(lines=[cart_line("prod_mug", total=0), cart_line("prod_cap", total=10)])
    assert (quote(api)["dust_only_due"], len(quote(api)["optional"])) == (0, 1)
    assert redeem(api, {"cart_id": "cart_1", "pay": "dust_only"}).json()["code"] == "nothing_to_pay"
    # A discount has taken the whole price off.
    assert redeemed(api, {"cart_id": "cart_1", "dust": "max"})["dust"] == 1000
    assert quote(api)["optional"] == []
    wanted = {"cart_id": "cart_1", "items": [{"product_id": "prod_cap", "quantity": 1}]}
    assert redeem(api, wanted).json()["code"] == "units_not_in_cart"


def test_of_two_lines_points_pay_for_the_one_that_is_left(api: TestClient, medusa: FakeMedusa) -> None:
    optional_price(api, "prod_cap", 200)
    give(20_000)
    lines = [{**cart_line("prod_cap", total=total), "id": f"cali_{total}"} for total in (10, 10.5)]
    medusa.add_cart(lines=lines)
    wanted = {"cart_id": "cart_1", "items": [{"product_id": "prod_cap", "quantity": 1}]}
    for left in (2, 1):
        assert quote(api)["optional"][0]["quantity"] == left
        redeemed(api, wanted)
    assert [line["total"] for line in medusa.carts["cart_1"]["items"]] == [0, 0]
    assert quote(api)["optional"] == []


def test_points_pay_for_no_units_that_a_gift_card_pays(api: TestClient, medusa: FakeMedusa) -> None:
    optional_price(api, "prod_mug", 300)
    optional_price(api, "prod_cap", 200)
    give(20_000)
    medusa.add_cart(lines=[cart_line("prod_mug", total=30, quantity=2), cart_line("prod_cap", total=10)])
    medusa.carts["cart_1"]["credit_lines"] = [{"amount": 20}]
    assert [(price["product_id"], price["quantity"]) for price in quote(api)["optional"]] == [
        ("prod_mug", 1), ("prod_cap", 1),
    ]  # fmt: skip

    def refused(*items: tuple[str, int]) -> str | None:
        wanted = [{"product_id": product_id, "quantity": quantity} for product_id, quantity in items]
        answer = redeem(api, {"cart_id": "cart_1", "items": wanted}).json()
        return str(answer["code"]) if "code" in answer else None

    assert refused(("prod_mug", 2)) == refused(("prod_mug", 1), ("prod_cap", 1)) == "cart_takes_no_points"
    assert refused(("prod_mug", 1)) is None
    medusa.carts["cart_1"]["credit_lines"] = [{"amount": 40}]
    assert quote(api)["optional"] == []
    assert refused(("prod_cap", 1)) == "cart_takes_no_points"


def test_a_gift_card_does_not_pay_for_what_only_points_buy(api: TestClient, medusa: FakeMedusa) -> None:
    offer_rewards(api, PARCEL)
    set_dust_only(api, "prod_mug", 300)
    give(20_000)
    medusa.add_cart(lines=[cart_line("prod_mug", total=15), cart_line("prod_shirt", total=10)], shipping=5)
    medusa.carts["cart_1"]["credit_lines"] = [{"amount": 12}]
    quoted = quote(api)
    assert (quoted["dust_only_due"], quoted["max_value"]) == (300, "3.00"), "10.00 and 5.00 for shipping, less 12.00"
    assert [reward["reason_code"] for reward in quoted["rewards"]] == ["above_share"]
    assert redeem(api, {"cart_id": "cart_1", "reward_id": "parcel"}).json()["code"] == "above_share"
    assert redeem(api, {"cart_id": "cart_1", "dust": 301}).json()["code"] == "above_maximum"
    assert redeem(api, {"cart_id": "cart_1", "pay": "dust_only"}).status_code == 202


# Every number of a quote, sent back


programmes = st.fixed_dictionaries(
    {
        "rates": st.fixed_dictionaries({"eur": st.sampled_from(["100", "33.3", "133.3", "0.5", "1000", "7"])}),
        "min_dust": st.integers(1, 300),
        "max_share": st.sampled_from(["1", "0.5", "0.333333"]),
    }
)
prices = st.integers(1, 9_000).map(lambda cents: cents / 100)


@pytest.fixture
def prepared(api: TestClient, medusa: FakeMedusa) -> FakeMedusa:
    set_dust_only(api, "prod_mug", 30)
    optional_price(api, "prod_cap", 20)
    return medusa


@pytest.mark.system
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    rules=programmes,
    max_dust=st.none() | st.integers(300, 3_000),
    balance=st.integers(1, 5_000),
    shirts=prices,
    mugs=st.integers(0, 3),
    caps=st.integers(0, 3),
    already=st.integers(0, 1_500),
    paid=st.booleans(),
)
def test_every_number_of_a_quote_is_accepted_and_the_next_one_is_not(
    api: TestClient,
    prepared: FakeMedusa,
    rules: dict[str, Any],
    max_dust: int | None,
    balance: int,
    shirts: float,
    mugs: int,
    caps: int,
    already: int,
    paid: bool,
) -> None:
    rewards = [
        {**FIFTH, "dust": 300},
        {**PARCEL, "dust": 310},
        {**FIFTH, "id": "capped", "dust": 305, "max_value": {"eur": "4"}},
        {**SHIRTS, "dust": 320},
    ]
    most = None if max_dust is None else max(max_dust, 320)
    offer_rules(api, **rules, max_dust=most, rewards=rewards)
    customer_id, cart_id = new_id("cus"), new_id("cart")
    give(balance, customer_id)
    lines = [
        cart_line(total=shirts),
        *([cart_line("prod_mug", total=mugs * 9, quantity=mugs)] * bool(mugs)),
        *([cart_line("prod_cap", total=caps * 12, quantity=caps)] * bool(caps)),
    ]
    prepared.add_cart(cart_id, customer_id=customer_id, lines=lines, shipping=5)

    def ask(requested: dict[str, Any]) -> dict[str, Any]:
        body = {"cart_id": cart_id, **requested}
        response = redeem(api, body, customer_id=customer_id)
        document: dict[str, Any] = response.json()
        return document if response.status_code != 202 else {"dust": document["redemption"]["dust"], **document}

    def asked_once(requested: dict[str, Any]) -> dict[str, Any]:
        """The response to the request. A redemption that it made is released again."""
        outcome = ask(requested)
        if "redemption" in outcome:
            path = f"/store/dust/redemptions/{outcome['redemption']['id']}"
            assert api.delete(path, headers=tokens.customer(customer_id)).status_code == 200
        return outcome

    if already:
        ask({"dust": already})
    if paid:
        ask({"pay": "dust_only"})
    body = {"cart_id": cart_id}
    quoted = api.post("/store/dust/quote", json=body, headers=tokens.customer(customer_id)).json()

    least, most = quoted["min_dust"], quoted["max_dust"]
    assert asked_once({"dust": "max"}).get("dust", 0) == most
    assert least >= rules["min_dust"]
    if most:
        assert most >= least
        assert asked_once({"dust": most})["dust"] == most
        assert asked_once({"dust": least})["dust"] == least
        # One point more is refused, or it has no effect and is not taken.
        assert asked_once({"dust": most + 1}).get("dust", most) == most
        held = asked_once({"dust": most})["redemption"]
        assert Decimal(held["value"]) == Decimal(quoted["max_value"])
        assert Decimal(held["value"]) == floor(most / Decimal(rules["rates"]["eur"]) * 100) / Decimal(100)
    else:
        assert "redemption" not in asked_once({"dust": least})
    assert "redemption" not in asked_once({"dust": least - 1})

    due = quoted["dust_only_due"]
    pay = asked_once({"pay": "dust_only"})
    if due and due <= quoted["available"]:
        assert pay["dust"] == due
    else:
        assert pay["code"] == ("insufficient_dust" if due else "nothing_to_pay")
    for item in quoted["optional"]:
        requested = {"items": [{"product_id": item["product_id"], "quantity": item["quantity"]}]}
        response = asked_once(requested)
        assert response.get("dust") == item["dust"] or response["code"] == "insufficient_dust"
        requested["items"][0]["quantity"] += 1
        assert asked_once(requested)["code"] == "units_not_in_cart"
    for reward in quoted["rewards"]:
        response = asked_once({"reward_id": reward["id"]})
        assert (response.get("code"), response.get("detail")) == (reward["reason_code"], reward["reason"])
        assert ("redemption" in response) is (reward["fits"] and reward["affordable"])


# One price in points, and variants that differ in price


def set_price(api: TestClient, product_id: str = "prod_mug", **settings: Any) -> httpx.Response:
    body = {"dust_price": 300, **settings}
    return api.put(f"/admin/dust/products/{product_id}", json=body, headers=tokens.admin())


def test_variants_that_differ_in_price_get_no_price_in_points(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.add_product("prod_mug", 10, 100)
    medusa.add_product("prod_cap", 12, 12)
    response = set_price(api)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_fields")
    [error] = response.json()["errors"]
    assert error["field"] == "dust_price"
    assert "Size 0 10.00 EUR, Size 1 100.00 EUR" in error["message"]
    assert "give the variants one price" in error["message"]
    assert api.get("/admin/dust/products/prod_mug", headers=tokens.admin()).status_code == 404
    assert (set_price(api, "prod_cap").status_code, set_price(api, "prod_cap").json()["warning"]) == (200, None)
    # A product without a price in points is not checked.
    assert set_price(api, dust_price=None).status_code == 200


def test_a_batch_names_each_product_whose_variants_differ_and_sets_none(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.add_product("prod_mug", 10, 100)
    medusa.add_product("prod_cap", 12, 12)
    batch = [{"product_id": product_id, "dust_price": 300} for product_id in ("prod_cap", "prod_mug", "prod_unknown")]
    response = api.post("/admin/dust/products", json={"products": batch}, headers=tokens.admin())
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["products.1.dust_price"]
    assert api.get("/admin/dust/products", headers=tokens.admin()).json()["products"] == []


def test_a_free_product_whose_variants_differ_in_price_is_refused_in_the_catalogue(
    api: TestClient, medusa: FakeMedusa
) -> None:
    medusa.add_product("prod_shirt", 10, 100)
    response = offer_rewards(api, FIFTH, SHIRTS)
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert (error["field"], "Size 1 100.00 EUR" in error["message"]) == ("redeem.rewards.1.product_id", True)
    medusa.add_product("prod_shirt", 10, 10)
    assert offer_rewards(api, FIFTH, SHIRTS).status_code == 200


def test_units_of_goods_by_weight_are_not_offered_for_points(api: TestClient, medusa: FakeMedusa) -> None:
    optional_price(api, "prod_cheese", 50)
    give(1000)
    medusa.add_cart(lines=[cart_line("prod_cheese", total=18)])
    medusa.carts["cart_1"]["items"][0]["quantity"] = 1.5
    assert quote(api)["optional"] == []
    items = [{"product_id": "prod_cheese", "quantity": 1}]
    assert redeem(api, {"cart_id": "cart_1", "items": items}).json()["code"] == "not_whole_units"


def test_while_medusa_is_away_a_price_is_set_with_a_warning(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.away = True
    response = set_price(api)
    assert response.status_code == 200
    assert "could not be asked whether all variants" in response.json()["warning"]


@pytest.mark.parametrize(
    "requested",
    [
        {"items": [{"product_id": "prod_mug", "quantity": 1}]},
        {"items": [{"product_id": "prod_mug", "quantity": 1}], "cart_id": "cart_1"},
        {"pay": "dust_only", "cart_id": "cart_1"},
        {"reward_id": "shirts", "cart_id": "cart_1"},
        {"reward_id": "shirts"},
    ],
)
def test_variants_that_came_to_differ_are_neither_offered_nor_sold(
    api: TestClient, medusa: FakeMedusa, requested: dict[str, Any]
) -> None:
    offer_rewards(api, {**SHIRTS, "dust": 100, "product_id": "prod_mug", "quantity": 1})
    medusa.add_product("prod_mug", 15, 15)
    assert set_price(api, dust_only=True).status_code == 200
    give(1000)
    medusa.add_cart(lines=[cart_line("prod_mug", total=15)])
    assert (quote(api)["dust_only_due"], quote(api)["rewards"][0]["fits"]) == (300, True)
    medusa.add_product("prod_mug", 15, 150)
    quoted = quote(api)
    assert (quoted["dust_only_due"], quoted["rewards"][0]["reason_code"]) == (0, "variant_prices_differ")
    response = redeem(api, requested)
    assert (response.status_code, response.json()["code"]) == (409, "variant_prices_differ")
    assert figures(api) == (1000, 0, 1000)
