"""Merging two accounts of one person: the survivor gets all present and later points, and the merge can be undone."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import DustError
from bridge.ids import CustomerId
from bridge.ledger.adjust import adjust_balance
from bridge.ledger.mature_and_expire import post_due_lots
from bridge.ledger.merges import MergeRefused, NotMerged, merge_customers, merges_of, unmerge_customer
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import open_accounts, save
from bridge.medusa.client import get_medusa
from bridge.operations.audit import audit
from bridge.redemptions.medusa_sync import advance
from bridge.reports.breakage import breakage
from bridge.reports.liability import liability
from bridge.settlement.tier_history import read_tiers
from tests.support import tokens
from tests.support.clock import moved
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order
from tests.support.settling import balance, booked_points, set_rules, settle
from workers.upkeep import carry_over

pytestmark = pytest.mark.usefixtures("settings")

OLD, NEW = CustomerId("cus_old"), CustomerId("cus_new")


def bought(order_id: str = "order_1", customer_id: str = OLD, dust: int = 10, **more: Any) -> dict[str, Any]:
    return order(order_id, customer_id=customer_id, lines=[line(price=dust)], **more)


def canceled(order_id: str = "order_1", customer_id: str = OLD, dust: int = 10) -> dict[str, Any]:
    return bought(order_id, customer_id, dust, version=2, status="canceled")


def paid(document: dict[str, Any]) -> dict[str, Any]:
    total = document["total"]
    summary = {"paid_total": total, "refunded_total": 0, "transaction_total": total}
    return document | {"summary": summary, "payment_collections": [], "payment_status": "captured"}


def merge(customer_id: CustomerId = OLD, into: CustomerId = NEW) -> str:
    with transaction() as connection:
        return merge_customers(connection, customer_id, into, actor="ops", now=now()).id


def unmerge(customer_id: CustomerId = OLD) -> int:
    with transaction() as connection:
        return unmerge_customer(connection, customer_id, actor="ops", now=now()).returned


def adjust(customer_id: CustomerId, amount: int) -> None:
    with transaction() as connection:
        adjust_balance(
            connection, customer_id, amount, reason="test", description="test",
            idempotency_key=f"{customer_id}{amount}", actor="ops", now=now(),
        )  # fmt: skip


def balances() -> tuple[int, int]:
    return balance(OLD).balance, balance(NEW).balance


def lots(customer_id: CustomerId) -> list[tuple[Any, ...]]:
    query = text(
        "SELECT source_id, remaining, matured, matures_at, expires_at FROM dust_lot"
        " WHERE customer_id = :who AND remaining > 0 ORDER BY source_id, remaining"
    )
    with transaction() as connection:
        return [tuple(row) for row in connection.execute(query, {"who": customer_id})]


def test_a_merge_carries_over_all_lots_with_dates_and_an_undo_returns_them() -> None:
    set_rules(earn={"expires_after_days": 900})
    settle(bought())
    set_rules(earn={"pending_days": 300, "expires_after_days": 900})
    settle(bought("order_2", dust=7), bought("order_3", NEW, 5))
    before = lots(OLD), lots(NEW)
    with transaction() as connection:
        owed, cohorts = liability(connection, now()), breakage(connection)
    merge_id = merge()
    assert (balance(OLD).balance, balance(OLD).pending) == (0, 0)
    assert (balance(NEW).balance, balance(NEW).pending) == (10, 12)
    assert lots(NEW) == sorted([*before[0], *before[1]])
    with transaction() as connection:
        later = liability(connection, now())
        assert (later.outstanding, later.pending) == (owed.outstanding, owed.pending)
        assert breakage(connection) == cohorts
        rows = connection.execute(
            text("SELECT customer_id, amount, pending FROM dust_transaction WHERE reference_id = :id ORDER BY 1"),
            {"id": merge_id},
        )
        assert [tuple(row) for row in rows] == [(NEW, 10, 7), (OLD, -10, -7)]
    assert merge() == merge_id
    assert unmerge() == 17
    assert (lots(OLD), lots(NEW)) == before
    with pytest.raises(NotMerged):
        unmerge()


def test_what_was_spent_meanwhile_does_not_come_back() -> None:
    settle(bought(dust=30), bought("order_2", NEW, 5))
    merge()
    adjust(NEW, -20)
    assert unmerge() in {10, 15}
    assert sum(balances()) == 15


def test_later_orders_and_returns_of_the_old_account_are_the_survivors() -> None:
    settle(bought(dust=30))
    merge()
    settle(bought("order_2", dust=8))
    assert balances() == (0, 38)
    settle(canceled(dust=30))
    assert balances() == (0, 8)
    assert unmerge() == 8
    assert balances() == (8, 0)
    settle(canceled("order_2", dust=8))
    assert balances() == (0, 0)


def test_a_return_takes_the_returned_orders_own_dust_from_the_survivor() -> None:
    set_rules(earn={"pending_days": 300})
    settle(bought(dust=30))
    adjust(NEW, 100)
    merge()
    settle(canceled(dust=30))
    assert (balance(NEW).balance, balance(NEW).pending) == (100, 0)


@pytest.mark.parametrize(("policy", "left"), [("allow", -25), ("within_balance", 0)])
def test_a_return_follows_the_programme_when_the_survivor_has_spent_it(policy: str, left: int) -> None:
    set_rules(reversal={"negative_balance": policy})
    settle(bought(dust=30))
    merge()
    adjust(NEW, -25)
    settle(canceled(dust=30))
    assert balances() == (0, left)


def test_a_merge_carries_over_debt_and_an_undo_returns_it() -> None:
    settle(bought(dust=30))
    adjust(OLD, -30)
    settle(canceled(dust=30), bought("order_2", NEW, 50))
    before = lots(NEW)
    assert balances() == (-30, 50)
    merge()
    assert balances() == (0, 20)
    assert unmerge() == -30
    assert (balances(), lots(NEW)) == ((-30, 50), before)


@pytest.mark.parametrize("unpaid", [10, 50])
def test_points_that_wait_for_a_payment_go_back_beside_a_debt(unpaid: int) -> None:
    set_rules(earn={"pending_until_paid": True})
    settle(paid(bought(dust=30)), paid(bought("order_2", NEW, 100)))
    adjust(OLD, -30)
    settle(canceled(dust=30), bought("order_3", dust=unpaid))
    merge()
    unmerge()
    assert balances() == (-30, 100)
    assert (balance(OLD).pending, balance(NEW).pending) == (unpaid, 0)
    settle(paid(bought("order_3", dust=unpaid)))
    assert balances() == (unpaid - 30, 100)


def test_what_was_waived_for_spent_points_goes_back_with_the_account_that_spent_them(
    api: TestClient, medusa: FakeMedusa
) -> None:
    set_rules(reversal={"negative_balance": "within_balance"})
    settle(bought(dust=500))
    lines = [line("line_2", price=5, discount=5, code=redeem(api, OLD, 500)["code"])]
    settle(order("order_2", customer_id=OLD, lines=lines))
    settle(canceled(dust=500))
    merge()
    unmerge()
    settle(order("order_2", customer_id=OLD, lines=lines, version=2, status="canceled"))
    assert balances() == (0, 0)


def spend_and_unmerge(api: TestClient) -> dict[str, Any]:
    """The new account spends the points of the old one's order, and the merge is undone. Returns the spending order."""
    set_rules(reversal={"negative_balance": "within_balance"})
    settle(bought(dust=500))
    merge()
    lines = [line("line_2", price=5, discount=5, code=redeem(api, NEW, 500)["code"])]
    spending = order("order_2", customer_id=NEW, lines=lines)
    settle(spending)
    assert unmerge() == 0
    return spending


