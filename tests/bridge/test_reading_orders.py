"""Reading Medusa's documents, from the webhook to the balance. The captured ones are of Medusa 2.21.2."""

import copy
import json
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.inbox.process_batch import process_batch
from bridge.ledger.queries import read_balance
from bridge.medusa.client import get_medusa
from bridge.settings import get_settings
from bridge.settlement.repository import orders_with_unpaid_dust_only
from bridge.settlement.tables import order_settlement
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.inbox import drain
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import PLACED, SAMPLES, line, order, order_event
from tests.support.settling import set_rules
from tests.support.store_api import redeemed

pytestmark = pytest.mark.usefixtures("settings")


def captured(name: str) -> dict[str, dict[str, Any]]:
    documents: dict[str, dict[str, Any]] = json.loads((SAMPLES / f"orders_{name}.json").read_text())
    return documents


CREDIT, DAMAGED = captured("of_credit"), captured("of_damaged_goods")
EDITS, FEES, TAX_INSIDE = captured("of_edits"), captured("of_fees"), captured("with_tax_inside")


def post(api: TestClient, document: dict[str, Any]) -> int:
    """Deliver and process an order. Returns its customer's balance."""
    deliver(api, order_event(document, "order.updated")).raise_for_status()
    process_batch()
    with transaction() as connection:
        return read_balance(connection, CustomerId(document["customer_id"])).balance


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_a_time_that_cannot_be_stored_is_read_from_medusa_again(
    api: TestClient, medusa: FakeMedusa, field: str, moment: str
) -> None:
    medusa.orders["order_1"] = order()
    deliver(api, order_event(order() | {field: moment}, "order.updated")).raise_for_status()
    drain()
    response = api.get("/store/dust/orders/order_1", headers=tokens.customer())
    assert (response.status_code, response.json()["earned"]) == (200, 10)


def test_a_total_of_noise_is_paid(api: TestClient) -> None:
    set_rules(earn={"when": "payment.captured"})
    free = order(payment_status="not_paid", lines=[line(), line("ordli_2", price=30, discount=30, code="SUMMER")])
    free |= {"total": 1e-20}
    assert post(api, free) == 10
    with transaction() as connection:
        assert connection.scalars(select(order_settlement.c.paid)).all() == [True]


def test_a_dust_only_line_with_noise_left_is_paid(api: TestClient, medusa: FakeMedusa) -> None:
    api.put("/admin/dust/products/prod_mug", headers=tokens.admin(), json={"dust_only": True, "dust_price": 100})
    give(300)
    code = redeemed(api, {"items": [{"product_id": "prod_mug", "quantity": 3}]})["code"]
    mugs = line(product_id="prod_mug", price=10, quantity=3, discount=30, code=code) | {"total": 1.1e-20}
    assert post(api, order(lines=[mugs])) == 0
    with transaction() as connection:
        assert orders_with_unpaid_dust_only(connection, limit=10) == []


@pytest.mark.parametrize("total", [19.999999999999996, 20, 20.000000000000004])
def test_a_cart_offers_and_accepts_what_its_noisy_total_means(
    api: TestClient, medusa: FakeMedusa, total: float
) -> None:
    give(5000)
    medusa.carts["cart_1"] = cart([cart_line() | {"quantity": 2, "total": total}])
    quote = api.post("/store/dust/quote", headers=tokens.customer(), json={"cart_id": "cart_1"}).json()
    assert (quote["max_dust"], quote["max_value"]) == (2000, "20.00")
    assert redeemed(api, {"cart_id": "cart_1", "dust": 2000})["value"] == "20.00"


def test_a_percentage_is_of_what_a_noisy_total_means(api: TestClient, medusa: FakeMedusa) -> None:
    reward = {"id": "fifth", "name": "A fifth", "kind": "percentage", "dust": 400, "percent": "20"}
    set_rules(redeem={"rewards": [reward | {"max_value": {"eur": "100"}}]})
    give(400)
    medusa.carts["cart_1"] = cart([cart_line() | {"total": 59.99999999999999}])
    assert redeemed(api, {"cart_id": "cart_1", "reward_id": "fifth"})["value"] == "12.00"


def cart(lines: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "cart_1",
        "customer_id": "cus_1",
        "currency_code": "eur",
        "completed_at": None,
        "items": lines,
        "promotions": [],
    }


# Goods by weight


