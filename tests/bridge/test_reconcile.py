"""The comparison with Medusa sees every row once, saves its progress, and goes on past rows that cannot be read."""

import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.inbox.compare_with_medusa import check_due
from bridge.inbox.reconcile import ReconcileResult, reconcile
from bridge.medusa.client import get_medusa
from bridge.medusa.errors import MedusaAway
from bridge.medusa.pages import PAGE_SIZE, Page, Place
from bridge.simulation.compare import read_pages
from tests.support.clock import moved
from tests.support.inbox import drain
from tests.support.medusa import Answer, FakeMedusa
from tests.support.orders import PLACED, line, order
from tests.support.settling import set_rules

pytestmark = pytest.mark.usefixtures("medusa")

SINCE = Place(since=PLACED)
# Times that end in the middle of a page, at its end, and far beyond it.
TIES = (1, PAGE_SIZE - 1, 2, PAGE_SIZE, 3, PAGE_SIZE + 1, 4 * PAGE_SIZE + 7, 5)


def small(order_id: str, at: datetime) -> dict[str, Any]:
    """What a list needs of an order."""
    return {"id": order_id, "created_at": at.isoformat(), "updated_at": at.isoformat(), "customer_id": "cus_1"}


def fill(medusa: FakeMedusa, rows: dict[str, dict[str, Any]], field: str = "updated_at") -> list[str]:
    """Rows of the same millisecond in groups as large as `TIES` says; their ids."""
    numbers = random.Random(7)
    for group, size in enumerate(TIES):
        for _ in range(size):
            # Postgres keeps microseconds, of which the JSON says nothing.
            row = small(f"row_{numbers.randrange(10**12):012}", PLACED + timedelta(seconds=group))
            rows[row["id"]] = row
    return list(rows)


def seen_ids(pages: Iterator[Page]) -> list[str]:
    return [row["id"] for page in pages for row in page.rows]


@pytest.mark.parametrize("walk", ["orders_placed_since", "customers_created_since"])
def test_rows_of_one_time_are_seen_once_each(medusa: FakeMedusa, walk: str) -> None:
    ids = fill(medusa, medusa.customers if walk.startswith("customers") else medusa.orders)
    seen = [row["id"] for page in getattr(get_medusa(), walk)(PLACED) for row in page]
    assert Counter(seen) == Counter(ids)


def test_orders_changed_at_one_time_are_seen_once_each(medusa: FakeMedusa) -> None:
    ids = fill(medusa, medusa.orders)
    assert Counter(seen_ids(get_medusa().updated_orders(SINCE))) == Counter(ids)


def test_payments_of_one_time_are_seen_once_each_though_their_list_does_not_compare_ids(medusa: FakeMedusa) -> None:
    ids = fill(medusa, medusa.payments)
    seen = seen_ids(get_medusa().updated_payments(SINCE))
    assert Counter(seen) == Counter(ids)


def test_rows_come_in_the_order_of_time(medusa: FakeMedusa) -> None:
    fill(medusa, medusa.orders)
    times = [row["created_at"] for page in get_medusa().orders_placed_since(PLACED) for row in page]
    assert times == sorted(times)


def test_rows_of_one_millisecond_are_one_tie_though_postgres_knows_their_microseconds(medusa: FakeMedusa) -> None:
    ids = fill(medusa, medusa.orders)
    for number, row in enumerate(medusa.orders.values()):
        at = datetime.fromisoformat(row["created_at"]) + timedelta(microseconds=number % 1000)
        row["created_at"] = at.isoformat()

    seen: Counter[str] = Counter()
    for page in get_medusa().orders_placed_since(PLACED):
        seen.update(row["id"] for row in page)
    assert seen == Counter(ids)