@pytest.mark.parametrize("spending_first", [True, False])
def test_points_that_the_other_account_spent_do_not_outlive_their_order(
    api: TestClient, medusa: FakeMedusa, spending_first: bool
) -> None:
    spending = spend_and_unmerge(api)
    both = [{**spending, "version": 2, "status": "canceled"}, canceled(dust=500)]
    for action in both if spending_first else reversed(both):
        settle(action)
    assert balances() == (0, 0)


def test_points_are_taken_where_the_order_has_them_and_not_from_another_order(
    api: TestClient, medusa: FakeMedusa
) -> None:
    spending = spend_and_unmerge(api)
    settle(bought("order_3", dust=20))
    settle({**spending, "version": 2, "status": "canceled"})
    settle(canceled(dust=500))
    assert balances() == (20, 0)


def test_a_return_that_is_undone_leaves_the_other_account_what_it_spent(api: TestClient, medusa: FakeMedusa) -> None:
    spending = spend_and_unmerge(api)
    settle(order(customer_id=OLD, lines=[line(price=500, returned=1)], version=2))
    assert balances() == (0, 0)
    settle(order(customer_id=OLD, lines=[line(price=500)], version=3))
    assert balances() == (0, 0)
    settle({**spending, "version": 2, "status": "canceled"})
    assert balances() == (0, 500)


