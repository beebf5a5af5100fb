"""The rules of earning, settled: what an order met at first stays its own."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.inbox.process_batch import process_batch
from bridge.reports.explain import explain
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, line, order, order_event
from tests.support.settling import balance, set_rules, settle
from tests.support.store_api import redeem, redeemed, show

pytestmark = pytest.mark.usefixtures("settings")


def multiplier(**more: Any) -> dict[str, Any]:
    return {"name": "m", "factor": "2", **more}


def test_a_product_that_moves_changes_no_order_that_was_settled() -> None:
    set_rules(
        earn={
            "excluded_category_ids": ["pcat_gifts"],
            "multipliers": [multiplier(category_ids=["pcat_hats"]), multiplier(collection_ids=["pcol_summer"])],
        }
    )
    settle(order(lines=[line(quantity=2, categories=("pcat_hats",), collection="pcol_summer")]))
    assert balance().balance == 80
    moved = line(quantity=2, returned=1, categories=("pcat_gifts",))
    settle(order(version=2, lines=[moved]))
    assert balance().balance == 40
    # A line that an edit adds meets the rules now, as does a new order.
    settle(order(version=3, lines=[moved, line("ordli_2", price=3, collection="pcol_summer")]))
    assert balance().balance == 46
    settle(order("order_2", lines=[line(categories=("pcat_gifts",))]))
    assert balance().balance == 46


def test_a_customer_who_changes_groups_keeps_what_old_orders_earned() -> None:
    set_rules(earn={"multipliers": [multiplier(customer_group_ids=["cusgroup_vip"])]})
    settle(order(groups=("cusgroup_vip",)))
    assert balance().balance == 20
    settle(order(version=2))
    assert balance().balance == 20
    settle(order("order_2"))
    assert balance().balance == 30


def test_terms_are_fixed_at_the_first_settlement_even_if_nothing_is_earned_yet() -> None:
    set_rules(earn={"when": "payment.captured", "multipliers": [multiplier(customer_group_ids=["cusgroup_vip"])]})
    settle(order(groups=("cusgroup_vip",)))
    settle(order(payment_status="captured"))
    assert balance().balance == 20


def test_fixed_dust_is_for_each_unit_that_is_kept() -> None:
    set_rules(earn={"fixed": [{"product_id": "prod_mug", "dust": 50}]})
    mugs = [line(product_id="prod_mug", price=1, quantity=3), line("ordli_2", price=10)]
    settle(order(lines=mugs))
    assert balance().balance == 160
    settle(order(version=2, lines=[line(product_id="prod_mug", price=1, quantity=3, returned=2), mugs[1]]))
    assert balance().balance == 60
    settle(order(version=3, status="canceled", lines=mugs))
    assert balance().balance == 0


def test_fixed_dust_of_a_gift_goes_by_its_units() -> None:
    set_rules(earn={"fixed": [{"product_id": "prod_mug", "dust": 50}]})
    settle(order(lines=[line(product_id="prod_mug", price=0, quantity=2, returned=1)]))
    assert balance().balance == 50


def test_a_discount_leaves_fixed_dust_alone_and_a_refund_takes_its_share() -> None:
    set_rules(earn={"fixed": [{"product_id": "prod_mug", "dust": 50}]})
    settle(order(lines=[line(product_id="prod_mug", discount=5, code="SUMMER")]))
    assert balance().balance == 50
    settle(order(version=2, credit=2.5, lines=[line(product_id="prod_mug", discount=5, code="SUMMER")]))
    assert balance().balance == 25


def test_an_event_of_an_older_sender_is_asked_of_medusa_once_a_rule_looks_at_groups(
    api: TestClient, medusa: FakeMedusa
) -> None:
    from bridge.inbox.process_one import process_event

    bare = order()
    del bare["customer"]["groups"]
    deliver(api, order_event(bare), event_id="msg_1")
    assert process_batch().split_off == ()
    set_rules(earn={"multipliers": [multiplier(customer_group_ids=["cusgroup_vip"])]})
    other = order("order_2")
    medusa.orders["order_2"] = order("order_2", groups=("cusgroup_vip",))
    del other["customer"]["groups"]
    deliver(api, order_event(other), event_id="msg_2")
    assert process_batch().split_off == ("msg_2",)
    process_event("msg_2")
    assert balance().balance == 30


def test_what_dust_paid_of_a_product_earns_no_fixed_dust(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(earn={"fixed": [{"product_id": "prod_mug", "dust": 50}]})
    give(500)
    code = redeemed(api, {"dust": 500, "currency_code": "eur"})["code"]
    settle(order(lines=[line(product_id="prod_mug", price=10, quantity=2, discount=5, code=code)]))
    # 5.00 of 20.00 were dust: three quarters of 2 x 50.
    assert balance().balance == 75


def test_units_that_points_paid_earn_no_fixed_points_beside_a_coupon(api: TestClient, medusa: FakeMedusa) -> None:
    api.put("/admin/dust/products/prod_mug", headers=tokens.admin(), json={"dust_only": False, "dust_price": 100})
    set_rules(earn={"fixed": [{"product_id": "prod_mug", "dust": 50}]})
    give(100)
    code = redeemed(api, {"items": [{"product_id": "prod_mug", "quantity": 1}]})["code"]
    # Points paid for 10.00 of four mugs, and a coupon of the shop took half of the other 30.00 off.
    mugs = line(product_id="prod_mug", price=10, quantity=4, discount=10, code=code)
    coupon = {**mugs["adjustments"][0], "code": "SUMMER", "amount": 15, "total": 15}
    mugs.update(total=15, discount_total=25, adjustments=[*mugs["adjustments"], coupon])
    settle(order(lines=[mugs]))
    assert balance().balance == 3 * 50


def test_a_return_of_a_unit_that_points_paid_leaves_the_fixed_points_of_others(
    api: TestClient, medusa: FakeMedusa
) -> None:
    api.put("/admin/dust/products/prod_mug", headers=tokens.admin(), json={"dust_only": False, "dust_price": 100})
    set_rules(earn={"fixed": [{"product_id": "prod_mug", "dust": 50}]})
    give(200)
    code = redeemed(api, {"items": [{"product_id": "prod_mug", "quantity": 2}]})["code"]
    # Points paid for one mug of each line, and a coupon of the shop for the other one of the second line.
    two = line("l2", product_id="prod_mug", price=10, quantity=2, discount=10, code=code)
    coupon = {**two["adjustments"][0], "code": "SUMMER"}
    two.update(total=0, discount_total=20, adjustments=[*two["adjustments"], coupon])
    for version, returned in ((1, 0), (2, 1)):
        one = line("l1", product_id="prod_mug", price=10, returned=returned, discount=10, code=code)
        settle(order(version=version, lines=[one, two]))
        assert balance().balance == 50 + 100 * returned


def test_an_explanation_names_the_rules_that_made_the_number() -> None:
    set_rules(
        earn={
            "excluded_product_ids": ["prod_card"],
            "fixed": [{"product_id": "prod_mug", "dust": 50}],
            "multipliers": [multiplier(name="double week")],
        }
    )
    lines = [line(), line("l2", product_id="prod_mug"), line("l3", product_id="prod_card")]
    settle(order(lines=lines))
    with transaction() as connection:
        (step,) = explain(connection, CustomerId("cus_1")).steps
    assert step.sentence == (
        f"{PLACED:%d %b %Y}: 120 points earned with order #93 (rules version 1: 1 for each eur; "
        "multiplied by double week; fixed points for some products: 50 each; some products earn nothing). Balance 120."
    )


def test_a_programme_without_rates_earns_and_takes_nothing_new_and_keeps_what_is_there(
    api: TestClient, medusa: FakeMedusa
) -> None:
    """As docs/how-to/spending-rules.md says of a programme that is stopped."""
    settle(order("order_1", lines=[line(price=100)]))
    code = redeemed(api, {"dust": 50, "currency_code": "eur"})
    stopped = {"earn": {"rates": {}}, "redeem": {"rates": {}}}
    assert api.put("/admin/dust/programme", json=stopped, headers=tokens.admin()).status_code == 200
    settle(order("order_2", lines=[line(price=100)]))
    settle(order("order_1", version=2, lines=[line(price=100), line("ordli_2", price=20)]))
    assert (balance().balance, balance().held) == (120, 50)
    assert redeem(api, {"dust": 10, "currency_code": "eur"}).json()["code"] == "no_redeem_rate"
    assert show(api, code["id"])["state"] == "active"
    asked = {"amount": "10", "currency_code": "eur"}
    quote = api.post("/store/dust/quote", json=asked, headers=tokens.customer()).json()
    assert (quote["earn"], quote["max_dust"], quote["reason_code"]) == (0, 0, "no_redeem_rate")