@pytest.mark.parametrize("bad", [{"id": "row_bad"}, {"id": "row_bad", "updated_at": "soon"}, {"id": 7}, {}])
def test_a_row_without_an_id_or_a_time_goes_along(medusa: FakeMedusa, bad: dict[str, Any]) -> None:
    fill(medusa, medusa.orders)
    expected = set(medusa.orders)

    def before(method: str, path: str, query: dict[str, Any]) -> Answer | None:
        status, document = medusa._list("orders", query)
        document["orders"].append(bad)
        return status, document

    medusa.before = before
    seen = {row.get("id") for page in get_medusa().updated_orders(SINCE) for row in page.rows}
    assert seen - {bad.get("id")} == expected


def slow(limit: int) -> Any:
    """A Medusa that does not finish lists of more rows than that."""

    def before(method: str, path: str, query: dict[str, Any]) -> Answer | None:
        if path == "/admin/orders" and "id[]" not in query and int(query["limit"]) > limit:
            raise httpx.ReadTimeout("too slow")
        return None

    return before


@pytest.mark.parametrize("limit", [1, 30])
def test_a_page_that_takes_too_long_is_asked_for_in_smaller_pages(medusa: FakeMedusa, limit: int) -> None:
    ids = fill(medusa, medusa.orders)
    medusa.before = slow(limit)
    seen = seen_ids(get_medusa().updated_orders(SINCE))
    assert Counter(seen) == Counter(ids)


def test_a_medusa_that_answers_nothing_is_away_after_two_calls(medusa: FakeMedusa) -> None:
    medusa.before = slow(0)
    with pytest.raises(MedusaAway):
        list(get_medusa().updated_orders(SINCE))
    assert len(medusa.calls) == 2


def broken(medusa: FakeMedusa, *order_ids: str) -> Any:
    """A Medusa that answers 500 wherever one of these orders is read with its lines."""

    def before(method: str, path: str, query: dict[str, Any]) -> Answer | None:
        failed = 500, {"type": "unknown_error", "message": "An unknown error occurred."}
        if path.removeprefix("/admin/orders/") in order_ids:
            return failed
        if path == "/admin/orders" and "items" in query.get("fields", ""):
            document = medusa._list("orders", query)[1]
            if any(row["id"] in order_ids for row in document["orders"]):
                return failed
        return None

    return before


def poll() -> ReconcileResult:
    return reconcile(get_medusa())


def events(like: str = "%") -> set[str]:
    """What events with such ids are about."""
    with transaction() as connection:
        query = text("SELECT subject FROM webhook_event WHERE id LIKE :like")
        return set(connection.scalars(query, {"like": like}))


def test_an_order_that_medusa_cannot_give_costs_only_itself(medusa: FakeMedusa) -> None:
    for number in range(40):
        medusa.orders[f"order_{number:02}"] = order(
            f"order_{number:02}", updated=now() - timedelta(minutes=40 - number)
        )
    medusa.before = broken(medusa, "order_07", "order_08")

    result = poll()

    assert sorted(result.unreadable) == ["order_07", "order_08"]
    # Those that cannot be read are in the inbox by their ids: they are tried again, and then fail visibly.
    assert events() == set(medusa.orders)


def nested(medusa: FakeMedusa, order_id: str) -> Any:
    """A Medusa in which a line of this order has metadata of thousands of levels, which a shopper wrote."""
    deep = '{"a":' * 5_000 + "1" + "}" * 5_000

    def before(method: str, path: str, query: dict[str, Any]) -> Answer | None:
        if path == f"/admin/orders/{order_id}":
            document: Any = {"order": medusa.orders[order_id]}
        elif path == "/admin/orders" and "items" in query.get("fields", ""):
            document = medusa._list("orders", query)[1]
        else:
            return None
        rows = document["orders"] if "orders" in document else [document["order"]]
        marked = [{**row, "metadata": "DEEP"} if row["id"] == order_id else row for row in rows]
        document = {**document, "orders": marked} if "orders" in document else {"order": marked[0]}
        # A text is the body as it is: Python writes no JSON of so many levels.
        return 200, json.dumps(document).replace('"DEEP"', deep)

    return before