@pytest.mark.parametrize("policy", ["allow", "within_balance"])
@pytest.mark.parametrize("swept", [True, False], ids=["swept", "not swept"])
@pytest.mark.parametrize("times", [1, 2], ids=["once", "merged twice"])
def test_points_that_expired_with_the_other_account_are_not_taken_again(policy: str, swept: bool, times: int) -> None:
    set_rules(earn={"rates": {"eur": "1"}, "expires_after_days": 30}, reversal={"negative_balance": policy})
    settle(bought(), bought("order_new", NEW, 20))
    merge()
    with moved(timedelta(days=40)):
        if swept:
            with transaction() as connection:
                post_due_lots(connection, now=now(), customers=10)
        for _ in range(times - 1):
            unmerge()
            merge()
        assert unmerge() == 0
        settle(canceled())
        assert (balance(OLD).balance, balance(NEW).balance) == (0, 0)
        # Nothing is waived that a later order would have to pay.
        settle(bought("order_2", placed=now()))
        assert balance(OLD).balance == 10
        settle(canceled("order_new", NEW, 20))
        assert balance(NEW).balance == 0
    assert audit() == []


def test_expired_points_of_an_order_count_once_for_accounts_that_were_merged() -> None:
    """The order goes to the other account, which had 6 of its points when both were one."""
    set_rules(earn={"rates": {"eur": "1"}, "expires_after_days": 30})
    settle(bought())
    merge()
    with moved(timedelta(days=40)):
        unmerge()
        settle(bought(customer_id=NEW) | {"version": 2})
        settle(canceled(customer_id=NEW) | {"version": 3})
        assert (balance(OLD).balance, balance(NEW).balance) == (0, 0)
    assert audit() == []


def test_what_a_redemption_of_the_old_account_gives_back_goes_to_the_survivor(
    api: TestClient, medusa: FakeMedusa
) -> None:
    settle(bought(dust=500))
    redemption = redeem(api, OLD, 300)
    with pytest.raises(MergeRefused, match="open redemptions"):
        merge()
    code = redemption["code"]
    used = order(
        "order_2", customer_id=OLD, placed=now() - timedelta(minutes=2),
        lines=[line(price=3, discount=3, code=code)],
    )  # fmt: skip
    medusa.use_code(code)
    settle(used)
    merge()
    assert balances() == (0, 200)
    settle({**used, "version": 2, "status": "canceled"})
    assert balances() == (0, 500)
    assert redeem(api, NEW, 500)["state"] == "active"
    # On hold: it stays where it is held.
    assert unmerge() == 0
    assert balances() == (0, 500)


def redeem(api: TestClient, customer_id: CustomerId, dust: int) -> dict[str, Any]:
    headers = {**tokens.customer(customer_id), "Idempotency-Key": f"{customer_id}{dust}"}
    requested = {"dust": dust, "currency_code": "eur"}
    requested_redemption = api.post("/store/dust/redemptions", json=requested, headers=headers).json()["redemption"]
    advance(requested_redemption["id"], get_medusa())
    response = api.get(f"/store/dust/redemptions/{requested_redemption['id']}", headers=tokens.customer(customer_id))
    return dict(response.json()["redemption"])


