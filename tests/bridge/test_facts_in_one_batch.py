"""Facts of one order that reach the inbox together end as if each had been settled when it came."""

import itertools
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.db import transaction
from bridge.operations.audit import audit
from tests.support.deliveries import deliver
from tests.support.inbox import drain
from tests.support.ledger import points, spend
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, line, order, order_event
from tests.support.referrals import bought as referred
from tests.support.referrals import refer, set_referral_bonus
from tests.support.settling import balance, booked_points, have_rules, order_of, set_rules, settle

Batches = str
worlds = itertools.count()
how_they_come = pytest.mark.parametrize("batches", ["one by one", "together", "together, backwards"])


def receive(api: TestClient, batches: Batches, *documents: dict[str, Any]) -> None:
    backwards = batches.endswith("backwards")
    for document in reversed(documents) if backwards else documents:
        deliver(api, order_event(document))
        if batches == "one by one":
            drain()
    drain()


@how_they_come
def test_an_order_that_goes_on_has_paid_its_first_owners_debt(
    api: TestClient, medusa: FakeMedusa, batches: Batches
) -> None:
    have_rules()
    settle(order("order_0", lines=[line("line_0", price=3)]))
    spend(300)
    settle(order("order_0", lines=[line("line_0", price=3)], version=2, status="canceled"))
    assert points("cus_1") == [-300]
    receive(api, batches, order_of("cus_1", 1), order_of("cus_2", 2))
    assert points("cus_1", "cus_2") == [0, 700]


@how_they_come
def test_an_order_that_goes_on_gets_past_no_limit(api: TestClient, medusa: FakeMedusa, batches: Batches) -> None:
    have_rules(limits={"per_day": 500})
    settle(order("order_0", placed=PLACED - timedelta(hours=1), lines=[line("line_0", price=5)]))
    assert points("cus_1") == [500]
    receive(api, batches, order_of("cus_1", 1), order_of("cus_2", 2))
    assert points("cus_1", "cus_2") == [500, 0]


@how_they_come
def test_each_owner_in_between_has_had_the_order(api: TestClient, medusa: FakeMedusa, batches: Batches) -> None:
    have_rules(limits={"per_day": 500})
    settle(order("order_0", customer_id="cus_2", placed=PLACED - timedelta(hours=1), lines=[line("line_0", price=5)]))
    settle(order_of("cus_1", 1))
    assert points("cus_1", "cus_2") == [500, 500]
    receive(api, batches, order_of("cus_2", 2), order_of("cus_3", 3))
    assert points("cus_1", "cus_2", "cus_3") == [0, 500, 0]


@how_they_come
def test_a_guests_order_that_is_transferred_has_met_no_tier(
    api: TestClient, medusa: FakeMedusa, batches: Batches
) -> None:
    set_rules(tiers={"window_days": 30, "levels": [{"name": "gold", "from": 5, "factor": "2"}]})
    settle(order("order_0", placed=PLACED - timedelta(hours=1)))
    receive(api, batches, order_of("cus_guest", 1, guest=True), order_of("cus_1", 2))
    assert booked_points()["order_1"] == 10


def bought(total: float, captured: float, version: int) -> dict[str, Any]:
    status = "captured" if captured else "authorized"
    document = order(version=version, lines=[line(price=total)], payment_status=status)
    summary = {"paid_total": captured, "refunded_total": 0, "transaction_total": captured}
    return document | {"summary": summary, "payment_collections": []}


@how_they_come
@pytest.mark.parametrize("known", [False, True])
def test_what_was_paid_does_not_wait_again(api: TestClient, medusa: FakeMedusa, batches: Batches, known: bool) -> None:
    set_rules(earn={"pending_until_paid": True})
    if known:
        settle(bought(100, 0, 1))
    receive(api, batches, bought(100, 100, 1), bought(300, 100, 2))
    assert (balance().balance, balance().pending) == (100, 200)


@how_they_come
def test_what_was_paid_stays_earned(api: TestClient, medusa: FakeMedusa, batches: Batches) -> None:
    set_rules(earn={"when": "payment.captured"})
    receive(api, batches, bought(100, 100, 1), bought(300, 100, 2))
    assert points("cus_1") == [100]


