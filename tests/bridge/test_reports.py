"""Explanations and reports, read from the ledger."""

import csv
import io
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.ledger.account import Account, NegativeBalance
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import open_accounts, save
from bridge.medusa.orders import read_order
from bridge.reports import closes
from bridge.reports.breakage import breakage
from bridge.reports.closes import close_days, differences, list_closes
from bridge.reports.expiring import expiring_by_month
from bridge.reports.liability import Liability, liability
from bridge.reports.movements import Period, movements
from bridge.settlement.settle import settle_orders
from tests.support import tokens
from tests.support.clock import moved
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order
from workers import upkeep


def settle(document: dict[str, Any]) -> None:
    with transaction() as connection:
        settle_orders(connection, [read_order(document)], now=now())


def report(at: Any) -> Liability:
    with transaction() as connection:
        return liability(connection, at)


@pytest.mark.usefixtures("settings")
def test_liability_at_any_past_moment_is_what_was_recorded_then() -> None:
    dice = random.Random(7)
    recorded = []
    for step in range(40):
        with moved(timedelta(hours=step)):
            customer, number = f"cus_{dice.randrange(6)}", dice.randrange(12)
            lines = [line(quantity=9, returned=dice.randrange(9))]
            settle(order(f"order_{customer}_{number}", customer_id=customer, version=step + 1, lines=lines))
            recorded.append(report(now()))
    assert all(row.adds_up for row in recorded)
    for then in dice.sample(recorded, 20):
        assert report(then.at) == then
    assert recorded[-1].outstanding > 0


def test_the_liability_is_served_in_dust_and_money(api: TestClient) -> None:
    settle(order(lines=[line(price=250)]))
    answer = api.get("/admin/dust/reports/liability", headers=tokens.admin()).json()
    assert (answer["outstanding"], answer["value"], answer["adds_up"]) == (250, {"eur": "2.50"}, True)
    before = api.get("/admin/dust/reports/liability?at=2020-01-01T00:00:00Z", headers=tokens.admin()).json()
    assert (before["outstanding"], before["customers"]) == (0, 0)


def test_every_row_is_explained_in_a_sentence_with_rule_and_lot(api: TestClient, medusa: FakeMedusa) -> None:
    rules = {"earn": {"rates": {"eur": "2"}, "expires_after_days": 30}}
    api.put("/admin/dust/programme", json=rules, headers=tokens.admin())
    settle(order(placed=now()))
    settle(order(placed=now() - timedelta(hours=1), version=2, status="canceled"))
    answer = api.get("/admin/dust/customers/cus_1/explain", headers=tokens.admin()).json()
    earned, reversed_ = answer["steps"]
    assert "20 points earned with order #93 (rules version 1: 2 for each eur)" in earned["sentence"]
    assert earned["lots"][0]["dust"] == 20
    assert earned["lots"][0]["expires_at"] is not None
    assert "20 points taken back for order #93: Order canceled" in reversed_["sentence"]
    assert answer["summary"] == ["Your balance is 0 points, of which you may spend 0."]


@contextmanager
def account_of(customer_id: str) -> Iterator[Account]:
    with transaction() as connection:
        account = open_accounts(connection, [CustomerId(customer_id)])[CustomerId(customer_id)]
        yield account
        save(connection, [account])


def details(kind: Kind, reference_id: str = "order_1") -> PostingDetails:
    # Not an order, because the audit compares orders.
    return PostingDetails(
        kind=kind, reference_type="test", reference_id=reference_id, description="test", event_at=now()
    )


def start_of_today() -> datetime:
    today = datetime.now(UTC)
    return today.replace(hour=0, minute=0, second=0, microsecond=0)


def noon_in(days: int) -> timedelta:
    """The time until noon that many days from now."""
    return start_of_today() + timedelta(days=days, hours=12) - datetime.now(UTC)


def some_months(dice: random.Random, *, days: int = 75) -> None:
    """Customers who earn, spend, return and let dust expire, one thing a day."""
    for day in range(days):
        with moved(noon_in(day)), account_of(f"cus_{dice.randrange(3)}") as account:
            account.expire_due(now=now())
            movement, amount = dice.choice(("earn", "earn", "spend", "reverse", "correct")), dice.randint(1, 50)
            if movement == "earn":
                life = timedelta(days=dice.randint(1, 40)) if dice.random() < 0.8 else None
                account.earn(
                    amount, details(Kind.EARN, f"order_{day}"), now=now(), expires_at=now() + life if life else None
                )
            elif movement == "reverse":
                account.reverse(amount, details(Kind.REVERSE), now=now(), policy=NegativeBalance.ALLOW)
            elif movement == "correct":
                account.adjust(amount, details(Kind.ADJUST), now=now())
            elif account.available > 0:
                account.overdraw(min(amount, account.available), details(Kind.REDEEM), now=now())


