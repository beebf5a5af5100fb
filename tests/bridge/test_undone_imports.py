"""An import is undone a few customers at a time: the result is the same as in one step."""

from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Conflict
from bridge.ids import CustomerId
from bridge.imports import undo
from bridge.imports.batches import post_some
from bridge.imports.undo import undo_some
from bridge.ledger.merges import NotMerged, merge_customers, unmerge_customer
from bridge.operations.audit import audit
from tests.support.clock import moved
from tests.support.ledger import capture, give, hold, points, post_due, refund, spend
from tests.support.sequences import empty_database
from tests.support.settling import set_rules

pytestmark = pytest.mark.usefixtures("settings")

ADA, ZOE = CustomerId("cus_ada"), CustomerId("cus_zoe")
BATCH = "dimp_1"


def bring(dust: dict[CustomerId, int], *, days: int) -> None:
    """Import points that expire after this number of days."""
    with transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO import_batch (id, name, preset, file_name, file_sha256, description, state, actor,"
                " created_at) VALUES (:id, 'a', 'dust', 'f', 'a', 'import', 'posting', 'test', :now)"
            ),
            {"id": BATCH, "now": now()},
        )
        for number, (customer_id, amount) in enumerate(dust.items()):
            connection.execute(
                text(
                    "INSERT INTO import_row (batch_id, line, customer_id, state, amount, expires_at)"
                    " VALUES (:id, :line, :who, 'waiting', :dust, :expires_at)"
                ),
                {"id": BATCH, "line": number + 2, "who": customer_id, "dust": amount,
                 "expires_at": now() + timedelta(days=days)},
            )  # fmt: skip
    with transaction() as connection:
        post_some(connection, BATCH, now=now())


def undo_all() -> None:
    while True:
        with transaction() as connection:
            if not undo_some(connection, BATCH, actor="test", now=now()):
                return


def merge(customer_id: CustomerId, into: CustomerId) -> None:
    with transaction() as connection:
        merge_customers(connection, customer_id, into, actor="test", now=now())


def unmerge(customer_id: CustomerId) -> None:
    with transaction() as connection:
        unmerge_customer(connection, customer_id, actor="test", now=now())


@pytest.mark.parametrize("at_once", [500, 1])
@pytest.mark.parametrize(("customer_id", "into"), [(ADA, ZOE), (ZOE, ADA)])
def test_expired_points_count_once_for_accounts_that_were_merged(
    monkeypatch: pytest.MonkeyPatch, at_once: int, customer_id: CustomerId, into: CustomerId
) -> None:
    """Of 400 points that were together, 300 are spent and 100 expire: 300 are to be taken back."""
    monkeypatch.setattr(undo, "ROWS_AT_ONCE", at_once)
    set_rules(reversal={"negative_balance": "allow"})
    bring({ADA: 200, ZOE: 200}, days=30)
    merge(customer_id, into)
    spend(300, into)
    with moved(timedelta(days=40)):
        post_due()
        unmerge(customer_id)
        give(500, ADA)
        give(500, ZOE)
        undo_all()
        assert sum(points(ADA, ZOE)) == 1000 - 300
    assert audit() == []


PEOPLE = tuple(CustomerId(f"cus_{name}") for name in ("ada", "bob", "cy", "dan"))


def live(random: Random) -> int:
    """Random actions of four customers who have points from the import: merges, spends, refunds and expiry.

    In the end the import is undone, and all that was spent comes back. Returns the points that came from elsewhere.
    """
    set_rules(reversal={"negative_balance": random.choice(["allow", "within_balance"])})
    bring({customer_id: 100 * random.randint(1, 4) for customer_id in PEOPLE}, days=30)
    spent: list[tuple[CustomerId, str, int]] = []
    given = 0
    with moved(timedelta(days=1)):
        for number in range(6):
            given += take_a_step(random, spent, f"dred_{number}")
    with moved(timedelta(days=40)):
        for number in range(6, 12):
            given += take_a_step(random, spent, f"dred_{number}")
        undo_all()
        for customer_id, redemption, dust in spent:
            refund(dust, customer_id, redemption)
        post_due()
    return given


def take_a_step(random: Random, spent: list[tuple[CustomerId, str, int]], redemption: str) -> int:
    customer_id, other = random.sample(PEOPLE, 2)
    match random.choice(["merge", "merge", "unmerge", "unmerge", "spend", "give", "due"]):
        case "merge":
            with suppress(Conflict):
                merge(customer_id, other)
        case "unmerge":
            with suppress(Conflict, NotMerged):
                unmerge(customer_id)
        case "spend":
            dust = random.randint(1, 3) * 50
            with suppress(Conflict):
                hold(dust, customer_id, redemption)
                capture(dust, customer_id, redemption)
                spent.append((customer_id, redemption, dust))
        case "give":
            give(50, customer_id)
            return 50
        case "due":
            post_due()
    return 0


@pytest.mark.parametrize("seed", range(25))
def test_the_result_does_not_depend_on_the_number_of_steps(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    results = []
    for at_once in (500, 1, 2):
        monkeypatch.setattr(undo, "ROWS_AT_ONCE", at_once)
        empty_database()
        given = live(Random(seed))
        results.append(points(*PEOPLE))
        assert sum(results[-1]) <= given, "points came from nothing"
        assert audit() == []
    assert results[1:] == [results[0]] * 2
