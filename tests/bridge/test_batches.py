"""Events in batches of any size give the same result as one by one."""

import itertools
import random
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.db import transaction
from bridge.ids import CustomerId, new_id
from bridge.operations.audit import audit
from bridge.settlement.referral_codes import own_code, state_code
from tests.support.ledger import spend
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED, line, order
from tests.support.settling import set_rules, settle
from tests.support.store_api import redeemed

pytestmark = pytest.mark.usefixtures("settings")

GOLD = {"name": "gold", "from": 600, "factor": "2"}
numbers = itertools.count()


def bought(number: int, price: int, *, customer: str, version: int = 1, **more: Any) -> dict[str, Any]:
    order_id, placed = f"order_{customer}_{number}", PLACED + timedelta(minutes=number)
    facts = {"customer_id": customer, "placed": placed, "version": version, **more}
    return order(order_id, lines=[line(f"l_{order_id}", price=price)], **facts)


def rows(customer: str) -> list[tuple[Any, ...]]:
    """The stored rows of the customer's orders, without the customer's id."""
    query = """SELECT right(order_id, -%(skip)s), booked, not_taken, worth, spent, tier, paid, earning_due, note
        FROM order_settlement WHERE order_id LIKE %(name)s || '%%' ORDER BY 1"""
    name = f"order_{customer}_"
    with transaction() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query, {"skip": len(name), "name": name})]


def figures(customer: str) -> tuple[Any, ...]:
    query = "SELECT balance, held, pending, debt FROM dust_balance WHERE customer_id = %(who)s"
    with transaction() as connection:
        row = connection.exec_driver_sql(query, {"who": customer}).one_or_none()
        return tuple(row) if row else (0, 0, 0, 0)


@pytest.mark.parametrize("together", [False, True])
def test_limits_are_applied_before_tiers_count(together: bool) -> None:
    limits = {"per_day": 500}
    set_rules(earn={"limits": limits}, tiers={"window_days": 30, "levels": [GOLD]})
    documents = [bought(number, price, customer="cus_1") for number, price in enumerate((400, 400, 10))]
    for batch in [documents] if together else [[document] for document in documents]:
        settle(*batch)
    assert [(row[1], row[5]) for row in rows("cus_1")] == [(400, None), (100, None), (0, None)]


@pytest.mark.parametrize("together", [False, True])
def test_an_order_keeps_its_own_limit_as_the_reason_when_an_earlier_one_is_canceled(together: bool) -> None:
    set_rules(earn={"limits": {"per_order": 208, "per_day": 208}})
    story = [(4, 700, 1, "pending"), (1, 10, 1, "pending"), (1, 10, 2, "canceled")]
    documents = [
        bought(number, price, customer="cus_1", version=version, status=status)
        for number, price, version, status in story
    ]
    for batch in [documents] if together else [[document] for document in documents]:
        settle(*batch)
    assert [(row[1], row[-1]) for row in rows("cus_1")] == [
        (0, "The order is canceled."),
        (208, "Worth 700 points, limited to 208 an order."),
    ]


@pytest.mark.parametrize("together", [False, True])
def test_no_more_referrals_bring_a_bonus_than_the_limit_allows(together: bool) -> None:
    set_rules(bonuses={"referral": {"referrer": 200, "referred": 50, "max_per_30_days": 1}})
    # The first by the time of the order is not the first by name.
    brought = ["cus_c", "cus_a", "cus_b"]
    with transaction() as connection:
        code = own_code(connection, CustomerId("cus_old"), now=PLACED)
        for customer_id in brought:
            state_code(connection, CustomerId(customer_id), code, now=PLACED)
    documents = [
        bought(n, 10, customer=customer_id, payment_status="captured") for n, customer_id in enumerate(brought)
    ]
    for batch in [documents] if together else [[document] for document in documents]:
        settle(*batch)
    assert figures("cus_old") == (200, 0, 0, 0)
    assert [figures(customer_id) for customer_id in brought] == [(60, 0, 0, 0)] * len(brought)
    with transaction() as connection:
        query = "SELECT customer_id FROM referral WHERE referrer_booked > 0"
        assert connection.exec_driver_sql(query).scalars().all() == ["cus_c"]


def test_facts_of_a_batch_count_in_their_sequence() -> None:
    """An order has the tier that another order gave before its cancel in the same batch."""
    set_rules(tiers={"window_days": 30, "levels": [GOLD]})
    story = [(0, 700, 1, "pending"), (1, 10, 1, "pending"), (0, 700, 2, "canceled")]
    for customer_id, together in (("cus_1", False), ("cus_2", True)):
        documents = [
            bought(number, price, customer=customer_id, version=version, status=status)
            for number, price, version, status in story
        ]
        for batch in [documents] if together else [[document] for document in documents]:
            settle(*batch)
    assert rows("cus_1") == rows("cus_2")
    assert figures("cus_1") == figures("cus_2") == (20, 0, 0, 0)


@pytest.mark.parametrize("together", [False, True])
def test_the_terms_of_a_line_are_those_of_the_first_facts_that_have_it(together: bool) -> None:
    double = {"name": "club", "factor": "2", "customer_group_ids": ["cusgroup_club"]}
    set_rules(earn={"multipliers": [double], "excluded_category_ids": ["pcat_gifts"]})
    facts = {"lines": [line(price=100)], "groups": ("cusgroup_club",)}
    later = {"lines": [line(price=100, categories=("pcat_gifts",))], "version": 2}
    documents = [order(**facts), order(**later)]
    for batch in [documents] if together else [[document] for document in documents]:
        settle(*batch)
    assert figures("cus_1") == (200, 0, 0, 0)


