"""Limits that look at several orders, settled: the same result for any sequence of events."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId, new_id
from bridge.operations.audit import audit
from bridge.programme.limits import EarningRequest, Limits, apply_limits
from bridge.reports.explain import explain
from bridge.settlement.claims import claim_orders
from bridge.settlement.escrow import due_escrows, expire_escrows
from bridge.settlement.tables import Proof
from tests.support.clock import advance
from tests.support.guests import guest
from tests.support.ledger import spend
from tests.support.orders import PLACED, line, order
from tests.support.settling import balance, booked_points, history, set_rules, settle

pytestmark = pytest.mark.usefixtures("settings")


def a_day(dust: int, **more: Any) -> None:
    set_rules(earn={"limits": {"per_day": dust}}, **more)


def bought(number: int, price: int, *, hours: float = 0, **more: Any) -> dict[str, Any]:
    """An order of `price` eur, so many hours after the first (plus a minute for each number)."""
    placed = PLACED + timedelta(hours=hours, minutes=number)
    return order(f"order_{number}", placed=placed, lines=[line(f"l{number}", price=price)], **more)


def test_one_order_can_be_limited() -> None:
    set_rules(earn={"limits": {"per_order": 30}})
    assert settle(order(lines=[line(price=50)]))["order_1"].note == "Worth 50 points, limited to 30 an order."
    settle(order(version=2, lines=[line(price=10)]))
    assert balance().balance == 10


def test_what_is_beyond_a_days_limit_is_not_earned_and_says_so() -> None:
    a_day(500)
    settle(bought(1, 400))
    assert settle(bought(2, 400))["order_2"].note == "Worth 400 points, limited to 500 a day."
    settle(bought(3, 400, hours=24))
    assert booked_points() == {"order_1": 400, "order_2": 100, "order_3": 400}
    with transaction() as connection:
        sentence = explain(connection, CustomerId("cus_1")).steps[1].sentence
    assert "1 for each eur; worth 400 points, limited to 500 a day)" in sentence


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        # Clocks are set back by an hour on 31 October, so the day has 25 hours there.
        ("Europe/Berlin", "2027-10-30T22:05", "2027-10-31T22:55"),
        # By two hours.
        ("Antarctica/Troll", "2027-10-30T22:05", "2027-10-31T23:55"),
    ],
)
def test_a_days_limit_holds_when_clocks_are_set_back(zone: str, first: str, last: str) -> None:
    a_day(500, time_zone=zone)
    for number, moment in enumerate((first, last)):
        placed = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        settle(order(f"order_{number}", placed=placed, lines=[line(price=400)]))
    assert booked_points() == {"order_0": 400, "order_1": 100}


def test_an_order_that_was_limited_earns_more_when_the_other_one_is_canceled() -> None:
    a_day(500)
    settle(bought(1, 400))
    settle(bought(2, 400))
    settle(bought(1, 400, version=2, status="canceled"))
    assert booked_points() == {"order_1": 0, "order_2": 400}
    assert history() == [("earn", 400), ("earn", 100), ("reverse", -400), ("earn", 300)]


def test_an_order_that_becomes_known_late_counts_by_its_time() -> None:
    a_day(500)
    settle(bought(2, 400))
    settle(bought(1, 400))
    assert booked_points() == {"order_1": 400, "order_2": 100}
    with transaction() as connection:
        steps = explain(connection, CustomerId("cus_1")).steps
    assert "taken back for order #93: Over the limit with other orders" in " ".join(step.sentence for step in steps)


def test_an_order_that_goes_to_another_customer_frees_its_part_of_the_limit() -> None:
    a_day(500)
    settle(bought(1, 400))
    settle(bought(2, 400))
    settle(bought(1, 400, version=2, customer_id="cus_2"))
    assert booked_points() == {"order_1": 400, "order_2": 400}
    assert (balance("cus_1").balance, balance("cus_2").balance) == (400, 400)


@pytest.mark.parametrize("expired", [False, True])
def test_what_waits_for_a_guest_is_not_booked_for_the_account_that_had_the_order(expired: bool) -> None:
    a_day(500, guests={"claim": "registration", "escrow_days": 30})
    settle(bought(2, 100))
    guest = {"customer": {"id": "cus_1", "has_account": False}, "email": "guest@shop.test"}
    settle(bought(2, 100, version=2) | guest)
    if expired:
        advance(timedelta(days=31))
        with transaction() as connection:
            expire_escrows(connection, due_escrows(connection, now=now(), limit=10), now=now())
    settle(bought(1, 50))
    assert booked_points() == {"order_1": 50, "order_2": 0}
    assert balance().balance == 50
    assert audit() == []


def test_an_order_of_a_guest_without_an_email_is_not_booked_for_the_account_that_had_it() -> None:
    set_rules()
    settle(bought(2, 100))
    settle(bought(2, 100, version=2) | {"customer": {"id": "cus_1", "has_account": False}, "email": None})
    a_day(500)
    settle(bought(1, 50))
    assert booked_points() == {"order_1": 50, "order_2": 0}
    assert audit() == []


def test_a_claim_keeps_the_limits() -> None:
    """Guest orders that were claimed earn as if the account had placed them."""
    a_day(500)
    settle(*(guest(f"order_{n}", placed=PLACED + timedelta(minutes=n), lines=[line(price=400)]) for n in (1, 3)))
    settle(bought(2, 300), bought(4, 300))
    with transaction() as connection:
        claimed = claim_orders(connection, CustomerId("cus_1"), ["order_1", "order_3"], Proof.SUPPORT, now=now())
    assert claimed.orders == {"order_1": 400, "order_3": 0}
    assert booked_points() == {"order_1": 400, "order_2": 100, "order_3": 0, "order_4": 0}
    assert balance().balance == 500
    assert audit() == []
    settle(guest(placed=PLACED + timedelta(minutes=1), version=2, status="canceled", lines=[line(price=400)]))
    assert booked_points() == {"order_1": 0, "order_2": 300, "order_3": 200, "order_4": 0}


def test_points_that_could_not_be_taken_back_do_not_count_for_limits() -> None:
    a_day(500, reversal={"negative_balance": "within_balance"})
    settle(bought(1, 400))
    spend(400)
    settle(bought(1, 400, version=2, status="canceled"))
    settle(bought(2, 400))
    assert booked_points() == {"order_1": 0, "order_2": 400}


def test_orders_keep_the_limits_of_their_version_and_count_for_those_of_others() -> None:
    settle(bought(1, 400))
    a_day(500)
    settle(bought(2, 400))
    set_rules(earn={"limits": {"per_day": 10_000}})
    settle(bought(3, 400))
    assert booked_points() == {"order_1": 400, "order_2": 100, "order_3": 400}
    settle(bought(1, 400, version=2, status="canceled"))
    assert booked_points() == {"order_1": 0, "order_2": 400, "order_3": 400}


def test_a_window_reaches_over_days() -> None:
    set_rules(earn={"limits": {"per_customer": {"dust": 500, "days": 7}}})
    settle(bought(1, 400))
    settle(bought(2, 400, hours=6 * 24))
    settle(bought(3, 400, hours=7 * 24 - 1))
    settle(bought(4, 400, hours=7 * 24 + 1))
    assert booked_points() == {"order_1": 400, "order_2": 100, "order_3": 0, "order_4": 400}


def test_eight_at_once_never_pass_the_limit() -> None:
    a_day(500)
    documents = [bought(number, 90) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(settle, documents))
    assert booked_points() == {f"order_{n}": 90 if n < 5 else 50 if n == 5 else 0 for n in range(8)}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: settle(bought(n, 90, version=2, status="canceled")), range(5)))
    assert booked_points() == {f"order_{n}": 0 if n < 5 else 90 for n in range(8)}


purchases = st.lists(
    st.tuples(st.integers(0, 72), st.lists(st.integers(0, 400), min_size=1, max_size=3)), min_size=1, max_size=6
)
limits = st.fixed_dictionaries(
    {"per_day": st.integers(1, 600)},
    optional={"per_customer": st.fixed_dictionaries({"dust": st.integers(1, 900), "days": st.integers(1, 3)})},
)


@pytest.mark.system
@given(purchases=purchases, limits=limits, seed=st.integers(0, 10**6), at_once=st.integers(1, 4))
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_the_result_does_not_depend_on_the_sequence_of_events(
    purchases: list[tuple[int, list[int]]], limits: dict[str, Any], seed: int, at_once: int
) -> None:
    """Each purchase is an order that is edited a few times; 0 stands for a cancel, which no later edit undoes."""
    set_rules(earn={"limits": limits})
    customer = new_id("cus")
    facts, requests = [], []
    for hours, prices in purchases:
        order_id, placed = new_id("order"), PLACED + timedelta(hours=hours)
        for version, price in enumerate(prices, 1):
            status = "pending" if price else "canceled"
            lines = [line(f"l_{order_id}", price=price or 7)]
            facts.append(
                order(order_id, customer_id=customer, placed=placed, version=version, status=status, lines=lines)
            )
        worth = 0 if 0 in prices else prices[-1]
        requests.append(
            EarningRequest(order_id=order_id, placed_at=placed, worth=worth, limits=Limits.model_validate(limits))
        )
    random.Random(seed).shuffle(facts)
    for start in range(0, len(facts), at_once):
        settle(*facts[start : start + at_once])
    expected = apply_limits(requests)
    booked = booked_points()
    assert {request.order_id: booked[request.order_id] for request in requests} == {
        order_id: share.dust for order_id, share in expected.items()
    }
    assert balance(customer).balance == sum(share.dust for share in expected.values())
    assert audit() == []
