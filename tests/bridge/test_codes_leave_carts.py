"""A code leaves every cart before its promotion is deleted, and a code that leaves its cart frees its points."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.inbox.process_batch import process_batch
from bridge.medusa.client import Medusa, get_medusa
from bridge.operations.audit import audit_medusa
from bridge.queue.enqueue import REDEMPTIONS_ADVANCE
from bridge.redemptions.cart_codes import CART_CHECK_DELAY, MAX_CART_ATTEMPTS, MAX_PLUGIN_CALLS
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.repository import due_redemptions, lock_redemption
from tests.support import tokens
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.ledger import give
from tests.support.medusa import API_KEY, PLUGIN_CODES, PUBLISHABLE_KEY, FakeMedusa, cart_line, codes_in
from tests.support.orders import line, order
from tests.support.store_api import delete, figures, redeem, redeemed, show
from workers import inbox

POINTS = 500
PRICE = 20.0
STORE = {"x-publishable-api-key": PUBLISHABLE_KEY}


@pytest.fixture
def redemption(api: TestClient, medusa: FakeMedusa) -> dict[str, Any]:
    """Points for a discount that is in the cart `cart_1`."""
    give(POINTS)
    medusa.add_cart(lines=[cart_line(total=PRICE)])
    redemption = redeemed(api, {"cart_id": "cart_1", "dust": POINTS})
    assert codes_in(medusa.carts["cart_1"]) == {redemption["code"]}
    medusa.calls.clear()
    return redemption


def add_code(medusa: FakeMedusa, code: str, cart_id: str = "cart_1") -> None:
    status, _ = medusa.handle("POST", f"/store/carts/{cart_id}/promotions", {}, {"promo_codes": [code]}, STORE)
    assert status == 200


def remove_code(medusa: FakeMedusa, code: str, cart_id: str = "cart_1") -> None:
    """The shopper removes the code with the trash icon."""
    medusa.handle("DELETE", f"/store/carts/{cart_id}/promotions", {}, {"promo_codes": [code]}, STORE)


def report_codes(api: TestClient, *codes: str, cart_id: str = "cart_1") -> None:
    """Deliver the event that the plugin sends when codes have left a cart."""
    event = {
        "type": "dust.code_removed",
        "timestamp": now().isoformat(),
        "data": {"cart_id": cart_id, "codes": list(codes)},
    }
    assert deliver(api, json.dumps(event).encode()).status_code == 202
    process_batch()


def due() -> list[str]:
    with transaction() as connection:
        return due_redemptions(connection, now=now(), limit=10)


def visit_when_due() -> None:
    """Run the check of a cart, as the sweep does after the short wait."""
    with moved(CART_CHECK_DELAY):
        for redemption_id in due():
            advance(redemption_id, get_medusa())


def assert_clean(medusa: FakeMedusa, cart_id: str = "cart_1") -> None:
    """The cart costs its full price and has no code."""
    cart = medusa.carts[cart_id]
    assert cart["promotions"] == []
    assert codes_in(cart) == set()
    assert cart["item_total"] == PRICE


def release_by_request(api: TestClient, redemption_id: str) -> None:
    assert delete(api, redemption_id).status_code == 200


def release_by_time(api: TestClient, redemption_id: str) -> None:
    with moved(timedelta(minutes=61)):
        advance(redemption_id, get_medusa())


@pytest.mark.parametrize("release", [release_by_request, release_by_time])
def test_a_release_removes_the_code_from_its_cart_before_it_deletes_the_promotion(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any], release: Callable[[TestClient, str], None]
) -> None:
    release(api, redemption["id"])

    writes = [call for call in medusa.calls if call[0] == "DELETE"]
    promotion_id = redemption["promotions"][0]["promotion_id"]
    assert writes == [
        ("DELETE", "/store/carts/cart_1/promotions"),
        ("DELETE", f"/admin/promotions/{promotion_id}"),
    ]
    assert_clean(medusa)
    assert figures(api) == (POINTS, 0, POINTS)


def test_an_erased_customers_code_leaves_its_cart_first_too(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    response = api.post("/admin/dust/customers/cus_1/erase", headers=tokens.admin())
    assert response.is_success, response.text
    for redemption_id in due():
        advance(redemption_id, get_medusa())

    writes = [path for method, path in medusa.calls if method == "DELETE"]
    assert writes[0] == "/store/carts/cart_1/promotions"
    assert len(writes) == 2
    assert_clean(medusa)
    assert medusa.live_codes() == set()


def test_a_failed_redemption_removes_its_created_codes_from_carts(api: TestClient, medusa: FakeMedusa) -> None:
    """A second code is refused; an interrupted run may have put the first one into a cart."""
    prices = {"products": [{"product_id": product_id, "dust_price": 100} for product_id in ("prod_mug", "prod_pin")]}
    assert api.post("/admin/dust/products", json=prices, headers=tokens.admin()).status_code == 200
    give(POINTS)
    medusa.add_cart(lines=[cart_line("prod_mug", total=PRICE)])
    requested = {"items": [{"product_id": product_id, "quantity": 1} for product_id in ("prod_mug", "prod_pin")]}
    redemption_id = redeem(api, requested).json()["redemption"]["id"]

    def refuse_the_next(method: str, path: str) -> None:
        if (method, path) == ("POST", "/admin/promotions"):
            medusa.refuse_promotions = "no"

    medusa.after = refuse_the_next
    medusa.plugin = True
    advance(redemption_id, get_medusa())

    assert show(api, redemption_id)["state"] == "failed"
    calls = [path for method, path in medusa.calls if path.startswith("/admin/dust") or method == "DELETE"]
    assert calls[0] == "/admin/dust/codes/withdraw"
    assert medusa.live_codes() == set()
    assert figures(api) == (POINTS, 0, POINTS)


def test_carts_that_dust_does_not_know_are_found_by_the_plugin(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.plugin = True
    give(POINTS)
    code = redeemed(api, {"dust": POINTS, "currency_code": "eur"})
    carts = [f"cart_{number}" for number in range(3)]
    for cart_id in carts:
        medusa.add_cart(cart_id, lines=[cart_line(total=PRICE)])
        add_code(medusa, code["code"], cart_id)
    medusa.calls.clear()

    release_by_request(api, code["id"])

    for cart_id in carts:
        assert_clean(medusa, cart_id)
    calls = [path for _, path in medusa.calls]
    promotion = f"/admin/promotions/{code['promotions'][0]['promotion_id']}"
    assert calls.index("/admin/dust/codes/withdraw") < calls.index(promotion)


def test_a_code_in_very_many_carts_is_removed_in_several_runs(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.plugin, medusa.carts_a_call = True, 2
    give(POINTS)
    code = redeemed(api, {"dust": POINTS, "currency_code": "eur"})
    carts = [f"cart_{number}" for number in range(2 * MAX_PLUGIN_CALLS + 1)]
    for cart_id in carts:
        medusa.add_cart(cart_id, lines=[cart_line(total=PRICE)])
        add_code(medusa, code["code"], cart_id)

    assert delete(api, code["id"]).status_code == 503
    assert medusa.live_codes() == {code["code"]}
    assert [codes_in(medusa.carts[cart_id]) for cart_id in carts] == [set()] * (len(carts) - 1) + [{code["code"]}]
    assert figures(api) == (POINTS, POINTS, 0)

    advance(code["id"], get_medusa())
    for cart_id in carts:
        assert_clean(medusa, cart_id)
    assert figures(api) == (POINTS, 0, POINTS)


def test_without_the_plugin_the_cart_that_dust_knows_is_cleaned_and_the_release_goes_on(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    medusa.add_cart("cart_2", lines=[cart_line(total=PRICE)])
    add_code(medusa, redemption["code"], "cart_2")

    release_by_request(api, redemption["id"])

    assert_clean(medusa)
    assert medusa.carts["cart_2"]["promotions"] == [None]
    assert figures(api) == (POINTS, 0, POINTS)


@pytest.mark.parametrize("plugin", [True, False])
def test_a_code_that_is_put_back_before_the_promotion_is_gone_is_taken_out_again(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any], plugin: bool
) -> None:
    medusa.plugin = plugin
    last_step_before = ("POST", "/admin/dust/codes/withdraw")

    def put_back(method: str, path: str) -> None:
        if (method, path) == last_step_before:
            medusa.after = None
            add_code(medusa, redemption["code"])

    medusa.after = put_back
    release_by_request(api, redemption["id"])

    assert medusa.after is None
    assert_clean(medusa)


def test_a_deleted_cart_does_not_delay_a_release(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    """For a cart that does not exist, Medusa answers 500 to a removal and 404 to a read."""
    del medusa.carts["cart_1"]
    release_by_request(api, redemption["id"])
    assert figures(api) == (POINTS, 0, POINTS)


def test_a_cart_that_is_completed_meanwhile_is_left_alone_and_its_order_is_booked(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    medusa.carts["cart_1"]["completed_at"] = now().isoformat()
    medusa.use_code(redemption["code"])
    lines = [line(price=PRICE, discount=5, code=redemption["code"])]
    medusa.orders["order_1"] = order(lines=lines, placed=now())

    assert delete(api, redemption["id"]).json()["code"] == "already_used"
    process_batch()

    assert show(api, redemption["id"])["state"] == "captured"
    assert codes_in(medusa.carts["cart_1"]) == {redemption["code"]}


@pytest.mark.parametrize("plugin", [True, False])
def test_a_locked_cart_is_waited_for_with_the_promotion_still_there(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any], plugin: bool
) -> None:
    medusa.plugin = plugin
    medusa.locked_carts.add("cart_1")
    assert delete(api, redemption["id"]).status_code == 503
    assert medusa.live_codes() == {redemption["code"]}
    assert figures(api) == (POINTS, POINTS, 0)

    medusa.locked_carts.clear()
    with moved(timedelta(minutes=3)):
        assert due() == [redemption["id"]]
    advance(redemption["id"], get_medusa())
    assert_clean(medusa)
    assert figures(api) == (POINTS, 0, POINTS)


def test_points_are_released_although_medusa_can_never_change_the_cart(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    medusa.locked_carts.add("cart_1")
    delete(api, redemption["id"])
    for _ in range(MAX_CART_ATTEMPTS - 1):
        assert figures(api)[1] == POINTS
        with pytest.raises(Unavailable):
            advance(redemption["id"], get_medusa())
    advance(redemption["id"], get_medusa())
    assert show(api, redemption["id"])["state"] == "released"
    assert medusa.live_codes() == set()
    assert figures(api) == (POINTS, 0, POINTS)


def test_points_are_released_although_the_plugin_refuses(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    refusal = (400, {"type": "invalid_data", "message": "Unrecognized fields: 'dry_run'"})
    medusa.before = lambda _method, path, _query: refusal if path.endswith("/withdraw") else None
    assert delete(api, redemption["id"]).status_code == 503
    for _ in range(MAX_CART_ATTEMPTS - 1):
        assert figures(api)[1] == POINTS
        with pytest.raises(Unavailable):
            advance(redemption["id"], get_medusa())
    advance(redemption["id"], get_medusa())
    assert show(api, redemption["id"])["state"] == "released"
    assert medusa.live_codes() == set()
    assert figures(api) == (POINTS, 0, POINTS)


def test_without_a_publishable_key_a_release_goes_on(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    """The key was taken away after the redemption: no cart can be read or changed, except by the plugin."""
    client = Medusa("http://medusa.test", API_KEY, None, timeout_seconds=5)
    with moved(timedelta(minutes=61)):
        advance(redemption["id"], client)
    assert figures(api) == (POINTS, 0, POINTS)
    assert medusa.live_codes() == set()


class Killed(BaseException):
    """The process is killed."""


@pytest.mark.parametrize("how", [Killed, httpx.ReadTimeout])
@pytest.mark.parametrize("plugin", [True, False])
def test_a_release_that_is_interrupted_after_any_call_is_completed_by_the_next_run(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any], plugin: bool, how: type[BaseException]
) -> None:
    medusa.plugin = plugin
    calls_of_a_release = 0

    def count(method: str, path: str) -> None:
        nonlocal calls_of_a_release
        calls_of_a_release += 1

    def dies_after(number: int) -> Callable[[str, str], None]:
        left = number

        def die(method: str, path: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                medusa.after = None
                raise how("cut off")

        return die

    medusa.after = count
    release_by_request(api, redemption["id"])
    assert calls_of_a_release >= 5

    for number in range(1, calls_of_a_release + 1):
        # The same cart, and a second one that Dust does not know.
        medusa.add_cart(lines=[cart_line(total=PRICE)])
        medusa.add_cart("cart_2", lines=[cart_line(total=PRICE)])
        another = redeemed(api, {"cart_id": "cart_1", "dust": POINTS})
        if plugin:
            add_code(medusa, another["code"], "cart_2")
        with moved(timedelta(minutes=61)):
            medusa.after = dies_after(number)
            with suppress(Killed, Unavailable):
                advance(another["id"], get_medusa())
            assert medusa.after is None, number
        with moved(timedelta(minutes=63)):
            advance(another["id"], get_medusa())
        assert show(api, another["id"])["state"] == "released"
        assert_clean(medusa)
        assert_clean(medusa, "cart_2")
        assert medusa.live_codes() == set()
        assert figures(api) == (POINTS, 0, POINTS)


def test_a_code_that_leaves_its_cart_frees_its_points(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    remove_code(medusa, redemption["code"])
    report_codes(api, redemption["code"])
    assert due() == []
    assert show(api, redemption["id"])["state"] == "active"

    visit_when_due()

    shown = show(api, redemption["id"])
    assert (shown["state"], shown["reason"]) == ("released", "The code was removed from the cart.")
    assert figures(api) == (POINTS, 0, POINTS)
    assert medusa.live_codes() == set()


def test_points_stay_held_while_medusa_says_that_the_code_is_in_the_cart(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    """A forged event, or a code that was put back within the short wait."""
    report_codes(api, redemption["code"])
    visit_when_due()
    remove_code(medusa, redemption["code"])
    report_codes(api, redemption["code"])
    add_code(medusa, redemption["code"])
    visit_when_due()

    assert show(api, redemption["id"])["state"] == "active"
    assert figures(api) == (POINTS, POINTS, 0)
    with moved(timedelta(minutes=5)):
        assert due() == []


def test_a_code_that_left_its_cart_stays_held_until_medusa_could_be_asked(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    remove_code(medusa, redemption["code"])
    report_codes(api, redemption["code"])
    medusa.away = True
    with pytest.raises(Unavailable):
        visit_when_due()
    assert figures(api) == (POINTS, POINTS, 0)
    medusa.away = False
    with moved(timedelta(minutes=3)):
        visit_when_due()
    assert show(api, redemption["id"])["reason"] == "The code was removed from the cart."
    assert figures(api) == (POINTS, 0, POINTS)


def test_a_code_that_leaves_its_cart_during_the_check_is_checked_again(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    """It was put back, and is removed again just after Medusa has answered that it is in the cart."""
    report_codes(api, redemption["code"])

    def remove_again(method: str, path: str) -> None:
        if method == "GET":
            medusa.after = None
            remove_code(medusa, redemption["code"])
            report_codes(api, redemption["code"])

    with moved(CART_CHECK_DELAY):
        medusa.after = remove_again
        advance(redemption["id"], get_medusa())
        assert show(api, redemption["id"])["state"] == "active"
        visit_when_due()
    assert show(api, redemption["id"])["state"] == "released"


def test_the_code_of_a_completed_cart_is_not_released(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    remove_code(medusa, redemption["code"])
    medusa.carts["cart_1"]["completed_at"] = now().isoformat()
    report_codes(api, redemption["code"])
    visit_when_due()
    assert show(api, redemption["id"])["state"] == "active"


def test_a_code_that_left_a_deleted_cart_is_released(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    del medusa.carts["cart_1"]
    report_codes(api, redemption["code"])
    visit_when_due()
    assert show(api, redemption["id"])["state"] == "released"


def test_a_code_that_leaves_another_cart_or_belongs_to_none_is_kept(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    give(POINTS)
    unbound = redeemed(api, {"dust": POINTS, "currency_code": "eur"}, key="unbound")
    remove_code(medusa, redemption["code"])
    report_codes(api, redemption["code"], cart_id="cart_2")
    report_codes(api, unbound["code"])
    report_codes(api, "DUST-0000000000000000")
    visit_when_due()
    assert [show(api, kept["id"])["state"] for kept in (redemption, unbound)] == ["active", "active"]


def test_a_redemption_that_is_still_being_put_into_its_cart_is_left_alone(api: TestClient, medusa: FakeMedusa) -> None:
    give(POINTS)
    medusa.add_cart(lines=[cart_line(total=PRICE)])
    pending = redeem(api, {"cart_id": "cart_1", "dust": POINTS}).json()["redemption"]
    with transaction() as connection:
        code = lock_redemption(connection, pending["id"]).codes[0].code
    report_codes(api, code)
    with moved(CART_CHECK_DELAY):
        advance(pending["id"], get_medusa())
        assert due() == []
    assert show(api, pending["id"])["state"] == "active"
    assert codes_in(medusa.carts["cart_1"]) == {code}


def test_a_redemption_with_several_codes_is_released_when_the_last_one_has_left(
    api: TestClient, medusa: FakeMedusa
) -> None:
    products = ("prod_mug", "prod_pin")
    prices = {"products": [{"product_id": product, "dust_only": True, "dust_price": 100} for product in products]}
    assert api.post("/admin/dust/products", json=prices, headers=tokens.admin()).status_code == 200
    give(POINTS)
    medusa.add_cart(lines=[cart_line(product, total=PRICE / 2) for product in products])
    redemption = redeemed(api, {"cart_id": "cart_1", "pay": "dust_only"})
    mug, pin = (promotion["code"] for promotion in redemption["promotions"])
    remove_code(medusa, mug)
    report_codes(api, mug)
    visit_when_due()
    assert show(api, redemption["id"])["state"] == "active"
    remove_code(medusa, pin)
    report_codes(api, pin)
    visit_when_due()
    assert show(api, redemption["id"])["state"] == "released"
    assert figures(api) == (POINTS, 0, POINTS)


def test_more_codes_than_the_plugin_takes_at_once_are_released(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.plugin = True
    products = [f"prod_{number}" for number in range(PLUGIN_CODES + 1)]
    prices = {"products": [{"product_id": product, "dust_only": True, "dust_price": 1} for product in products]}
    assert api.post("/admin/dust/products", json=prices, headers=tokens.admin()).status_code == 200
    give(POINTS)
    medusa.add_cart(lines=[cart_line(product) for product in products])
    redemption = redeemed(api, {"cart_id": "cart_1", "pay": "dust_only"})
    assert len(redemption["promotions"]) == len(products)
    assert delete(api, redemption["id"]).json()["redemption"]["state"] == "released"
    assert figures(api) == (POINTS, 0, POINTS)
    assert codes_in(medusa.carts["cart_1"]) == set()
    with moved(timedelta(hours=1)):
        assert audit_medusa(get_medusa()) == []


def test_an_event_without_a_cart_is_refused_and_one_without_codes_changes_nothing(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    event = {"type": "dust.code_removed", "timestamp": now().isoformat(), "data": {"codes": [redemption["code"]]}}
    assert deliver(api, json.dumps(event).encode()).status_code == 400
    event["data"] = {"cart_id": "cart_1", "codes": "x"}
    assert deliver(api, json.dumps(event).encode()).status_code == 202
    process_batch()
    visit_when_due()
    assert show(api, redemption["id"])["state"] == "active"


@pytest.mark.parametrize("odd", [["\x00"], ["\ud800"], ["x" * 100_000], [1, None, {}], ["DUST-1"] * 70_000])
def test_invalid_codes_in_an_event_are_ignored(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any], odd: list[Any]
) -> None:
    remove_code(medusa, redemption["code"])
    report_codes(api, *odd, redemption["code"])
    visit_when_due()
    assert show(api, redemption["id"])["state"] == "released"


def test_the_audit_names_open_carts_with_a_code_of_a_deleted_promotion(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any]
) -> None:
    """As an older Dust left them behind."""
    release_by_request(api, redemption["id"])
    assert audit_medusa(get_medusa()) == []
    medusa.plugin = True
    assert audit_medusa(get_medusa()) == []
    medusa.add_cart("cart_2", lines=[cart_line(total=PRICE)])
    medusa.carts["cart_2"]["items"][0]["adjustments"] = [{"code": redemption["code"], "amount": 5}]
    medusa.carts["cart_2"]["promotions"] = [None]

    (breach,) = audit_medusa(get_medusa())

    assert (breach.check, breach.subject) == ("no_dead_code_in_an_open_cart", "cart_2")
    assert redemption["id"] in breach.detail


def test_the_worker_checks_the_cart_without_waiting_for_the_sweep(
    api: TestClient, medusa: FakeMedusa, redemption: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[tuple[Any, ...]] = []
    monkeypatch.setattr(inbox, "publish", lambda *words, **how: published.append((*words, how)))
    event = {"cart_id": "cart_1", "codes": [redemption["code"]]}
    body = {"type": "dust.code_removed", "timestamp": now().isoformat(), "data": event}
    deliver(api, json.dumps(body).encode())

    inbox.drain.apply().get()

    soon = {"countdown_seconds": CART_CHECK_DELAY.total_seconds()}
    assert published == [(REDEMPTIONS_ADVANCE, redemption["id"], soon)]