limits = st.fixed_dictionaries(
    {
        "per_order": st.none() | st.integers(50, 600),
        "per_day": st.none() | st.integers(50, 900),
        "per_customer": st.none() | st.fixed_dictionaries({"dust": st.integers(50, 900), "days": st.integers(1, 3)}),
    }
)
tiers = st.fixed_dictionaries(
    {
        "basis": st.sampled_from(["earned", "spent"]),
        "currency_code": st.just("eur"),
        "window_days": st.integers(1, 3),
        "levels": st.sampled_from([[], [GOLD], [{"name": "silver", "from": 100, "factor": "1.5"}, GOLD]]),
    }
)
# Steps: which of six orders changes, its price, and whether it is captured or canceled.
steps = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from([10, 300, 700]), st.sampled_from(["placed", "captured", "canceled"])),
    min_size=2,
    max_size=12,
)


@pytest.mark.system
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    limits=limits,
    tiers=tiers,
    when=st.sampled_from(["order.placed", "payment.captured"]),
    steps=steps,
    merged=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_any_orders_in_any_batches_end_as_one_by_one(
    limits: dict[str, Any], tiers: dict[str, Any], when: str, steps: list[tuple[int, int, str]], merged: bool, seed: int
) -> None:
    set_rules(earn={"limits": limits, "when": when}, tiers=tiers)
    results = []
    for batches in ("alone", "all", "random"):
        customer_id = f"cus_{batches}_{next(numbers)}"
        versions: dict[int, int] = {}
        documents = []
        for number, price, change in steps:
            versions[number] = versions.get(number, 0) + 1
            status = "canceled" if change == "canceled" else "pending"
            payment = "captured" if change == "captured" else "authorized"
            # Half of them are placed by another account of the same person.
            customer = f"{customer_id}_other" if merged and number % 2 else customer_id
            document = bought(number, price, customer=customer_id, version=versions[number], status=status)
            documents.append(document | {"payment_status": payment, "customer_id": customer})
        if merged:
            with transaction() as connection:
                merge = {
                    "id": new_id("dmrg"),
                    "customer_id": f"{customer_id}_other",
                    "survivor_id": customer_id,
                    "at": PLACED,
                }
                connection.exec_driver_sql(
                    "INSERT INTO customer_merge (id, customer_id, survivor_id, merged_at, merged_by)"
                    " VALUES (%(id)s, %(customer_id)s, %(survivor_id)s, %(at)s, 'test')",
                    merge,
                )
        chance = random.Random(seed)
        while documents:
            size = {"alone": 1, "all": len(documents), "random": chance.randint(1, 4)}[batches]
            settle(*documents[:size])
            del documents[:size]
        results.append((rows(customer_id), figures(customer_id)))
    assert results[0] == results[1] == results[2]
    assert audit() == []


def tier_of_last(together: bool, *documents: dict[str, Any]) -> Any:
    """The tier that the last order met, settled with those before it or after them."""
    for batch in [documents] if together else [[document] for document in documents]:
        settle(*batch)
    with transaction() as connection:
        query = "SELECT tier ->> 'name' FROM order_settlement WHERE order_id = %(id)s"
        return connection.exec_driver_sql(query, {"id": documents[-1]["id"]}).scalar()


@pytest.mark.parametrize("together", [False, True])
def test_an_order_that_goes_to_another_account_counts_for_a_tier_as_limits_allowed(together: bool) -> None:
    set_rules(earn={"limits": {"per_day": 500}}, tiers={"window_days": 30, "levels": [GOLD]})
    settle(bought(1, 800, customer="cus_1"))
    passed_on = bought(1, 800, customer="cus_1", version=2) | {"customer_id": "cus_2"}
    assert tier_of_last(together, passed_on, bought(24 * 60, 10, customer="cus_1")) is None


@pytest.mark.parametrize("together", [False, True])
def test_an_order_that_is_back_counts_for_a_tier_without_what_stays_with_another(together: bool) -> None:
    silver = {"name": "silver", "from": 400, "factor": "1.5"}
    set_rules(tiers={"window_days": 30, "levels": [silver, GOLD]})
    settle(bought(1, 700, customer="cus_1"))
    settle(bought(1, 700, customer="cus_1", version=2) | {"customer_id": "cus_2"})
    spend(300, "cus_2")
    back = bought(1, 700, customer="cus_1", version=3)
    assert tier_of_last(together, back, bought(2, 10, customer="cus_1")) == "silver"


@pytest.mark.parametrize("together", [False, True])
def test_points_that_were_used_before_the_cancel_are_waived(
    api: TestClient, medusa: FakeMedusa, together: bool
) -> None:
    """The order that used them comes first, although its id is the greater one."""
    set_rules(reversal={"negative_balance": "within_balance"}, redeem={"rates": {"eur": "100"}})
    settle(order("order_1", lines=[line(price=500)]))
    code = redeemed(api, {"dust": 500, "currency_code": "eur"})["code"]
    uses = order("order_2", lines=[line(price=5, discount=5, code=code)])
    documents = [uses, order("order_1", lines=[line(price=500)], version=2, status="canceled")]
    for batch in [documents] if together else [[document] for document in documents]:
        settle(*batch)
    assert figures("cus_1") == (0, 0, 0, 0)
