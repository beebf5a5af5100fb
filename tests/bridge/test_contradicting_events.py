"""Facts of an order that arrive out of sequence, contradict each other or are forged: Medusa's order counts."""

import itertools
import random
import string
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.inbox.compare_with_medusa import MISSING_FOR
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, process_event
from bridge.inbox.reconcile import reconcile
from bridge.inbox.retry import ASK_AGAIN_AFTER
from bridge.ledger.queries import read_balance
from bridge.medusa.client import get_medusa
from bridge.settlement.facts import CHECK_AFTER, CHECK_YOUNG_AGAIN
from tests.support.admin_api import set_dust_only
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.inbox import drain, first_poll, poll
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, event, line, order, order_event
from tests.support.settling import set_rules

pytestmark = pytest.mark.usefixtures("medusa")


def points(customer_id: str = "cus_1") -> int:
    with transaction() as connection:
        return read_balance(connection, CustomerId(customer_id)).balance


def states() -> dict[str, tuple[str, str]]:
    with transaction() as connection:
        rows = connection.execute(text("SELECT id, state, coalesce(reason, '') AS reason FROM webhook_event")).all()
    return {row.id: (row.state, row.reason) for row in rows}


def settled(column: str, order_id: str = "order_1") -> Any:
    with transaction() as connection:
        row = connection.execute(text("SELECT * FROM order_settlement WHERE order_id = :id"), {"id": order_id}).one()
    return getattr(row, column)


def bought(price: float, *, version: int = 1, minutes: float = 0, **changes: Any) -> dict[str, Any]:
    updated = PLACED + timedelta(minutes=minutes)
    return order(version=version, updated=updated, lines=[line(price=price)], **changes)


def asked_for(medusa: FakeMedusa, order_id: str = "order_1") -> int:
    return medusa.calls.count(("GET", f"/admin/orders/{order_id}"))


# An order edit that Medusa undoes for lack of stock takes the version back.
PLACED_FOR_10 = bought(10)
EDITED_TO_17 = bought(17, version=2, minutes=5)
EDIT_UNDONE = bought(10, version=1, minutes=6)


@pytest.mark.parametrize("arrival", list(itertools.permutations([0, 1, 2])))
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "one by one"])
def test_an_edit_that_was_undone_leaves_the_order_as_it_now_is(
    api: TestClient, medusa: FakeMedusa, arrival: tuple[int, ...], together: bool
) -> None:
    medusa.orders["order_1"] = EDIT_UNDONE
    facts = [PLACED_FOR_10, EDITED_TO_17, EDIT_UNDONE]
    for number in (*arrival, *arrival):
        deliver(api, order_event(facts[number], "order.updated"))
        if not together:
            drain()
    drain()
    assert points() == 10
    assert {state for state, _ in states().values()} == {"handled"}


def test_an_undone_edit_without_an_event_is_found_by_the_poll(api: TestClient, medusa: FakeMedusa) -> None:
    for facts in (PLACED_FOR_10, EDITED_TO_17):
        deliver(api, order_event(facts))
    drain()
    assert points() == 17
    medusa.orders["order_1"] = EDIT_UNDONE
    reconcile(get_medusa(), since=PLACED)
    drain()
    assert points() == 10


def test_facts_that_agree_are_settled_without_asking_medusa(api: TestClient, medusa: FakeMedusa) -> None:
    for facts in (EDITED_TO_17, PLACED_FOR_10, PLACED_FOR_10):
        deliver(api, order_event(facts))
    drain()
    assert points() == 17
    assert asked_for(medusa) == 0