def test_orders_of_both_make_one_tier_and_apart_again_after_an_unmerge() -> None:
    set_rules(tiers={"window_days": 30, "levels": [{"name": "silver", "from": 100, "factor": "2"}]})
    placed = now() - timedelta(days=1)
    settle(bought("order_1", OLD, 60, placed=placed), bought("order_2", NEW, 60, placed=placed))
    assert tiers() == (None, None)
    merge()
    assert tiers() == ("silver", "silver")
    settle(bought("order_3", NEW, 10, placed=now()), bought("order_4", OLD, 10, placed=now()))
    assert balances() == (0, 60 + 60 + 20 + 20)
    unmerge()
    assert tiers() == (None, None)
    settle(bought("order_5", NEW, 10, placed=now()))
    assert sum(balances()) == 160 + 10


def test_orders_of_both_reach_the_tier_within_one_batch() -> None:
    set_rules(tiers={"window_days": 30, "levels": [{"name": "silver", "from": 100, "factor": "2"}]})
    merge()
    first, second = now() - timedelta(hours=2), now() - timedelta(hours=1)
    settle(bought("order_1", OLD, 100, placed=first), bought("order_2", NEW, 10, placed=second))
    assert balances() == (0, 120)


def tiers() -> tuple[str | None, ...]:
    with transaction() as connection:
        tier_of = read_tiers(connection, [OLD, NEW], now=now())
    return tuple(tier_of[customer_id].level.name if tier_of[customer_id].level else None for customer_id in (OLD, NEW))


def test_limits_count_both_accounts_from_the_merge_on_without_taking_points_back() -> None:
    set_rules(earn={"limits": {"per_customer": {"dust": 100, "days": 7}}})
    before = now() - timedelta(days=1)
    settle(bought("order_1", OLD, 80, placed=before), bought("order_2", NEW, 80, placed=before))
    merge()
    assert balances() == (0, 160)
    settle(bought("order_3", NEW, 50, placed=now()))
    assert balances() == (0, 160), "the limit is reached by both together"
    # A return of an order from before moves no other of then; what came after gets what is left.
    settle(bought("order_1", OLD, 10, version=2, placed=before))
    assert booked_points() == {"order_1": 10, "order_2": 80, "order_3": 10}
    settle(bought("order_4", OLD, 50, placed=now()))
    assert booked_points()["order_4"] == 0
    unmerge()
    settle(bought("order_4", OLD, 50, version=2, placed=now()))
    assert booked_points() == {"order_1": 10, "order_2": 80, "order_3": 10, "order_4": 50}
    settle(bought("order_3", NEW, 50, version=2, placed=now()))
    assert booked_points()["order_3"] == 20


def test_limits_count_each_account_by_itself_once_a_merge_is_undone(api: TestClient) -> None:
    set_rules(earn={"limits": {"per_customer": {"dust": 100, "days": 7}}})
    merge()
    settle(bought("order_1", NEW, 80, placed=now()), bought("order_2", OLD, 80, placed=now()))
    assert booked_points() == {"order_1": 80, "order_2": 20}
    answer = api.post(f"/admin/dust/customers/{OLD}/unmerge", headers=tokens.admin())
    assert answer.status_code == 200, answer.text
    assert booked_points() == {"order_1": 80, "order_2": 80}
    assert balances() == (80, 80)


def test_merges_are_one_deep() -> None:
    merge()
    third = CustomerId("cus_third")
    for customer_id, into, words in (
        (OLD, third, "already"),
        (third, OLD, "merge into that one"),
        (NEW, third, "undo that first"),
        (NEW, OLD, "merge into that one"),
    ):
        with pytest.raises(MergeRefused, match=words):
            merge(customer_id, into)
    merge(third, NEW)
    with transaction() as connection:
        assert [merge.customer_id for merge in merges_of(connection, NEW)] == [OLD, third]
    with pytest.raises(DustError, match="another customer"):
        merge(NEW, NEW)