def test_goods_by_weight_earn_fixed_points_and_take_a_discount(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(earn={"fixed": [{"product_id": "prod_shirt", "dust": 50}]})
    give(1000)
    medusa.carts["cart_1"] = cart([cart_line() | {"product_id": "prod_shirt", "quantity": 1.5, "total": 15}])
    quote = api.post("/store/dust/quote", headers=tokens.customer(), json={"cart_id": "cart_1"}).json()
    assert (quote["earn"], quote["max_dust"]) == (75, 1000)
    assert post(api, order(lines=[line(price=10, quantity=1.5)])) == 1000 + 75
    assert post(api, order(version=2, lines=[line(price=10, quantity=1.5, returned=0.25)])) == 1000 + 62


def test_points_buy_whole_units_only(api: TestClient, medusa: FakeMedusa) -> None:
    api.put("/admin/dust/products/prod_mug", headers=tokens.admin(), json={"dust_only": True, "dust_price": 100})
    give(1000)
    medusa.carts["cart_1"] = cart([cart_line() | {"product_id": "prod_mug", "quantity": 1.5, "total": 15}])
    asked = {"cart_id": "cart_1", "pay": "dust_only"}
    headers = {**tokens.customer(), "Idempotency-Key": "one"}
    refused = api.post("/store/dust/redemptions", headers=headers, json=asked)
    assert (refused.status_code, refused.json()["code"]) == (422, "not_whole_units")
    assert "1.5" in refused.json()["detail"]
    assert "whole number" in refused.json()["detail"]
    assert api.post("/store/dust/quote", headers=tokens.customer(), json={"cart_id": "cart_1"}).status_code == 200


@pytest.mark.parametrize("quantity", [-1, "NaN", "many", None])
def test_a_quantity_that_is_none_is_a_clear_error(
    api: TestClient, medusa: FakeMedusa, caplog: pytest.LogCaptureFixture, quantity: Any
) -> None:
    medusa.carts["cart_1"] = cart([cart_line() | {"quantity": quantity}])
    response = api.post("/store/dust/quote", headers=tokens.customer(), json={"cart_id": "cart_1"})
    assert (response.status_code, response.json()["code"]) == (422, "unreadable_cart")
    assert response.json()["detail"] == "Points cannot be used for this cart right now. Please ask the shop."
    assert "items.0.quantity" in caplog.text


@pytest.mark.parametrize(("path", "credentials"), [("quote", tokens.customer()), ("quote/guest", {})])
def test_a_shopper_does_not_read_why_medusa_refuses(
    api: TestClient, medusa: FakeMedusa, caplog: pytest.LogCaptureFixture, path: str, credentials: dict[str, str]
) -> None:
    medusa.before = lambda *_: (400, {"type": "invalid_data", "message": "Entity 'Cart' does not have property 'x'"})
    response = api.post(f"/store/dust/{path}", headers=credentials, json={"cart_id": "cart_1"})
    assert (response.status_code, response.json()["code"]) == (409, "medusa_refused")
    assert response.json()["detail"] == "The shop cannot do this right now. Please try again in a moment."
    assert "Entity 'Cart'" in caplog.text


def test_a_shopper_does_not_read_which_setting_is_missing(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DUST_MEDUSA_PUBLISHABLE_KEY")
    get_settings.cache_clear()
    get_medusa.clear()
    response = api.post("/store/dust/quote", headers=tokens.customer(), json={"cart_id": "cart_1"})
    assert (response.status_code, response.json()["code"]) == (503, "medusa_not_configured")
    assert "DUST_" not in response.text


# Gift cards and store credit. A shirt is 10.00, 12.50 with tax; shipping is 6.25 with tax.


@pytest.mark.parametrize(
    ("include_credit", "earned"),
    [
        # 31.25 with shipping, 12.50 of it with store credit; then 5.00 are refunded, then one of two shirts is back.
        (True, {"credit_placed": 20, "credit_delivered": 20, "credit_refunded_5": 16, "credit_returned_1": 7}),
        (False, {"credit_placed": 12, "credit_delivered": 12, "credit_refunded_5": 8, "credit_returned_1": 0}),
    ],
)
def test_credit_at_placement_is_a_means_of_payment_and_a_later_one_is_a_refund(
    api: TestClient, include_credit: bool, earned: dict[str, int]
) -> None:
    set_rules(earn={"basis": {"include_credit": include_credit}})
    assert {step: post(api, CREDIT[step]) for step in earned} == earned


def test_an_order_that_a_gift_card_paid_earns_in_full_and_nothing_once_it_is_canceled(api: TestClient) -> None:
    assert post(api, CREDIT["credit_all_placed"]) == 10
    assert post(api, CREDIT["credit_all_canceled"]) == 0
    assert post(api, CREDIT["credit_captured_canceled"]) == 0


def test_an_exchange_of_what_a_gift_card_paid_earns_for_what_was_paid(api: TestClient) -> None:
    assert post(api, CREDIT["giftcard_placed"]) == 20
    # A shirt is back for a hoodie of 50.00: 31.25 were given for a shirt and 6.25 shipping, so 12.50 of the hoodie.
    assert post(api, CREDIT["giftcard_exchanged"]) == 20


def test_a_snapshot_without_credit_lines_is_read_by_its_version(api: TestClient) -> None:
    half = order(lines=[line(price=100)], credit=50)
    assert post(api, half) == 100
    assert post(api, order(version=2, lines=[line(price=100)], credit=50)) == 50


def test_a_refund_without_a_version_is_recognised_by_its_reference(api: TestClient) -> None:
    refunded = copy.deepcopy(CREDIT["credit_refunded_5"])
    for credit in refunded["credit_lines"]:
        credit["metadata"] = None
    assert post(api, refunded) == 16


# Damaged goods


def test_what_came_back_damaged_has_come_back(api: TestClient) -> None:
    # Both are of one customer: one of three shirts is left, and one of two with its replacement.
    assert post(api, DAMAGED["return_one_good_one_damaged"]) == 10
    assert post(api, DAMAGED["claim_damaged"]) == 10 + 20


@pytest.mark.parametrize("sender", ["new", "old"])
def test_an_exchange_before_the_capture_keeps_its_points_when_the_first_item_is_damaged(
    api: TestClient, sender: str
) -> None:
    steps = [DAMAGED[f"exchange_uncaptured_{step}"] for step in ("agreed", "damaged", "damaged_paid")]
    if sender == "old":
        steps = copy.deepcopy(steps)
        for document in steps:
            for item in document["items"]:
                item.pop("return_dismissed_total", None)
    assert [post(api, document) for document in steps] == [10, 10, 10]


def test_a_damaged_return_makes_no_exchange_of_an_order_edit() -> None:
    from bridge.medusa.orders import read_order

    returned = copy.deepcopy(DAMAGED["return_one_good_one_damaged"])
    added = copy.deepcopy(DAMAGED["claim_damaged"]["items"][1])
    returned["items"].append(added)
    assert [line.swapped_in for line in read_order(returned).lines] == [False, False]


def test_a_dust_only_product_that_came_back_damaged_is_not_unpaid(api: TestClient) -> None:
    api.put("/admin/dust/products/prod_mug", headers=tokens.admin(), json={"dust_only": True, "dust_price": 100})
    mug = line(product_id="prod_mug", price=10)
    post(api, order(lines=[mug]))
    back = line(product_id="prod_mug", price=10, returned=1)
    back["detail"] |= {"return_received_quantity": 0, "return_dismissed_quantity": 1, "written_off_quantity": 1}
    for version, item, unpaid in ((1, mug, 1), (2, back, 0)):
        post(api, order(version=version, lines=[item]))
        with transaction() as connection:
            assert len(orders_with_unpaid_dust_only(connection, limit=10)) == unpaid


# Order edits


def with_code(document: dict[str, Any], code: str, customer_id: str = "cus_1") -> dict[str, Any]:
    """The captured order, of this customer and with this code."""
    document = copy.deepcopy(document) | {"customer_id": customer_id, "promotions": [{"code": code}]}
    document["id"] = "order_1"
    for item in document["items"]:
        # The edited order and the returned one are different orders with different lines.
        item["id"] = f"ordli_{item['variant_sku']}"
        for adjustment in item["adjustments"]:
            adjustment["code"] = code
    return document


REWARD = {"id": "reward", "name": "A quarter off", "kind": "percentage", "dust": 400, "percent": "25"}


@pytest.mark.parametrize("change", ["return2", "edit2"])
def test_an_edit_and_a_return_to_the_same_goods_use_the_same_points(
    api: TestClient, medusa: FakeMedusa, change: str
) -> None:
    set_rules(earn={"rates": {}}, redeem={"rewards": [REWARD]})
    give(400)
    code = redeemed(api, {"reward_id": "reward"})["code"]
    assert post(api, with_code(EDITS["reward_percent_placed"], code)) == 0
    # 18.75 were taken off 4 shirts at 12.50 and shorts at 25.00. Of 75.00, 50.00 stand: 266.67 of 400 are used.
    assert post(api, with_code(EDITS[f"reward_percent_{change}"], code)) == 400 - 267


@pytest.mark.parametrize(
    "edited",
    [
        # Medusa 2.21.2 leaves the discount as it was.
        line(price=10, quantity=2, discount=10),
        # The discount as it would be if Medusa computed it again.
        line(price=10, quantity=2, discount=5),
        line(price=10, quantity=4, returned=2, discount=10),
    ],
)
def test_a_reward_on_four_units_is_half_used_by_two(
    api: TestClient, medusa: FakeMedusa, edited: dict[str, Any]
) -> None:
    set_rules(earn={"rates": {}}, redeem={"rewards": [REWARD]})
    give(400)
    code = redeemed(api, {"reward_id": "reward"})["code"]
    assert post(api, order(lines=[line(price=10, quantity=4, discount=10, code=code)])) == 0
    edited["adjustments"] = [{"code": code, "amount": edited["discount_total"], "total": edited["discount_total"]}]
    if edited["detail"]["return_received_quantity"]:
        edited["adjustments"] = [{"code": code, "amount": 10, "total": 10}]
    assert post(api, order(version=2, lines=[edited])) == 200
    # Back to four units: all of it is used again.
    assert post(api, order(version=3, lines=[line(price=10, quantity=4, discount=10, code=code)])) == 0


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(
    ("asked", "off"), [({"reward_id": "reward"}, 10), ({"dust": 400, "currency_code": "eur"}, 4)], ids=["reward", "sum"]
)
def test_an_edit_known_together_with_the_order_gives_the_same_points_back(
    api: TestClient, medusa: FakeMedusa, asked: dict[str, Any], off: float, together: bool
) -> None:
    set_rules(earn={"rates": {}}, redeem={"rewards": [REWARD]})
    give(400)
    code = redeemed(api, asked)["code"]
    four, two = (
        order(version=version, lines=[line(quantity=quantity, discount=off, code=code), line("ordli_2")])
        for version, quantity in ((1, 4), (2, 2))
    )
    removed = order(version=3, lines=[line("ordli_2")], updated=PLACED + timedelta(hours=1))
    for facts in [[four, two], [four, two], [removed]] if together else [[four], [two], [two], [removed]]:
        for document in facts[:-1]:
            deliver(api, order_event(document)).raise_for_status()
        balance = post(api, facts[-1])
        assert balance == {1: 0, 2: 200, 3: 400}[facts[-1]["version"]]
    assert post(api, order(version=4, lines=four["items"], updated=PLACED + timedelta(hours=2))) == 0


def test_a_line_that_an_edit_takes_out_gives_its_share_back(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(earn={"rates": {}}, redeem={"rewards": [REWARD]})
    give(400)
    code = redeemed(api, {"reward_id": "reward"})["code"]
    both = [line(discount=5, code=code), line("ordli_2", discount=5, code=code)]
    assert post(api, order(lines=both)) == 0
    assert post(api, order(version=2, lines=both[:1])) == 200
    assert post(api, order(version=3, lines=both[:1])) == 200
    assert post(api, order(version=4, lines=both)) == 0


def test_no_line_earns_below_zero(api: TestClient) -> None:
    # 30.00 off four shirts and a hoodie, with tax: 28.00 and 28.00 without.
    assert post(api, EDITS["negative_placed"]) == 56
    # One shirt is left, less 15.00 of 12.50: it earns nothing, and the hoodie as before.
    assert post(api, EDITS["negative_edit1"]) == 28


# Fees


@pytest.mark.parametrize(
    ("name", "points"),
    [
        # Two shirts and 5.00 for shipping; 4.00 for the return are a fee.
        ("return_with_fee", 25),
        ("exchange_with_shipping_done", 25),
        # A shipping method that an order edit adds is bought as the first one was.
        ("edit_with_shipping", 28),
    ],
)
def test_a_fee_is_no_purchase(api: TestClient, name: str, points: int) -> None:
    set_rules(earn={"basis": {"include_shipping": True}})
    assert post(api, FEES[name]) == points


def test_a_fee_is_distinguished_from_shipping_without_its_detail(api: TestClient) -> None:
    set_rules(earn={"basis": {"include_shipping": True}})
    fee = copy.deepcopy(FEES["return_with_fee"])
    for method in fee["shipping_methods"]:
        del method["detail"]
    assert post(api, fee) == 25


# Units paid with points


@pytest.mark.parametrize("steps", [[9], [3, 6, 9], [1, 2, 3, 4, 5, 6, 7, 8, 9]])
def test_no_more_points_come_back_than_what_came_back_is_worth(
    api: TestClient, medusa: FakeMedusa, steps: list[int]
) -> None:
    set_rules(earn={"rates": {}})
    api.put("/admin/dust/products/prod_mug", headers=tokens.admin(), json={"dust_only": False, "dust_price": 100})
    give(400)
    code = redeemed(api, {"items": [{"product_id": "prod_mug", "quantity": 4}]})["code"]

    def mugs(returned: int) -> dict[str, Any]:
        return line(product_id="prod_mug", price=10, quantity=10, returned=returned, discount=40, code=code)

    assert post(api, order(lines=[mugs(0)])) == 0
    for version, returned in enumerate(steps, start=2):
        # Of each unit that comes back, four tenths were paid with points.
        assert post(api, order(version=version, lines=[mugs(returned)])) == 40 * returned