@pytest.mark.usefixtures("settings")
def test_periods_join_up_and_end_at_the_liability() -> None:
    some_months(random.Random(3))
    start = start_of_today().date()
    until = start + timedelta(days=90)
    with transaction() as connection:
        by_day = movements(connection, start=start, until=until, period=Period.DAY)
        by_month = movements(connection, start=start, until=until, period=Period.MONTH)
        owed = liability(connection, now() + timedelta(days=365))
    assert len(by_day) == 90
    assert by_day[0].opening == 0
    assert all(day.closing == after.opening for day, after in pairwise(by_day))
    for kind in owed.movements:
        for periods in (by_day, by_month):
            assert sum(period.moved.get(kind, 0) for period in periods) == owed.movements[kind], kind
    assert by_month[-1].closing == by_day[-1].closing == owed.outstanding - owed.owed_by_customers
    assert {"earn", "redeem", "reverse", "expire", "adjust"} == set(owed.movements)


@pytest.mark.usefixtures("settings")
def test_all_dust_is_in_some_month_and_in_some_column() -> None:
    some_months(random.Random(4))
    with transaction() as connection:
        owed = liability(connection, now() + timedelta(days=365))
        months, cohorts = expiring_by_month(connection), breakage(connection)
        debts = connection.scalar(text("SELECT sum(debt) FROM dust_balance"))
    assert debts > 0, "the story has nobody below zero"
    assert sum(month.dust for month in months) == owed.outstanding - owed.owed_by_customers + debts
    assert months[-1].month is None
    assert sum(cohort.expired for cohort in cohorts) == -owed.movements["expire"]
    assert sum(cohort.issued for cohort in cohorts) == owed.movements["earn"] + owed.movements["adjust"]
    assert all(cohort.other >= 0 for cohort in cohorts)
    # Points that no lot had made the balance negative, and later points paid for them.
    taken = sum(cohort.taken_back + cohort.spent + cohort.other for cohort in cohorts)
    assert taken + debts == -owed.movements["reverse"] - owed.movements["redeem"]


@pytest.mark.usefixtures("settings")
def test_breakage_is_the_share_that_expired() -> None:
    with account_of("cus_1") as account:
        account.earn(100, details(Kind.EARN), now=now(), expires_at=now() + timedelta(days=1))
        account.earn(60, details(Kind.EARN, "order_2"), now=now())
        account.reverse(20, details(Kind.REVERSE), now=now(), policy=NegativeBalance.ALLOW)
        account.overdraw(30, details(Kind.REDEEM), now=now())
    with moved(timedelta(days=2)), account_of("cus_1") as account:
        account.expire_due(now=now())
    with transaction() as connection:
        (month,) = breakage(connection)
    assert (month.issued, month.taken_back, month.spent, month.expired, month.remaining) == (160, 20, 30, 50, 60)
    assert str(month.breakage) == "0.3571", "50 of 140"


@pytest.mark.usefixtures("settings")
def test_each_day_is_closed_once_and_gaps_are_filled() -> None:
    def close(days: int) -> list[date]:
        with moved(noon_in(days)), transaction() as connection:
            return close_days(connection, now=now())

    with account_of("cus_1") as account:
        account.earn(100, details(Kind.EARN), now=now())
    today = start_of_today().date()
    assert close(1) == [today]
    assert close(1) == []
    with moved(noon_in(3)), account_of("cus_1") as account:
        account.reverse(40, details(Kind.REVERSE), now=now(), policy=NegativeBalance.ALLOW)
    assert close(5) == [today + timedelta(days=day) for day in (1, 2, 3, 4)]
    with transaction() as connection:
        closes = list_closes(connection, limit=10)
        assert [close.liability.outstanding for close in closes] == [60, 60, 100, 100, 100]
        assert all(list(differences(connection, close)) == [] for close in closes)
    assert len({close.digest for close in closes}) == 5, "each is chained to the one before"