def test_contradicting_facts_wait_for_medusa_and_lose_nothing(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = EDIT_UNDONE
    medusa.away = True
    deliver(api, order_event(EDITED_TO_17), event_id="edited")
    drain()
    deliver(api, order_event(EDIT_UNDONE), event_id="undone")
    drain()
    assert points() == 17
    assert states()["undone"][0] == "pending"
    medusa.away = False
    process_event("undone")
    assert points() == 10


@pytest.mark.parametrize("canceled_first", [True, False])
@pytest.mark.parametrize(("version", "minutes"), [(1, -2), (2, -2), (2, 8), (1, 8)])
def test_a_cancel_takes_precedence_over_all_times(
    api: TestClient, medusa: FakeMedusa, canceled_first: bool, version: int, minutes: float
) -> None:
    canceled = bought(17, version=version, minutes=minutes, status="canceled")
    medusa.away = True
    for facts in (canceled, EDITED_TO_17) if canceled_first else (EDITED_TO_17, canceled, EDITED_TO_17):
        deliver(api, order_event(facts))
        drain()
    assert points() == 0
    assert settled("facts_canceled")


def test_an_answer_from_before_a_newer_event_does_not_replace_it(api: TestClient, medusa: FakeMedusa) -> None:
    """The event of a cancel is settled while an earlier answer of Medusa is being read."""
    medusa.orders["order_1"] = EDIT_UNDONE
    deliver(api, order_event(EDITED_TO_17))
    drain()

    def meanwhile(method: str, path: str) -> None:
        medusa.after = None
        deliver(api, order_event(bought(10, version=2, minutes=7, status="canceled"), "order.canceled"))
        process_batch()

    medusa.after = meanwhile
    deliver(api, order_event(EDIT_UNDONE))
    drain()
    assert points() == 0


# Snapshots forged by an attacker who knows the webhook secret.


@pytest.mark.parametrize(
    "invented",
    [
        bought(5000, version=2**31 - 1, minutes=5),
        bought(5000, version=1500, minutes=5),
        bought(5000, version=2, minutes=60 * 24 * 400),
        bought(5000, version=2, minutes=5, placed=PLACED + timedelta(days=400)),
    ],
    ids=["version", "many versions", "updated later", "placed later"],
)
@pytest.mark.parametrize("known", [True, False])
def test_a_snapshot_dated_in_the_future_is_not_used(
    api: TestClient, medusa: FakeMedusa, invented: dict[str, Any], known: bool
) -> None:
    medusa.orders["order_1"] = PLACED_FOR_10
    if known:
        deliver(api, order_event(PLACED_FOR_10))
        drain()
    deliver(api, order_event(invented))
    drain()
    assert points() == 10
    # Later events are not blocked.
    deliver(api, order_event(EDITED_TO_17))
    drain()
    assert points() == 17


@pytest.mark.parametrize(
    "invented",
    [
        bought(5000, version=2, minutes=5),
        bought(5000, version=90, minutes=5),
        bought(5000, version=2, minutes=5, customer_id="cus_thief"),
        bought(10, version=2, minutes=5, status="canceled"),
    ],
    ids=["totals", "version", "customer", "canceled"],
)
def test_a_snapshot_that_medusa_contradicts_is_corrected_by_the_poll(
    api: TestClient, medusa: FakeMedusa, invented: dict[str, Any]
) -> None:
    medusa.orders["order_1"] = PLACED_FOR_10
    deliver(api, order_event(PLACED_FOR_10))
    deliver(api, order_event(invented))
    drain()
    assert (points(), points("cus_thief")) != (10, 0)
    with moved(CHECK_AFTER):
        report = poll()
        assert report.drifted == ["order_1"]
        assert (points(), points("cus_thief")) == (10, 0)
        assert (settled("facts_version"), settled("customer_id")) == (1, "cus_1")
    with moved(CHECK_AFTER * 3):
        assert poll().drifted == []
        # The order's next genuine event counts.
        deliver(api, order_event(EDITED_TO_17))
        drain()
        assert points() == 17


@pytest.mark.parametrize("invented", ["category", "group", "product"])
def test_forged_details_of_a_new_order_are_corrected_by_medusa(
    api: TestClient, medusa: FakeMedusa, invented: str
) -> None:
    """They decide the terms of its lines, which are stored at the first settlement."""
    multipliers = [
        {"name": "category", "factor": "10", "category_ids": ["pcat_gold"]},
        {"name": "group", "factor": "10", "customer_group_ids": ["cusgroup_gold"]},
        {"name": "product", "factor": "10", "product_ids": ["prod_gold"]},
    ]
    set_rules(earn={"multipliers": multipliers})
    medusa.orders["order_1"] = order(placed=now())
    false = {
        "category": order(placed=now(), lines=[line(categories=("pcat_gold",))]),
        "group": order(placed=now(), groups=("cusgroup_gold",)),
        "product": order(placed=now(), lines=[line(product_id="prod_gold")]),
    }
    deliver(api, order_event(false[invented]))
    drain()
    assert points() == 100
    with moved(CHECK_AFTER):
        assert poll().drifted == ["order_1"]
        assert points() == 10


def test_terms_do_not_change_with_the_shop_later(api: TestClient, medusa: FakeMedusa) -> None:
    """A category is changed after the order was compared for the first time."""
    set_rules(earn={"multipliers": [{"name": "category", "factor": "2", "category_ids": ["pcat_tea"]}]})
    placed = now()
    tea = order(placed=placed, lines=[line(quantity=2, categories=("pcat_tea",))])
    deliver(api, order_event(tea))
    drain()
    medusa.orders["order_1"] = order(placed=placed, lines=[line(quantity=2)])
    with moved(timedelta(hours=2)):
        poll()
        assert points() == 40


@pytest.mark.parametrize("changed", ["category", "group", "points-only"])
def test_terms_do_not_change_with_the_shop_between_two_comparisons(
    api: TestClient, medusa: FakeMedusa, changed: str
) -> None:
    """A young order is compared again after some minutes, when the shop may have changed."""
    set_rules(
        earn={
            "multipliers": [
                {"name": "category", "factor": "10", "category_ids": ["pcat_gold"]},
                {"name": "group", "factor": "10", "customer_group_ids": ["cusgroup_gold"]},
            ]
        }
    )
    placed = now()
    medusa.orders["order_1"] = order(placed=placed)
    deliver(api, order_event(order(placed=placed)))
    drain()
    with moved(CHECK_AFTER):
        poll()
    if changed == "category":
        medusa.orders["order_1"] = order(placed=placed, lines=[line(categories=("pcat_gold",))])
    elif changed == "group":
        medusa.orders["order_1"] = order(placed=placed, groups=("cusgroup_gold",))
    else:
        set_dust_only(api, "prod_shirt")
    with moved(CHECK_AFTER + CHECK_YOUNG_AGAIN):
        poll()
        assert points() == 10


def test_a_compared_draft_does_not_make_invented_details_of_its_order_final(
    api: TestClient, medusa: FakeMedusa
) -> None:
    set_rules(earn={"multipliers": [{"name": "category", "factor": "10", "category_ids": ["pcat_gold"]}]})
    placed = now()
    medusa.orders["order_1"] = order(placed=placed) | {"is_draft_order": True}
    deliver(api, order_event(medusa.orders["order_1"], "order.updated"))
    drain()
    with moved(CHECK_AFTER):
        poll()
    medusa.orders["order_1"] = order(placed=placed)
    deliver(api, order_event(order(placed=placed, lines=[line(categories=("pcat_gold",))])))
    drain()
    assert points() == 100
    with moved(CHECK_AFTER * 3):
        poll()
        assert points() == 10


def test_an_order_is_not_older_than_in_medusa(api: TestClient, medusa: FakeMedusa) -> None:
    """With an invented date it would count for no limit, and its points would be dated back."""
    medusa.orders["order_1"] = PLACED_FOR_10
    deliver(api, order_event(bought(10, placed=PLACED - timedelta(days=60)), "order.updated"))
    drain()
    with moved(CHECK_AFTER):
        assert poll().drifted == ["order_1"]
    assert settled("placed_at") == PLACED


@pytest.mark.parametrize("when", ["payment.captured", "order.completed"])
def test_a_forged_payment_is_corrected_by_medusa(api: TestClient, medusa: FakeMedusa, when: str) -> None:
    set_rules(earn={"rates": {"eur": "1"}, "when": when})
    status = {"payment_status": "captured"} if when == "payment.captured" else {"status": "completed"}
    medusa.orders["order_1"] = order(payment_status="authorized")
    medusa.orders["order_1"]["summary"].update(paid_total=0, transaction_total=0)
    medusa.orders["order_1"]["payment_collections"] = []
    invented = order(version=2, **status)
    deliver(api, order_event(invented))
    drain()
    assert points() == 10
    with moved(CHECK_AFTER):
        assert poll().drifted == ["order_1"]
        assert points() == 0


def test_an_invented_snapshot_of_long_ago_is_found_by_the_sample(api: TestClient, medusa: FakeMedusa) -> None:
    """An installation that settled it before there was a comparison: no comparison is due."""
    medusa.orders["order_1"] = PLACED_FOR_10
    deliver(api, order_event(bought(5000, version=2, minutes=5)))
    drain()
    with transaction() as connection:
        connection.execute(text("UPDATE order_settlement SET check_at = NULL, facts_version = 2147483647"))
    assert poll().drifted == ["order_1"]
    assert points() == 10


def test_reconcile_since_a_date_corrects_forged_snapshots(api: TestClient, medusa: FakeMedusa) -> None:
    for number in range(40):
        document = order(f"order_{number}")
        medusa.orders[document["id"]] = document
        deliver(api, order_event(order(f"order_{number}", version=2, lines=[line(price=5000)])))
    drain()
    with transaction() as connection:
        connection.execute(text("UPDATE order_settlement SET check_at = NULL, facts_version = 2147483647"))
    reconcile(get_medusa(), since=PLACED)
    assert points() == 400


def test_the_check_asks_for_a_hundred_orders_at_once_and_writes_what_is_done(
    api: TestClient, medusa: FakeMedusa
) -> None:
    for number in range(150):
        document = order(f"order_{number}")
        medusa.orders[document["id"]] = document
        deliver(api, order_event(document))
    drain()
    medusa.calls.clear()
    with moved(CHECK_AFTER):
        poll()
    lists = medusa.calls.count(("GET", "/admin/orders"))
    # The orders that changed are one or two lists, then two pages (the sample can make the page two lists).
    assert lists <= 6
    assert [call for call in medusa.calls if call[1].startswith("/admin/orders/")] == []
    with transaction() as connection:
        assert connection.scalar(text("SELECT count(*) FROM order_settlement WHERE check_at IS NOT NULL")) == 0


def test_an_order_that_cannot_be_compared_does_not_stop_the_others(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    for order_id in ("order_1", "order_2"):
        medusa.orders[order_id] = order(order_id)
        deliver(api, order_event(order(order_id, lines=[line(price=5000)], version=2)))
    drain()
    del medusa.orders["order_1"]["items"]
    with moved(CHECK_AFTER):
        report = poll()
    assert "order_1" in report.unreadable
    assert points() == 5010


# Orders that Medusa deletes: the payment is declined after the order was made.


def declined(medusa: FakeMedusa, order_id: str = "order_1") -> None:
    del medusa.orders[order_id]


def look_until_it_counts_as_deleted() -> None:
    """Poll once, and again after the time in which a missing order counts as deleted."""
    with moved(CHECK_AFTER):
        poll()
    with moved(CHECK_AFTER + MISSING_FOR):
        poll()


def test_an_order_that_medusa_deleted_is_settled_to_nothing(medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order()
    medusa.orders["order_2"] = order("order_2", lines=[line(price=7)])
    first_poll()
    assert points() == 17
    declined(medusa)
    with moved(CHECK_AFTER):
        assert poll().missing == ["order_1"]
        assert points() == 17, "it may be a mistake: it is looked at twice"
    with moved(CHECK_AFTER + MISSING_FOR):
        poll()
        assert points() == 7
        assert settled("gone")
        assert "no longer has the order" in settled("note")


def test_an_order_that_is_deleted_minutes_later_is_found_too(medusa: FakeMedusa) -> None:
    placed = now() - timedelta(seconds=30)
    medusa.orders["order_1"] = order(placed=placed)
    medusa.orders["order_2"] = order("order_2")
    first_poll()
    with moved(CHECK_AFTER):
        poll()
    declined(medusa)
    with transaction() as connection:
        # Not by chance, with the sample.
        assert connection.scalar(text("SELECT check_at FROM order_settlement WHERE order_id = 'order_1'"))
    with moved(CHECK_AFTER + CHECK_YOUNG_AGAIN):
        poll()
    with moved(CHECK_AFTER + CHECK_YOUNG_AGAIN + MISSING_FOR):
        poll()
    assert points() == 10


@pytest.mark.parametrize("away", ["away", "key"])
def test_an_order_is_not_deleted_because_medusa_is_away_or_refuses_the_key(medusa: FakeMedusa, away: str) -> None:
    medusa.orders["order_1"] = order()
    first_poll()
    if away == "away":
        medusa.away = True
    else:
        medusa.handle = lambda *_: (403, {"message": "Forbidden"})  # type: ignore[method-assign]
    for minutes in (2, 10, 20):
        with moved(timedelta(minutes=minutes)), pytest.raises(Exception, match="Medusa"):
            poll()
    assert points() == 10


def test_a_wrong_medusa_deletes_nothing(medusa: FakeMedusa) -> None:
    """DUST_MEDUSA_URL names another shop, or one that was restored from a backup: it knows none of the orders."""
    for number in range(12):
        medusa.orders[f"order_{number}"] = order(f"order_{number}")
    first_poll()
    medusa.orders.clear()
    for minutes in (2, 10, 20):
        with moved(timedelta(minutes=minutes)):
            poll()
    assert points() == 120


def test_an_order_that_comes_back_is_settled_as_it_is(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order()
    medusa.orders["order_2"] = order("order_2")
    first_poll()
    declined(medusa)
    look_until_it_counts_as_deleted()
    assert points() == 10
    # Events of the order that arrive late do not restore it while Medusa does not have it.
    deliver(api, order_event(order()), event_id="late")
    drain()
    assert points() == 10
    assert states()["late"][0] == "failed"
    medusa.orders["order_1"] = order()
    with moved(ASK_AGAIN_AFTER):
        poll()
    assert points() == 20
    assert not settled("gone")


def test_an_order_that_comes_back_is_found_by_the_poll(medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order()
    medusa.orders["order_2"] = order("order_2")
    first_poll()
    declined(medusa)
    look_until_it_counts_as_deleted()
    assert points() == 10
    medusa.orders["order_1"] = order()
    reconcile(get_medusa(), since=PLACED)
    assert points() == 20


def test_a_guests_deleted_order_leaves_no_escrow(medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order(guest=True)
    medusa.orders["order_2"] = order("order_2")
    first_poll()
    assert settled("escrowed") == 10
    declined(medusa)
    look_until_it_counts_as_deleted()
    assert settled("escrowed") == 0


def test_a_placed_order_unknown_to_medusa_twice_is_ignored(api: TestClient, medusa: FakeMedusa) -> None:
    deliver(api, event("order.placed", {"id": "order_9"}), event_id="placed")
    with pytest.raises(EventFailed):
        process_event("placed")
    assert states()["placed"][0] == "failed"
    poll()
    assert states()["placed"][0] == "failed"
    with moved(ASK_AGAIN_AFTER):
        poll()
    state, reason = states()["placed"]
    assert state == "ignored"
    assert "order_9" in reason


def test_a_placed_order_that_medusa_has_at_the_second_request_earns(api: TestClient, medusa: FakeMedusa) -> None:
    deliver(api, event("order.placed", {"id": "order_1"}), event_id="placed")
    with pytest.raises(EventFailed):
        process_event("placed")
    medusa.orders["order_1"] = order()
    with moved(ASK_AGAIN_AFTER):
        poll()
    assert states()["placed"][0] == "handled"
    assert points() == 10


def test_a_payment_unknown_to_medusa_twice_is_ignored(api: TestClient) -> None:
    deliver(api, event("payment.captured", {"id": "pay_9"}), event_id="paid")
    with pytest.raises(EventFailed):
        process_event("paid")
    with moved(ASK_AGAIN_AFTER):
        poll()
    assert states()["paid"][0] == "ignored"


@pytest.mark.parametrize(
    "data",
    [
        {"id": "pay_order_1"},
        {"id": "pay_order_1", "order_id": None},
        {"id": "pay_order_1", "order_id": "order_1"},
        # A snapshot that cannot be used.
        {"order": {"id": "order_1"}},
    ],
)
def test_the_order_of_a_payment_is_found_however_the_event_names_it(
    api: TestClient, medusa: FakeMedusa, data: dict[str, Any]
) -> None:
    medusa.orders["order_1"] = order(payment_status="captured")
    medusa.add_payment("order_1", at=now())
    deliver(api, event("payment.captured", data), event_id="paid")
    drain()
    assert (states()["paid"][0], points()) == ("handled", 10)


def test_a_payment_with_the_snapshot_of_another_order_settles_its_own(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order(payment_status="captured")
    other = order("order_2", customer_id="cus_2", payment_status="captured")
    deliver(api, event("payment.captured", {"id": "pay_1", "order_id": "order_1", "order": other}), event_id="paid")
    drain()
    assert (states()["paid"][0], points(), points("cus_2")) == ("handled", 10, 0)


@pytest.mark.parametrize("field", ["id", "customer_id"])
def test_an_order_with_an_id_of_thousands_of_characters_does_not_stop_the_others(
    api: TestClient, medusa: FakeMedusa, field: str
) -> None:
    """Postgres refuses an index entry of that size. Random, because it compresses others."""
    long = "".join(random.Random(1).choices(string.ascii_letters, k=9000))
    broken = order("order_2") | {field: long}
    medusa.orders["order_2"] = broken
    deliver(api, event("payment.captured", {"id": "pay_1", "order_id": "order_2", "order": broken}), event_id="broken")
    deliver(api, order_event(order()), event_id="placed")
    assert process_batch().split_off == ("broken",)
    with pytest.raises(EventFailed, match="cannot be read"):
        process_event("broken")
    assert (states()["placed"][0], points()) == ("handled", 10)


def test_a_payment_of_no_order_yet_is_handled_and_the_order_earns_later(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.payments["pay_1"] = {"id": "pay_1", "payment_collection": {"order": None}}
    deliver(api, event("payment.captured", {"id": "pay_1"}), event_id="paid")
    drain()
    assert states()["paid"][0] == "handled"
    deliver(api, order_event(order(payment_status="captured")))
    drain()
    assert points() == 10


@pytest.mark.parametrize("backwards", [True, False])
def test_several_facts_of_one_order_in_a_batch_are_settled_as_one_by_one(
    api: TestClient, medusa: FakeMedusa, backwards: bool
) -> None:
    documents = [bought(n, version=n, minutes=n) for n in range(1, 8)]
    for document in reversed(documents) if backwards else documents:
        deliver(api, order_event(document))
    drain()
    assert points() == 7
    assert asked_for(medusa) == 0


@pytest.mark.parametrize("kinds", [["deleted", "created"], ["created", "deleted"], ["deleted", "updated", "created"]])
def test_a_customer_who_was_deleted_gets_no_bonus_however_the_events_come(
    api: TestClient, medusa: FakeMedusa, kinds: list[str]
) -> None:
    set_rules(bonuses={"signup": 50})
    if kinds[0] == "created":
        medusa.add_customer("cus_9", "nine@example.com")
    for kind in kinds:
        deliver(api, event(f"customer.{kind}", {"id": "cus_9"}))
        drain()
    assert points("cus_9") == (50 if kinds[0] == "created" else 0)
    assert {state for state, _ in states().values()} == {"handled"}
