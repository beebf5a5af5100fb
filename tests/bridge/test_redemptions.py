"""Redemptions: points are held, a promotion is created in Medusa, then the points are captured or released once."""

import asyncio
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, text

from bridge.api.store import redemptions
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.http.micro_batching import MicroBatcher
from bridge.inbox.process_batch import process_batch
from bridge.ledger.postings import MAX_DUST
from bridge.medusa.client import UnknownInMedusa, get_medusa
from bridge.operations.audit import audit_medusa
from bridge.queue.enqueue import REDEMPTIONS_ADVANCE
from bridge.redemptions import capture
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.pricing.terms import MAX_UNITS
from bridge.redemptions.repository import due_redemptions, lock_redemption, save_redemption
from bridge.redemptions.service import MAX_OPEN_REDEMPTIONS
from bridge.redemptions.tables import RedemptionState
from tests.support import tokens
from tests.support.admin_api import reason_for_the_shop, set_dust_only
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import line, order, order_event
from tests.support.store_api import FIVE_EUR, delete, figures, redeem, redeemed, show
from workers.redemptions import sweep


def test_dust_is_held_at_once_and_the_promotion_is_what_facts_ask_for(
    api: TestClient, medusa: FakeMedusa, enqueued: list[Any]
) -> None:
    give(800)
    response = redeem(api, FIVE_EUR)
    redemption = response.json()["redemption"]
    assert redemption["state"] == "pending"
    assert (redemption["dust"], redemption["value"], redemption["currency_code"]) == (500, "5.00", "eur")
    assert figures(api) == (800, 500, 300)
    assert enqueued == [(REDEMPTIONS_ADVANCE, redemption["id"])]

    advance(redemption["id"], get_medusa())
    redemption = show(api, redemption["id"])
    assert redemption["state"] == "active"
    promotion = next(iter(medusa.promotions.values()))
    assert redemption["promotions"][0]["promotion_id"] == promotion["id"]
    assert redemption["code"] == promotion["code"]
    assert promotion["limit"] == 1
    assert promotion["is_tax_inclusive"] is True
    [rule] = promotion["rules"]
    facts = json.loads(rule.pop("description"))
    assert rule == {"attribute": "customer.id", "operator": "eq", "values": ["cus_1"]}
    assert facts == {
        "redemption_id": redemption["id"],
        "customer_id": "cus_1",
        "max_share": "1",
        "expires_at": redemption["expires_at"].replace("Z", "+00:00"),
    }
    assert promotion["application_method"] == {
        "type": "fixed",
        "value": 5.0,
        "target_type": "order",
        "allocation": "across",
        "currency_code": "eur",
    }


def test_the_order_captures_what_it_used_and_releases_the_rest(api: TestClient, medusa: FakeMedusa) -> None:
    give(800)
    code = redeemed(api, FIVE_EUR)["code"]
    medusa.use_code(code)
    deliver(api, order_event(order(lines=[line(price=3, discount=3, code=code)])))
    process_batch()
    redemption = api.get("/store/dust/redemptions", headers=tokens.customer()).json()["redemptions"][0]
    assert (redemption["state"], redemption["dust_captured"], redemption["order_id"]) == ("captured", 300, "order_1")
    assert figures(api) == (500, 0, 500)