@pytest.mark.usefixtures("settings")
def test_days_that_are_closed_stay_closed_when_the_task_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(upkeep.close_days.run()) == 1
    digest = closes._digest
    digests: list[date] = []

    def killed_at_the_third(connection: Any, day: date) -> bytes:
        digests.append(day)
        if len(digests) == 3:
            raise KeyboardInterrupt
        return digest(connection, day)

    with moved(timedelta(days=5)):
        with monkeypatch.context() as killing:
            killing.setattr(closes, "_digest", killed_at_the_third)
            with pytest.raises(KeyboardInterrupt):
                upkeep.close_days.run()
        assert len(upkeep.close_days.run()) == 3


def test_who_rewrites_the_past_is_found_out_by_the_close(settings: dict[str, str]) -> None:
    with account_of("cus_1") as account:
        account.earn(100, details(Kind.EARN), now=now())
    with moved(noon_in(1)), transaction() as connection:
        close_days(connection, now=now())
    change = "UPDATE dust_transaction SET amount = amount {0}, balance_after = balance_after {0}, hash = {1}"
    with psycopg.connect(settings["DUST_DATABASE_URL"]) as owner:
        before = owner.execute("SELECT hash FROM dust_transaction").fetchone()
        owner.execute("ALTER TABLE dust_transaction DISABLE TRIGGER append_only")
        owner.execute(change.format("+ 1", "sha256('forged')"))
    with transaction() as connection:
        (close,) = list_closes(connection, limit=1)
        assert [difference.partition(" was ")[0] for difference in differences(connection, close)] == [
            "outstanding",
            "movements",
            "value",
            "the digest",
        ]
    with psycopg.connect(settings["DUST_DATABASE_URL"]) as owner:
        assert before is not None
        owner.execute(change.format("- 1", "%s"), before)
        owner.execute("ALTER TABLE dust_transaction ENABLE TRIGGER append_only")
    with pytest.raises(psycopg.errors.RestrictViolation), psycopg.connect(settings["DUST_DATABASE_URL"]) as owner:
        owner.execute("UPDATE daily_close SET outstanding = 0")


def test_the_csv_of_closes_has_all_of_them(api: TestClient) -> None:
    with account_of("cus_1") as account:
        account.earn(100, details(Kind.EARN), now=now())
    closed: list[date] = []
    for days in (1, 130):
        with moved(noon_in(days)), transaction() as connection:
            closed += close_days(connection, now=now())
    for query in ("", "&limit=100"):
        sheet = api.get(f"/admin/dust/reports/closes?format=csv{query}", headers=tokens.admin()).text
        days = [row["day"] for row in csv.DictReader(io.StringIO(sheet))]
        assert days == [day.isoformat() for day in reversed(closed)]
    assert len(closed) == 130


def test_reports_are_served_as_json_and_as_csv(api: TestClient) -> None:
    settle(order(lines=[line(price=250)]))
    today = now().date().isoformat()

    def report(name: str) -> Any:
        return api.get(f"/admin/dust/reports/{name}", headers=tokens.admin())

    (period,) = report(f"movements?since={today}").json()["periods"]
    assert period == {"start": today, "opening": 0, "moved": {"earn": 250}, "closing": 250}
    assert report("expiring").json()["months"] == [
        {"month": None, "dust": 250, "held": 0, "pending": 0, "customers": 1}
    ]
    assert report("breakage").json()["months"][0]["issued"] == 250
    assert report("closes").json() == {"closes": [], "next_cursor": None}
    sheet = report(f"movements?since={today}&format=csv")
    assert sheet.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(sheet.text))
    assert (row["opening"], row["earn"], row["closing"]) == ("0", "250", "250")
    (row,) = csv.DictReader(io.StringIO(report("liability?format=csv").text))
    assert (row["outstanding"], row["value_eur"]) == ("250", "2.50")


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ("movements?since=2026-02-01&until=2026-02-01", "until"),
        ("movements?since=2020-01-01", "since"),
        ("movements?since=0001-01-01&until=0001-01-02&by=week", "by"),
        ("movements?since=9999-12-30&until=9999-12-31&by=month", "until"),
        ("liability?format=xls", "format"),
        ("closes?cursor=Y2xvc2VzOm5vLWRheQ", "cursor"),
    ],
)
def test_invalid_parameters_of_reports_are_named(api: TestClient, question: str, field: str) -> None:
    response = api.get(f"/admin/dust/reports/{question}", headers=tokens.admin())
    assert response.status_code == 422
    assert field in response.text