@pytest.mark.parametrize("batches", ["one by one", "together"])
def test_a_referral_whose_order_is_canceled_at_once_counts_for_the_limit(
    api: TestClient, medusa: FakeMedusa, batches: Batches
) -> None:
    set_referral_bonus(max_per_30_days=1)
    for who in ("cus_a", "cus_b"):
        refer(api, who)
    first = referred(1, by="cus_a"), referred(1, by="cus_a", version=2, status="canceled")
    receive(api, batches, *first, referred(2, by="cus_b"))
    assert points("cus_old", "cus_a", "cus_b") == [0, 0, 60]


limits = st.fixed_dictionaries(
    {"per_day": st.none() | st.integers(50, 900), "per_order": st.none() | st.integers(50, 600)}
)
levels = st.sampled_from(
    [[], [{"name": "silver", "from": 100, "factor": "1.5"}, {"name": "gold", "from": 600, "factor": "2"}]]
)
_PRICES, _CUSTOMERS = st.sampled_from([10, 300, 700]), st.sampled_from(["ada", "bob", "cy"])
# What happens to which of three orders: it is placed by one of three customers at first. Only one of them changes
# hands: of two, it matters which does first, because limits count what a customer has at that time.
changes = st.lists(
    st.tuples(st.just(0), st.sampled_from(["price", "pay", "transfer", "transfer", "cancel"]), _PRICES, _CUSTOMERS)
    | st.tuples(st.integers(1, 2), st.sampled_from(["price", "pay", "cancel"]), _PRICES, _CUSTOMERS),
    min_size=3,
    max_size=9,
)


def documents_of(story: list[tuple[int, str, int, str]], world: str) -> Iterator[dict[str, Any]]:
    """What Medusa sends of each change. Orders and customers of a `world` are like those of another one."""
    state: dict[int, dict[str, Any]] = {}
    for number, change, price, who in story:
        known = state.get(number)
        now_is = state[number] = dict(
            known or {"version": 0, "price": price, "paid": 0, "who": who, "status": "pending"}
        )
        now_is["version"] += 1
        if known and change == "transfer":
            now_is["who"] = who
        elif known:
            paid = {"paid": now_is["price"]} if change == "pay" else {}
            now_is |= {"price": {"price": price}, "cancel": {"status": "canceled"}}.get(change, paid)
        document = order(
            f"order_{world}_{number}",
            customer_id=f"cus_{world}_{now_is['who']}",
            placed=PLACED + timedelta(hours=number),
            version=now_is["version"],
            status=now_is["status"],
            lines=[line(f"line_{world}_{number}", price=now_is["price"])],
        )
        summary = {"paid_total": now_is["paid"], "refunded_total": 0, "transaction_total": now_is["paid"]}
        yield document | {"summary": summary, "payment_collections": []}


def result_of(world: str) -> list[Any]:
    queries = (
        "SELECT balance, pending, debt, waived FROM dust_balance WHERE customer_id LIKE %(like)s"
        " AND (balance, pending, debt, waived) <> (0, 0, 0, 0) ORDER BY customer_id",
        "SELECT booked, not_taken, worth, former_share, spent, tier, paid, earning_due, note FROM order_settlement"
        " WHERE order_id LIKE %(like)s ORDER BY order_id",
    )
    with transaction() as connection:
        return [
            [tuple(row) for row in connection.exec_driver_sql(query, {"like": f"%\\_{world}\\_%"})] for query in queries
        ]


@pytest.mark.system
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    limits=limits,
    levels=levels,
    until_paid=st.booleans(),
    policy=st.sampled_from(["allow", "within_balance"]),
    story=changes,
    seed=st.integers(0, 1000),
)
def test_an_order_that_changes_hands_beside_others_ends_as_one_by_one(
    api: TestClient,
    medusa: FakeMedusa,
    limits: dict[str, Any],
    levels: list[Any],
    until_paid: bool,
    policy: str,
    story: list[tuple[int, str, int, str]],
    seed: int,
) -> None:
    set_rules(
        earn={"limits": limits, "pending_until_paid": until_paid},
        tiers={"window_days": 30, "levels": levels},
        reversal={"negative_balance": policy},
    )
    results, chance = [], random.Random(seed)
    for sizes in (lambda: 1, lambda: len(story), lambda: chance.randint(2, 4)):
        world = f"w{next(worlds)}"
        documents = list(documents_of(story, world))
        while documents:
            size = sizes()
            for document in documents[:size]:
                deliver(api, order_event(document))
            del documents[:size]
            drain()
        results.append(result_of(world))
    assert results[0] == results[1] == results[2]
    assert audit() == []