def test_an_order_whose_metadata_is_too_deep_to_be_read_costs_only_itself(medusa: FakeMedusa) -> None:
    for number in range(40):
        medusa.orders[f"order_{number:02}"] = order(
            f"order_{number:02}", updated=now() - timedelta(minutes=40 - number)
        )
    medusa.before = nested(medusa, "order_07")

    result = poll()

    assert result.unreadable == ["order_07"]
    assert events() == set(medusa.orders)


class Killed(BaseException):
    """The worker was killed."""


class SlowMedusa:
    """A Medusa that takes `each` seconds for an order with its lines, and hangs at one of them.

    A call ends after five seconds, unanswered. After `limit` seconds the worker is killed.
    """

    def __init__(
        self,
        medusa: FakeMedusa,
        monkeypatch: pytest.MonkeyPatch,
        *,
        each: float,
        hangs_at: str = "",
        limit: float = math.inf,
    ) -> None:
        self.each, self.hangs_at, self.limit, self.spent, self._medusa = each, hangs_at, limit, 0.0, medusa
        real = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + self.spent)
        medusa.before = self.before

    def before(self, method: str, path: str, query: dict[str, Any]) -> Answer | None:
        if self.spent > self.limit:
            raise Killed
        if path == "/admin/orders" and "items" in query.get("fields", ""):
            ids = [row["id"] for row in self._medusa._list("orders", query)[1]["orders"]]
        elif path.startswith("/admin/orders/"):
            ids = [path.removeprefix("/admin/orders/")]
        else:
            return None
        seconds = 60 if self.hangs_at in ids else self.each * len(ids)
        self.spent += min(5.0, seconds)
        if seconds > 5:
            raise httpx.ReadTimeout("too slow")
        return None


@pytest.mark.parametrize(("each", "hangs_at"), [(0, "order_07"), (1, ""), (1, "order_00")])
def test_each_comparison_of_settled_orders_gets_further_though_medusa_is_slow_or_hangs_at_one(
    medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch, each: float, hangs_at: str
) -> None:
    ids = [f"order_{number:02}" for number in range(40)]
    for order_id in ids:
        medusa.orders[order_id] = order(order_id, updated=now() - timedelta(minutes=30))
    poll()
    drain()
    with transaction() as connection:
        connection.execute(text("UPDATE order_settlement SET check_at = :now"), {"now": now()})
    for order_id in ids:
        # The same version at the same time, and other money: only a comparison shows it.
        medusa.orders[order_id] = order(order_id, updated=now() - timedelta(minutes=30), lines=[line(price=17)])
    slow = SlowMedusa(medusa, monkeypatch, each=each, hangs_at=hangs_at)
    monkeypatch.setattr("bridge.inbox.compare_with_medusa.SAMPLE", 0)
    corrected: list[int] = []
    for _ in range(12):
        slow.spent = 0
        check_due(get_medusa())
        assert slow.spent < 50, "the task's time limit is 60 s"
        corrected.append(sum(settled_points(order_id) == 17 for order_id in ids))
    assert corrected == sorted(corrected)
    assert corrected[-1] == len(set(ids) - {hangs_at})
    assert corrected[1] > 0