def test_a_return_and_a_cancel_give_spent_dust_back(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    code = redeemed(api, FIVE_EUR)["code"]
    lines = [line(price=10, quantity=2, discount=5, code=code)]
    deliver(api, order_event(order(lines=lines)))
    process_batch()
    assert figures(api)[0] == 0 + 15
    lines = [line(price=10, quantity=2, returned=1, discount=5, code=code)]
    deliver(api, order_event(order(lines=lines, version=2), "order.return_received"))
    process_batch()
    assert figures(api)[0] == 250 + 7
    deliver(api, order_event(order(lines=lines, version=3, status="canceled"), "order.canceled"))
    process_batch()
    assert figures(api) == (500, 0, 500)


def test_an_error_of_medusa_that_is_not_expected_does_not_keep_a_redemption_busy(
    api: TestClient, medusa: FakeMedusa
) -> None:
    give(500)
    redemption = redeem(api, FIVE_EUR).json()["redemption"]
    missing = (404, {"type": "not_found", "message": "Currency not found"})
    medusa.before = lambda method, path, _query: missing if (method, path) == ("POST", "/admin/promotions") else None
    with pytest.raises(UnknownInMedusa):
        advance(redemption["id"], get_medusa())
    with moved(timedelta(seconds=3)):
        # It is tried again after two seconds, as after any other error.
        with transaction() as connection:
            assert due_redemptions(connection, now=now(), limit=10) == [redemption["id"]]
        assert delete(api, redemption["id"]).json()["redemption"]["state"] == "released"
    assert figures(api) == (500, 0, 500)


def test_deleting_removes_the_promotion_first_and_then_frees_the_dust(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    redemption = redeemed(api, FIVE_EUR)
    response = delete(api, redemption["id"])
    assert (response.status_code, response.json()["redemption"]["state"]) == (200, "released")
    assert medusa.live_codes() == set()
    assert figures(api) == (500, 0, 500)
    assert delete(api, redemption["id"]).status_code == 200
    assert figures(api) == (500, 0, 500)


def test_a_used_code_cannot_be_released_even_before_its_order_is_known(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    redemption = redeemed(api, FIVE_EUR)
    medusa.use_code(redemption["code"])
    lines = [line(discount=5, code=redemption["code"])]
    medusa.orders["order_1"] = order(lines=lines, placed=now())
    response = delete(api, redemption["id"])
    assert (response.status_code, response.json()["code"]) == (409, "already_used")
    process_batch()
    assert show(api, redemption["id"])["state"] == "captured"
    assert delete(api, redemption["id"]).status_code == 409


def test_while_medusa_is_away_nothing_is_given_back_and_the_release_happens_later(
    api: TestClient, medusa: FakeMedusa
) -> None:
    give(500)
    redemption = redeemed(api, FIVE_EUR)
    medusa.away = True
    response = delete(api, redemption["id"])
    assert response.status_code == 503
    assert "retry-after" in response.headers
    assert figures(api) == (500, 500, 0)
    medusa.away = False
    with moved(timedelta(minutes=3)), transaction() as connection:
        due = due_redemptions(connection, now=now(), limit=10)
    assert due == [redemption["id"]]
    advance(redemption["id"], get_medusa())
    assert figures(api) == (500, 0, 500)
    assert medusa.live_codes() == set()


def test_a_lost_reply_is_resolved_by_looking_the_code_up(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    answer = redeem(api, FIVE_EUR).json()["redemption"]

    def lose_reply(method: str, path: str) -> None:
        medusa.after = None
        raise httpx.ReadTimeout("the reply was lost")

    medusa.after = lose_reply
    with pytest.raises(Unavailable):
        advance(answer["id"], get_medusa())
    assert len(medusa.promotions) == 1
    advance(answer["id"], get_medusa())
    redemption = show(api, answer["id"])
    assert redemption["state"] == "active"
    assert [p["id"] for p in medusa.promotions.values()] == [redemption["promotions"][0]["promotion_id"]]


def test_a_refusal_by_medusa_fails_the_redemption_and_frees_the_dust(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    medusa.refuse_promotions = "currency not supported"
    redemption = redeemed(api, FIVE_EUR)
    assert redemption["state"] == "failed"
    assert redemption["reason"] == "The code could not be made. The points are available again: please try again."
    assert "currency not supported" in reason_for_the_shop(api, redemption["id"])
    assert figures(api) == (500, 0, 500)


def test_the_sweep_enqueues_a_redemption_once_a_minute_until_it_is_done(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[tuple[Any, ...]] = []
    monkeypatch.setattr("workers.redemptions.publish", lambda *words, queue: offered.append(words))
    give(1000)
    waiting, active = redeem(api, FIVE_EUR).json()["redemption"]["id"], redeemed(api, FIVE_EUR, key="other")["id"]
    # The queue is slow, or the message was lost: no task has processed the redemption.
    assert [sweep(), sweep(), sweep()] == [1, 0, 0]
    with moved(timedelta(seconds=61)):
        assert [sweep(), sweep()] == [1, 0]
        advance(waiting, get_medusa())
    assert offered == [(REDEMPTIONS_ADVANCE, waiting)] * 2
    # An expired redemption too. Only the first of several workers releases it.
    with moved(timedelta(minutes=61)):
        assert [sweep(), sweep()] == [2, 0]
        for redemption_id in (waiting, active, waiting):
            advance(redemption_id, get_medusa())
    assert (show(api, waiting)["state"], show(api, active)["state"]) == ("released", "released")
    with moved(timedelta(hours=3)):
        assert sweep() == 0


def test_a_redemption_that_runs_out_leaves_no_code_behind(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    redemption = redeemed(api, FIVE_EUR)
    with moved(timedelta(minutes=61)):
        with transaction() as connection:
            assert due_redemptions(connection, now=now(), limit=10) == [redemption["id"]]
        advance(redemption["id"], get_medusa())
    assert show(api, redemption["id"])["state"] == "released"
    assert medusa.live_codes() == set()
    assert figures(api) == (500, 0, 500)


def test_an_order_that_used_a_released_code_is_booked(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    redemption = redeemed(api, FIVE_EUR)
    delete(api, redemption["id"])
    lines = [line(price=10, discount=5, code=redemption["code"])]
    deliver(api, order_event(order(lines=lines)))
    process_batch()
    shown = show(api, redemption["id"])
    assert (shown["state"], shown["dust_captured"]) == ("captured", 500)
    assert shown["reason"] is None
    assert "withdrawn" in reason_for_the_shop(api, redemption["id"])
    assert figures(api)[0] == 0 + 5


@pytest.mark.parametrize("together", [True, False])
def test_a_code_in_two_orders_is_the_first_ones_and_the_other_is_reported(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """Medusa's limit prevents it. If a code gets into a second order anyway, the ledger stays right."""
    reported: list[tuple[str, str]] = []
    monkeypatch.setattr(capture.log, "error", lambda event, **about: reported.append((event, about["order_id"])))
    give(500)
    code = redeemed(api, FIVE_EUR)["code"]
    lines = [line(price=10, discount=5, code=code)]
    deliver(api, order_event(order("order_1", lines=lines)))
    if not together:
        process_batch()
    deliver(api, order_event(order("order_2", lines=lines, status="canceled")))
    process_batch()
    assert figures(api) == (0 + 5, 0, 5)
    with transaction() as connection:
        kinds = connection.execute(text("SELECT kind, amount, held FROM dust_transaction ORDER BY version")).all()
    assert kinds == [("adjust", 500, 0), ("hold", 0, 500), ("earn", 5, 0), ("redeem", -500, -500)]
    assert reported == [("code_in_two_orders", "order_2")]


def test_the_audit_finds_a_live_promotion_without_held_points(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    redemption = redeemed(api, FIVE_EUR)
    promotion = dict(next(iter(medusa.promotions.values())))
    delete(api, redemption["id"])
    assert audit_medusa(get_medusa()) == []
    medusa.promotions[promotion["id"]] = promotion
    assert [breach.subject for breach in audit_medusa(get_medusa())] == [redemption["id"]]


def test_a_promotion_that_was_created_late_is_deleted(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    answer = redeem(api, FIVE_EUR).json()["redemption"]
    medusa.away = True
    with pytest.raises(Unavailable):
        advance(answer["id"], get_medusa())
    medusa.away = False
    assert delete(api, answer["id"]).json()["redemption"]["state"] == "released"
    # The create call that hung in Medusa succeeds only now.
    with transaction() as connection:
        redemption = lock_redemption(connection, answer["id"])
    from bridge.redemptions.medusa_sync import promotion_body

    medusa.handle(
        "POST", "/admin/promotions", {}, promotion_body(redemption, redemption.codes[0]), {"authorization": "Basic x"}
    )
    assert medusa.live_codes()
    with moved(timedelta(minutes=3)):
        with transaction() as connection:
            assert due_redemptions(connection, now=now(), limit=10) == [answer["id"]]
        advance(answer["id"], get_medusa())
        with transaction() as connection:
            assert due_redemptions(connection, now=now(), limit=10) == []
    assert medusa.live_codes() == set()


def test_the_same_key_gives_the_first_answer_and_another_body_is_refused(api: TestClient, medusa: FakeMedusa) -> None:
    give(800)
    first = redeem(api, FIVE_EUR, key="once")
    advance(first.json()["redemption"]["id"], get_medusa())
    second = redeem(api, FIVE_EUR, key="once")
    assert (second.status_code, second.json()) == (202, first.json())
    other = redeem(api, {"dust": 100, "currency_code": "eur"}, key="once")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert figures(api)[1] == 500


def test_without_an_idempotency_key_a_redemption_is_refused(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    response = api.post("/store/dust/redemptions", json=FIVE_EUR, headers=tokens.customer())
    assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_missing")
    assert figures(api)[1] == 0


def test_fifty_at_once_never_hold_more_than_there_is(api: TestClient, medusa: FakeMedusa) -> None:
    give(1000)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: redeem(api, {"dust": 90, "currency_code": "eur"}), range(50)))
    assert sorted({response.status_code for response in answers}) == [202, 409]
    assert sum(response.status_code == 202 for response in answers) == 11
    refused = next(response.json() for response in answers if response.status_code == 409)
    assert (refused["code"], refused["available"]) == ("insufficient_dust", 10)
    assert figures(api) == (1000, 990, 10)


def test_twenty_clicks_with_one_key_are_one_redemption(api: TestClient, medusa: FakeMedusa) -> None:
    give(5000)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: redeem(api, FIVE_EUR, key="click").json()["redemption"]["id"], range(20)))
    assert len(set(answers)) == 1
    assert figures(api)[1] == 500


def test_with_a_cart_the_code_is_put_into_it_and_max_is_what_it_can_take(api: TestClient, medusa: FakeMedusa) -> None:
    give(5000)
    medusa.add_cart(lines=[cart_line(total=12.5, quantity=1)])
    redemption = redeemed(api, {"cart_id": "cart_1", "dust": "max"})
    assert (redemption["dust"], redemption["value"], redemption["cart_id"]) == (1250, "12.50", "cart_1")
    assert medusa.carts["cart_1"]["promotions"] == [{"code": redemption["code"]}]


def test_carts_of_others_and_unknown_carts_are_404(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    medusa.add_cart("cart_2", customer_id="cus_2", lines=[cart_line()])
    for cart_id in ("cart_2", "cart_3"):
        response = redeem(api, {"cart_id": cart_id, "dust": 100})
        assert (response.status_code, response.json()["code"]) == (404, "unknown_cart")
    assert figures(api)[1] == 0


def test_a_completed_cart_takes_no_dust(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    medusa.add_cart(lines=[cart_line()])
    medusa.carts["cart_1"]["completed_at"] = "2026-11-22T06:00:00.000Z"
    assert redeem(api, {"cart_id": "cart_1", "dust": 100}).json()["code"] == "cart_completed"


def test_redemptions_of_others_are_404(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    redemption_id = redeemed(api, FIVE_EUR)["id"]
    stranger = tokens.customer("cus_2")
    assert api.get(f"/store/dust/redemptions/{redemption_id}", headers=stranger).status_code == 404
    assert api.delete(f"/store/dust/redemptions/{redemption_id}", headers=stranger).status_code == 404
    assert show(api, redemption_id)["state"] == "active"


@pytest.mark.parametrize(
    ("requested", "status", "code"),
    [
        ({"dust": 0, "currency_code": "eur"}, 422, "invalid_fields"),
        ({"dust": -5, "currency_code": "eur"}, 422, "invalid_fields"),
        ({"dust": 1.5, "currency_code": "eur"}, 422, "invalid_fields"),
        ({"dust": "500", "currency_code": "eur"}, 422, "invalid_fields"),
        ({"dust": True, "currency_code": "eur"}, 422, "invalid_fields"),
        ({"dust": 10**13, "currency_code": "eur"}, 422, "invalid_fields"),
        ({"dust": 10**400, "currency_code": "eur"}, 422, "invalid_fields"),
        ({"dust": 500, "currency_code": "euro"}, 422, "invalid_fields"),
        ({"dust": 500, "currency_code": "usd"}, 422, "no_redeem_rate"),
        ({"dust": 500}, 422, "invalid_fields"),
        ({"currency_code": "eur"}, 422, "invalid_fields"),
        ({}, 422, "invalid_fields"),
        ({"dust": 500, "currency_code": "eur", "cart": "x"}, 422, "invalid_fields"),
        ({"dust": 500, "items": [{"product_id": "p"}]}, 422, "invalid_fields"),
        ({"items": []}, 422, "invalid_fields"),
        ({"items": [{"product_id": "prod_x", "quantity": 0}]}, 422, "invalid_fields"),
        ({"items": [{"product_id": "prod_x", "quantity": 1}]}, 422, "no_dust_price"),
        ({"items": [{"product_id": "a\u0000b", "quantity": 1}]}, 422, "invalid_fields"),
        ({"dust": 600, "currency_code": "eur"}, 409, "insufficient_dust"),
    ],
)
def test_bad_requests_are_refused_by_name(
    api: TestClient, medusa: FakeMedusa, requested: dict[str, Any], status: int, code: str
) -> None:
    give(500)
    response = redeem(api, requested)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert figures(api) == (500, 0, 500)


def test_the_programmes_limits_hold(api: TestClient, medusa: FakeMedusa) -> None:
    document = {"redeem": {"rates": {"eur": "100", "jpy": "1"}, "min_dust": 50, "max_dust": 400, "max_share": "0.5"}}
    assert api.put("/admin/dust/programme", json=document, headers=tokens.admin()).status_code == 200
    give(5000)
    medusa.add_cart(lines=[cart_line(total=6)])
    assert redeem(api, {"dust": 49, "currency_code": "eur"}).json()["code"] == "below_minimum"
    above = redeem(api, {"dust": 401, "currency_code": "eur"}).json()
    assert (above["code"], above["max_dust"]) == ("above_maximum", 400)
    above = redeem(api, {"cart_id": "cart_1", "dust": 301}).json()
    assert (above["code"], above["max_dust"]) == ("above_maximum", 300)
    assert redeemed(api, {"dust": 77, "currency_code": "jpy"})["value"] == "77"


def test_dust_only_lines_are_paid_with_a_promotion_for_each_product(api: TestClient, medusa: FakeMedusa) -> None:
    prices = {"products": [
        {"product_id": "prod_mug", "dust_only": True, "dust_price": 300},
        {"product_id": "prod_pin", "dust_only": True, "dust_price": 50},
    ]}  # fmt: skip
    assert api.post("/admin/dust/products", json=prices, headers=tokens.admin()).status_code == 200
    give(1000)
    medusa.add_cart(lines=[cart_line("prod_mug", total=30, quantity=2), cart_line("prod_pin"), cart_line("prod_shirt")])
    redemption = redeemed(api, {"cart_id": "cart_1", "pay": "dust_only"})
    assert (redemption["dust"], redemption["code"], redemption["value"]) == (650, None, None)
    assert sorted((p["product_id"], p["quantity"]) for p in redemption["promotions"]) == [
        ("prod_mug", 2),
        ("prod_pin", 1),
    ]
    methods = {
        p["application_method"]["target_rules"][0]["values"][0]: p["application_method"]
        for p in medusa.promotions.values()
    }
    assert methods["prod_mug"]["max_quantity"] == 2
    assert (methods["prod_mug"]["type"], methods["prod_mug"]["value"]) == ("percentage", 100)
    assert methods["prod_mug"]["allocation"] == "once"
    again = redeem(api, {"cart_id": "cart_1", "pay": "dust_only"})
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_pay")

    codes = {p["product_id"]: p["code"] for p in redemption["promotions"]}
    lines = [
        line("l1", product_id="prod_mug", price=15, quantity=2, discount=30, code=codes["prod_mug"]),
        line("l2", product_id="prod_shirt", price=10),
    ]
    deliver(api, order_event(order(lines=lines)))
    process_batch()
    shown = show(api, redemption["id"])
    assert (shown["state"], shown["dust_captured"]) == ("captured", 600)
    assert figures(api) == (1000 - 600 + 10, 0, 410)


def test_a_cart_with_more_units_than_a_code_can_have_is_refused_with_a_message(
    api: TestClient, medusa: FakeMedusa
) -> None:
    set_dust_only(api, price=2)
    give(10**12)
    medusa.add_cart(lines=[cart_line("prod_mug", total=30, quantity=2**31)])
    response = redeem(api, {"cart_id": "cart_1", "pay": "dust_only"})
    assert (response.status_code, response.json()["code"]) == (422, "above_maximum")
    assert response.json()["max_dust"] == 2 * (2**31 - 1)


def test_dust_only_lines_earn_nothing_even_when_paid_with_money(api: TestClient, medusa: FakeMedusa) -> None:
    settings = {"dust_only": True, "dust_price": 300}
    api.put("/admin/dust/products/prod_mug", json=settings, headers=tokens.admin())
    document = order(lines=[line("l1", product_id="prod_mug", price=15), line("l2", price=10)])
    deliver(api, order_event(document))
    process_batch()
    api.delete("/admin/dust/products/prod_mug", headers=tokens.admin())
    deliver(api, order_event({**document, "version": 2}, "order.updated"))
    process_batch()
    assert figures(api)[0] == 10


def test_items_pay_for_products_without_a_cart(api: TestClient, medusa: FakeMedusa) -> None:
    settings = {"dust_price": 200}
    api.put("/admin/dust/products/prod_mug", json=settings, headers=tokens.admin())
    give(700)
    redemption = redeemed(api, {"items": [{"product_id": "prod_mug", "quantity": 3}]})
    assert (redemption["dust"], redemption["promotions"][0]["quantity"]) == (600, 3)


def test_a_price_beyond_any_balance_is_refused_with_the_maximum(api: TestClient, medusa: FakeMedusa) -> None:
    api.put("/admin/dust/products/prod_mug", json={"dust_price": MAX_DUST}, headers=tokens.admin())
    give(1000)
    response = redeem(api, {"items": [{"product_id": "prod_mug", "quantity": MAX_UNITS}] * 100})
    assert (response.status_code, response.json()["code"]) == (422, "above_maximum")
    assert redeem(api, {"items": [{"product_id": "prod_mug"}]}).json()["code"] == "insufficient_dust"
    assert figures(api) == (1000, 0, 1000)


def redeem_products(api: TestClient, count: int) -> str:
    """The id of a pending redemption of so many products at 10 points each: it has a code for each of them."""
    products = [f"prod_{n}" for n in range(count)]
    for product_id in products:
        api.put(f"/admin/dust/products/{product_id}", json={"dust_price": 10}, headers=tokens.admin())
    give(1000)
    response = redeem(api, {"items": [{"product_id": product} for product in products]})
    return str(response.json()["redemption"]["id"])


def test_many_codes_are_created_and_deleted_in_several_runs(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    redemption_id = redeem_products(api, 5)
    # Every run has time for its first code only.
    monkeypatch.setattr("bridge.redemptions.medusa_sync.MAX_RUN_SECONDS", -1.0)
    for count in range(1, 5):
        assert advance(redemption_id, get_medusa()).unfinished
        assert len(medusa.promotions) == count
        assert show(api, redemption_id)["state"] == "pending"
    assert not advance(redemption_id, get_medusa()).unfinished
    assert show(api, redemption_id)["state"] == "active"
    assert all(promotion["promotion_id"] in medusa.promotions for promotion in show(api, redemption_id)["promotions"])

    response = delete(api, redemption_id)
    assert response.status_code == 503
    assert figures(api) == (1000, 50, 950)
    while medusa.promotions:
        assert figures(api) == (1000, 50, 950)
        outcome = advance(redemption_id, get_medusa())
    assert not outcome.unfinished
    assert show(api, redemption_id)["state"] == "released"
    assert figures(api) == (1000, 0, 1000)


def test_after_a_refused_code_the_others_are_deleted_in_several_runs(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    redemption_id = redeem_products(api, 5)

    def refuse_the_fifth(method: str, path: str, _query: object) -> tuple[int, dict[str, str]] | None:
        if (method, path) != ("POST", "/admin/promotions") or len(medusa.promotions) < 4:
            return None
        # From here on a run has time for one deletion.
        monkeypatch.setattr("bridge.redemptions.medusa_sync.MAX_RUN_SECONDS", -1.0)
        return 400, {"type": "invalid_data", "message": "no"}

    medusa.before = refuse_the_fifth
    visits = 1
    while advance(redemption_id, get_medusa()).unfinished:
        visits += 1
        assert visits < 10
        monkeypatch.setattr("bridge.redemptions.medusa_sync.MAX_RUN_SECONDS", 20.0)
    assert visits > 1
    assert show(api, redemption_id)["state"] in {"failed", "released"}
    assert medusa.promotions == {}
    assert figures(api) == (1000, 0, 1000)


def test_codes_that_were_made_are_kept_when_medusa_goes_away(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    redemption_id = redeem_products(api, 3)

    def away_after_two(method: str, path: str) -> None:
        if method == "POST" and len(medusa.promotions) > 2:
            raise httpx.ReadTimeout("the answer of the third does not arrive")

    medusa.after = away_after_two
    with pytest.raises(Unavailable):
        advance(redemption_id, get_medusa())
    medusa.after = None
    with transaction() as connection:
        promotion_ids = [
            code.promotion_id for code in lock_redemption(connection, redemption_id).codes if code.promotion_id
        ]
    assert len(promotion_ids) == 2
    advance(redemption_id, get_medusa())
    assert len(medusa.promotions) == 3


def test_a_customer_has_a_maximum_of_open_redemptions(api: TestClient, medusa: FakeMedusa) -> None:
    give(1000)
    give(1000, "cus_2")
    medusa.add_cart(lines=[cart_line()])
    ten_points = {"dust": 10, "currency_code": "eur"}
    redemptions = [redeemed(api, ten_points, key=f"key_{n}")["id"] for n in range(MAX_OPEN_REDEMPTIONS)]
    refused = redeem(api, ten_points)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_open_redemptions")
    assert figures(api) == (1000, 200, 800)
    # The repeated request gets the same response, and other customers are not affected.
    assert redeem(api, ten_points, key="key_3").json()["redemption"]["id"] == redemptions[3]
    assert redeem(api, ten_points, customer_id="cus_2").status_code == 202
    quoted = api.post("/store/dust/quote", json={"cart_id": "cart_1"}, headers=tokens.customer()).json()
    assert (quoted["max_dust"], quoted["available"], quoted["optional"]) == (0, 800, [])

    assert delete(api, redemptions[0]).status_code == 200
    assert redeem(api, ten_points).status_code == 202


def test_many_clicks_at_once_do_not_pass_the_maximum(api: TestClient, medusa: FakeMedusa) -> None:
    give(1000)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: redeem(api, {"dust": 10, "currency_code": "eur"}), range(30)))
    assert Counter(response.status_code for response in answers) == {202: MAX_OPEN_REDEMPTIONS, 409: 10}


def test_the_sweep_sends_only_new_redemptions_to_the_queue_that_shoppers_wait_for(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(1000)
    expired = redeemed(api, FIVE_EUR)["id"]
    with transaction() as connection:
        past = {"id": expired, "past": now() - timedelta(seconds=1)}
        connection.execute(text("UPDATE dust_redemption SET expires_at = :past WHERE id = :id"), past)
    pending = redeem(api, FIVE_EUR).json()["redemption"]["id"]
    sent: dict[str, str | None] = {}
    monkeypatch.setattr(
        "workers.redemptions.publish", lambda task, redemption_id, queue: sent.update({redemption_id: queue})
    )
    sweep()
    assert sent == {pending: None, expired: "medusa"}


def test_waiting_for_a_pending_redemption_answers_when_it_is_active(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    redemption_id = redeem(api, FIVE_EUR).json()["redemption"]["id"]
    headers = tokens.customer()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(api.get, f"/store/dust/redemptions/{redemption_id}?wait=20", headers=headers)
        advance(redemption_id, get_medusa())
        assert answer.result().json()["redemption"]["state"] == "active"


def test_many_waiting_requests_share_their_queries(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(500)
    redemption_id = redeem(api, FIVE_EUR).json()["redemption"]["id"]
    looks: list[int] = []

    def look(connection: Connection, redemption_ids: list[str]) -> list[bool]:
        looks.append(len(redemption_ids))
        return redemptions._read_pending(connection, redemption_ids)

    monkeypatch.setattr(redemptions, "_pending", MicroBatcher("test", look))

    async def wait_together() -> list[str]:
        transport = httpx.ASGITransport(api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://dust.test") as client:
            path = f"/store/dust/redemptions/{redemption_id}?wait=20"
            waiting = [asyncio.create_task(client.get(path, headers=tokens.customer())) for _ in range(30)]
            while not looks:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(advance, redemption_id, get_medusa())
            return [(await answer).json()["redemption"]["state"] for answer in waiting]

    assert set(asyncio.run(wait_together())) == {"active"}
    assert len(looks) * 3 < sum(looks)


def test_two_workers_on_one_redemption_make_one_promotion(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    redemption_id = redeem(api, FIVE_EUR).json()["redemption"]["id"]

    def try_it(_: int) -> RedemptionState | None:
        try:
            return advance(redemption_id, get_medusa()).redemption.state
        except Unavailable:
            return None

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(try_it, range(8)))
    assert RedemptionState.ACTIVE in outcomes
    assert len(medusa.promotions) == 1


def test_the_lease_of_a_dead_worker_expires(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    redemption_id = redeem(api, FIVE_EUR).json()["redemption"]["id"]
    with transaction() as connection:
        redemption = lock_redemption(connection, redemption_id)
        dead = replace(redemption, lease="dead", leased_until=now() + timedelta(seconds=90))
        save_redemption(connection, dead, now=now())
    with pytest.raises(Unavailable):
        advance(redemption_id, get_medusa())
    with moved(timedelta(seconds=91)):
        assert advance(redemption_id, get_medusa()).redemption.state is RedemptionState.ACTIVE