def test_points_that_arrived_during_a_merge_are_carried_over_by_the_sweep() -> None:
    settle(bought(dust=5))
    with transaction() as writer:
        # The account was opened before the merge, which then waits for its lock.
        accounts = open_accounts(writer, [OLD])
        with ThreadPoolExecutor(1) as pool:
            merging = pool.submit(merge)
            bonus = PostingDetails(
                kind=Kind.BONUS, reference_type="bonus", reference_id="x", description="", event_at=now()
            )
            accounts[OLD].earn(10, bonus, now=now())
            save(writer, accounts.values())
            writer.commit()
            merging.result()
    assert balances() == (0, 15)
    with transaction() as connection:
        # As if it had read before the merge and locked after it.
        account = open_accounts(connection, [OLD])[OLD]
        account.survivor = None
        account.earn(7, PostingDetails(kind=Kind.BONUS, reference_type="bonus", reference_id="y", description="",
                             event_at=now()), now=now())  # fmt: skip
        save(connection, [account])
    assert balances() == (7, 15)
    assert (carry_over(), carry_over()) == (1, 0)
    assert balances() == (0, 22)


def test_merges_orders_and_returns_at_once_lose_nothing() -> None:
    settle(*(bought(f"order_{n}", OLD if n % 2 else NEW) for n in range(10)))
    start = Barrier(5)

    def back_and_forth(customer_id: CustomerId, into: CustomerId) -> None:
        start.wait()
        for _ in range(4):
            with suppress(MergeRefused, NotMerged):
                merge(customer_id, into)
                unmerge(customer_id)

    def sell(first: int) -> None:
        start.wait()
        for n in range(first, first + 8):
            settle(bought(f"order_{n}", OLD if n % 2 else NEW))
            settle(canceled(f"order_{n - 10}", OLD if n % 2 else NEW))

    with ThreadPoolExecutor(5) as pool:
        jobs = [pool.submit(back_and_forth, *both) for both in ((OLD, NEW), (NEW, OLD))]
        jobs += [pool.submit(sell, first) for first in (10, 10, 18)]
        [job.result() for job in jobs]
    carry_over()
    # 26 orders were placed, and the first 16 of them canceled again.
    assert sum(balances()) == 100


def test_operators_merge_see_why_and_undo(api: TestClient, medusa: FakeMedusa) -> None:
    settle(bought(dust=30))

    def ask(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        response = api.request(method, f"/admin/dust/customers/{path}", json=body, headers=tokens.admin())
        assert response.status_code == status, response.text
        return response.json()

    merged = ask("POST", f"{OLD}/merge", {"into": NEW})
    assert ask("POST", f"{OLD}/merge", {"into": NEW}) == merged
    assert ask("POST", f"{OLD}/merge", {"into": "cus_3"}, 409)["code"] == "merge_refused"
    assert ask("POST", f"{OLD}/merge", {"into": OLD}, 422)["errors"][0]["field"] == "into"
    reported = ask("GET", f"{NEW}/explain")
    assert "30 points, with their old dates: Carried over from another account, as two accounts of one" in str(
        reported["steps"]
    )
    assert "another account is merged into this one: all its points are here." in reported["summary"][-1]
    assert "merged into another one: all its points are there." in ask("GET", f"{OLD}/explain")["summary"][-1]
    assert ask("GET", f"{NEW}/export")["merges"][0]["id"] == merged["id"]
    undone = ask("POST", f"{OLD}/unmerge")
    assert (undone["brought"], undone["returned"], undone["merge"]["unmerged_by"]) == (30, 30, "service")
    assert ask("POST", f"{OLD}/unmerge", status=409)["code"] == "not_merged"
    assert len(ask("GET", f"{OLD}/merges")["merges"]) == 1
    assert "this account was one with another" in ask("GET", f"{NEW}/explain")["summary"][-1]