def test_a_page_of_payments_ends_though_medusa_takes_long_for_each_order(
    medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rules(earn={"when": "payment.captured"})
    ids = [f"order_{number:03}" for number in range(PAGE_SIZE + 1)]
    for order_id in ids:
        medusa.orders[order_id] = order(order_id, updated=now() - timedelta(minutes=30))
    poll()
    drain()
    # All were authorized. The last one, on the second page, was captured as well.
    for number, order_id in enumerate(ids):
        medusa.add_payment(order_id, at=now() - timedelta(minutes=5) + timedelta(seconds=number))
    medusa.orders[ids[-1]] = order(ids[-1], updated=now() - timedelta(minutes=30), payment_status="captured")
    slow = SlowMedusa(medusa, monkeypatch, each=1, limit=60)
    for _ in range(3):
        slow.spent = 0
        with suppress(Killed):
            poll()
    assert ids[-1] in events("%_paid_%") | events("%_payment_%")


def test_pages_are_large_again_after_an_order_that_medusa_cannot_give(medusa: FakeMedusa) -> None:
    for number in range(4 * PAGE_SIZE):
        order_id = f"order_{number:03}"
        medusa.orders[order_id] = small(order_id, PLACED + timedelta(seconds=number))
    medusa.before = broken(medusa, "order_050")
    seen = seen_ids(get_medusa().updated_orders(SINCE))
    assert set(seen) == set(medusa.orders) - {"order_050"}
    assert len(medusa.calls) < 40


def test_whether_a_customer_used_a_code_is_never_said_without_all_of_their_orders(medusa: FakeMedusa) -> None:
    for number in range(3):
        medusa.orders[f"order_{number}"] = order(f"order_{number}")
    medusa.before = broken(medusa, "order_1")
    with pytest.raises(MedusaAway):
        list(get_medusa().orders_of_customer_since(CustomerId("cus_1"), PLACED - timedelta(days=1)))


@pytest.mark.parametrize("seconds_between", [0, 0.5])
def test_a_poll_that_is_killed_again_and_again_goes_on_where_it_was(medusa: FakeMedusa, seconds_between: float) -> None:
    size = 9 * PAGE_SIZE + 20
    for number in range(size):
        at = now() - timedelta(minutes=9) + timedelta(seconds=number * seconds_between)
        medusa.orders[f"order_{number:04}"] = order(f"order_{number:04}", updated=at)
    lists = 0

    def before(method: str, path: str, query: dict[str, Any]) -> Answer | None:
        nonlocal lists
        lists += path == "/admin/orders"
        if lists % 4 == 0:
            raise Killed
        return None

    medusa.before = before
    seen: list[int] = []
    for _ in range(20):
        try:
            poll()
        except Killed:
            seen.append(len(events()))
            continue
        break
    assert seen == sorted(seen)
    assert len(seen) < 8, "no page is asked for again and again"
    assert len(events()) == size


def test_what_changes_during_a_long_poll_is_seen_by_the_next(medusa: FakeMedusa) -> None:
    for number in range(PAGE_SIZE + 20):
        medusa.orders[f"order_{number:04}"] = order(f"order_{number:04}", updated=now() - timedelta(hours=3))
    medusa.before = lambda method, path, query: (503, {}) if len(medusa.calls) > 2 else None
    with pytest.raises(MedusaAway):
        poll()
    with moved(timedelta(hours=2)):
        medusa.before = None
        poll()
        late = now() - timedelta(hours=1, minutes=59)
        medusa.orders["order_late"] = order("order_late", updated=late)
        poll()
    assert "order_late" in events()


@pytest.mark.parametrize("date", ["Wed, 12 May 2027 12:00:00", "Wed, 12 May 2027 12:00:00 +99999999999999999999"])
def test_a_strange_date_of_medusas_answer_does_no_harm(medusa: FakeMedusa, date: str) -> None:
    medusa.date = date
    medusa.orders["order_1"] = order(updated=now())
    for _ in range(2):
        assert reconcile(get_medusa()).orders_seen == 1


def test_a_clock_that_was_ahead_skips_nothing(medusa: FakeMedusa) -> None:
    medusa.behind = timedelta(hours=3)
    with moved(timedelta(hours=3)):
        poll()
    medusa.orders["order_1"] = order(updated=now())
    with moved(timedelta(hours=3)):
        poll()
    assert events() == {"order_1"}


def settled_points(order_id: str) -> int:
    with transaction() as connection:
        query = text("SELECT booked FROM order_settlement WHERE order_id = :id")
        return int(connection.scalar(query, {"id": order_id}) or 0)


@pytest.fixture
def awaiting(medusa: FakeMedusa) -> list[str]:
    """Orders that wait for their payment, which has come in."""
    set_rules(earn={"when": "payment.captured"})
    ids = [f"order_{number}" for number in range(5)]
    for order_id in ids:
        medusa.orders[order_id] = order(order_id, updated=now() - timedelta(minutes=3))
    poll()
    drain()
    for order_id in ids:
        medusa.orders[order_id] = order(
            order_id, updated=now() - timedelta(minutes=3), payment_status="captured"
        )  # fmt: skip
        medusa.add_payment(order_id, at=now() - timedelta(minutes=1))
    return ids


def gone(medusa: FakeMedusa) -> None:
    del medusa.orders["order_2"]


def unreadable(medusa: FakeMedusa) -> None:
    medusa.orders["order_2"] = {"id": "order_2", "updated_at": medusa.orders["order_2"]["updated_at"], "items": "?"}


def not_given(medusa: FakeMedusa) -> None:
    medusa.before = broken(medusa, "order_2")


def without_order(medusa: FakeMedusa) -> None:
    medusa.payments["pay_order_2"]["payment_collection"] = None


@pytest.mark.parametrize("harm", [gone, unreadable, not_given, without_order])
def test_an_order_that_cannot_be_read_for_its_payment_costs_only_itself(
    medusa: FakeMedusa, awaiting: list[str], harm: Callable[[FakeMedusa], None]
) -> None:
    harm(medusa)
    poll()
    assert events("%_paid_%") == {order_id for order_id in awaiting if order_id != "order_2"}
    medusa.before = None
    medusa.orders["order_9"] = order("order_9", updated=now())
    poll()
    assert "order_9" in events()


def test_orders_that_are_compared_later_are_compared_though_medusa_cannot_give_one(medusa: FakeMedusa) -> None:
    ids = [f"order_{number}" for number in range(12)]
    for order_id in ids:
        medusa.orders[order_id] = order(order_id, updated=now() - timedelta(minutes=3))
    poll()
    drain()
    medusa.before = broken(medusa, "order_4")
    with transaction() as connection:
        connection.execute(text("UPDATE order_settlement SET check_at = :now"), {"now": now()})
    for order_id in ids:
        # The same version at the same time, and other money: only a comparison shows it.
        medusa.orders[order_id] = order(order_id, updated=now() - timedelta(minutes=3), lines=[line(price=17)])
    compared = check_due(get_medusa())
    assert set(compared.differs) == set(ids) - {"order_4"}
    assert compared.unreadable == ["order_4"]


def test_a_customer_without_what_medusa_always_gives_costs_only_itself(medusa: FakeMedusa) -> None:
    set_rules(bonuses={"signup": 50})
    for number in range(3):
        medusa.add_customer(f"cus_{number}", f"{number}@example.com", created=now() - timedelta(minutes=1))
    medusa.customers["cus_1"]["email"] = {"no": "text"}
    poll()
    assert {"cus_0", "cus_2"} <= events()


def test_a_list_that_medusa_fails_at_stops_no_other(medusa: FakeMedusa, awaiting: list[str]) -> None:
    set_rules(earn={"when": "payment.captured"}, bonuses={"signup": 50})
    medusa.add_customer("cus_7", "seven@example.com", created=now() - timedelta(minutes=1))
    medusa.before = lambda method, path, query: (500, {}) if path == "/admin/payments" else None
    with pytest.raises(MedusaAway):
        poll()
    assert "cus_7" in events()
    # The later comparison found them: it asks for orders, not for payments.
    assert settled_points("order_0") == 10
    medusa.before = None
    poll()


def test_a_backfill_goes_on_past_an_order_that_medusa_cannot_give(medusa: FakeMedusa) -> None:
    for number in range(6):
        medusa.orders[f"order_{number}"] = order(f"order_{number}", placed=PLACED + timedelta(seconds=number))
    medusa.before = broken(medusa, "order_3")
    unread: list[str] = []
    pages = list(read_pages(get_medusa().orders_placed_since(PLACED), until=now(), unreadable=unread))
    assert unread == ["order_3"]
    assert [order.id for page in pages for _, order in page] == [f"order_{n}" for n in (0, 1, 2, 4, 5)]
