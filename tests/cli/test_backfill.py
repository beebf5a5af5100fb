"""`dust backfill`: points for past orders, once, even if it is interrupted."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import typer.testing
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.backfill import BackfillOptions, run_backfill, start_run
from bridge.inbox.events import read_event
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import process_event
from bridge.inbox.receive import receive
from bridge.medusa import pages as medusa_pages
from bridge.medusa.client import get_medusa
from bridge.settings import get_settings
from tests.support.clock import START as TODAY
from tests.support.commands import Dust
from tests.support.databases import count
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order, order_event
from tests.support.receiver import OUTGOING_WEBHOOK_SECRET
from tests.support.settling import set_rules
from workers.upkeep import mature_and_expire

# The shop opened at midnight a year ago.
START = TODAY.replace(hour=0) - timedelta(days=365)
SINCE, NEXT_DAY = f"{START:%Y-%m-%d}", f"{START + timedelta(days=1):%Y-%m-%d}"
EVERYTHING = BackfillOptions(since=START, until=None, programme_version=None, with_signup=False)


@pytest.fixture(autouse=True)
def _no_tasks_enqueued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.cli.backfill.publish", lambda *_, **__: False)


def place(medusa: FakeMedusa, count: int, **parts: Any) -> None:
    """Orders of 10 eur, an hour apart, of three customers."""
    for number in range(count):
        order_id = f"order_{number:04}"
        customer = f"cus_{number % 3}"
        placed = START + timedelta(hours=number)
        medusa.orders[order_id] = order(order_id, customer_id=customer, placed=placed, **parts)


def balance(dust: Dust, customer: str) -> int:
    return int(dust("balance", customer, "--json").json["balance"])


def test_a_preview_says_what_it_would_give_and_writes_nothing(dust: Dust, medusa: FakeMedusa) -> None:
    set_rules(earn={"rates": {"eur": "1", "usd": "2"}, "expires_after_days": 100}, bonuses={"signup": 7})
    place(medusa, 6)
    medusa.orders["order_usd"] = order(
        "order_usd", placed=now() - timedelta(hours=1), currency_code="usd", lines=[line(price=50)]
    )
    medusa.orders["order_sek"] = order("order_sek", placed=START, currency_code="sek")
    medusa.orders["order_guest"] = order("order_guest", placed=START, guest=True)
    medusa.orders["order_gone"] = order("order_gone", placed=START, status="canceled")
    medusa.orders["order_bad"] = {**order("order_bad", placed=START), "total": None}
    medusa.add_customer("cus_new", "a@x.org")
    medusa.add_customer("cus_guest", "b@x.org", has_account=False)
    preview = dust("backfill", "--since", SINCE, "--with-signup", "--dry-run", "--json").json
    assert (preview["seen"], preview["orders"], preview["dust"], preview["customers"]) == (10, 10, 160, 3)
    assert [(amount["currency_code"], amount["earning"], amount["dust"]) for amount in preview["by_currency"]] == [
        ("eur", 6, 60), ("sek", 0, 0), ("usd", 1, 100),
    ]  # fmt: skip
    assert preview["notes"] == {
        "The order is canceled.": 1,
        "A guest's order: nobody claimed its points in time.": 1,
        "The programme has no earning rate for sek.": 1,
    }
    assert (preview["expired"], preview["unreadable"]) == (60, ["order_bad"])
    assert (preview["customers_for_signup"], preview["signup"]) == (1, 7)
    reported = " ".join(dust("backfill", "--since", SINCE, "--dry-run").out.split())
    assert "10 would be settled: 160 points for 3 customers." in reported
    assert count("SELECT count(*) FROM webhook_event") == count("SELECT count(*) FROM order_settlement") == 0
    assert count("SELECT count(*) FROM backfill_run") == 0


def test_each_order_earns_once_even_if_its_webhooks_arrive_too(dust: Dust, medusa: FakeMedusa) -> None:
    place(medusa, 9)
    early, late = medusa.orders["order_0000"], medusa.orders["order_0004"]
    with transaction() as connection:
        receive(connection, "msg_1", read_event(order_event(early)), order_event(early), now=now())
        receive(connection, "msg_2", read_event(order_event(late)), order_event(late), now=now())
    report = dust("backfill", "--since", SINCE, "--until", f"{SINCE}T07:30", "--yes", "--json").json
    assert (report["state"], report["orders"], report["kept"], report["waiting"]) == ("done", 8, 8, 0)
    assert [balance(dust, f"cus_{number}") for number in range(3)] == [30, 30, 20]
    again = dust("backfill", "--since", SINCE, "--yes", "--json").json
    assert (again["orders"], again["kept"]) == (9, 1)
    assert [balance(dust, f"cus_{number}") for number in range(3)] == [30, 30, 30]
    known = dust("backfill", "--since", SINCE, "--dry-run", "--json").json
    assert (known["seen"], known["known"], known["orders"], known["dust"]) == (9, 9, 0, 0)


def test_without_yes_it_shows_first_and_asks(dust: Dust, medusa: FakeMedusa) -> None:
    from bridge.cli import app

    place(medusa, 3)
    runner = typer.testing.CliRunner()
    result = runner.invoke(app, ["backfill", "--since", SINCE], input="n\n")
    assert result.exit_code == 1
    assert "30 points for 3 customers" in " ".join(result.output.split())
    assert count("SELECT count(*) FROM webhook_event") == 0
    assert runner.invoke(app, ["backfill", "--since", SINCE], input="y\n").exit_code == 0
    assert balance(dust, "cus_0") == 10
    asked = dust("backfill", "--json")
    assert (asked.code, "--json cannot ask" in asked.err) == (1, True)


def test_an_interrupted_run_continues_where_it_was(
    dust: Dust, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(medusa_pages, "PAGE_SIZE", 10)
    place(medusa, 35)
    run = start_run(EVERYTHING, actor="test", now=now())
    pages = run_backfill(get_medusa(), run.id)
    # The last of ten is left for the next page: others may have been placed in its millisecond.
    assert [next(pages).orders for _ in range(2)] == [9, 18]
    pages.close()
    other = dust("backfill", "--since", NEXT_DAY, "--yes")
    assert (other.code, "was not finished" in other.err) == (1, True)
    medusa.calls.clear()
    result = dust("backfill", "--since", SINCE)
    assert "after 18 orders." in " ".join(result.out.split())
    assert "35 orders seen, 35 of them settled now" in " ".join(result.out.split())
    # It does not start again: two pages from the last order that was read.
    assert len(medusa.calls) == 2
    assert sum(balance(dust, f"cus_{number}") for number in range(3)) == 350
    start_run(EVERYTHING, actor="test", now=now())
    assert dust("backfill", "--since", NEXT_DAY, "--yes", "--restart").code == 0
    assert count("SELECT count(*) FROM backfill_run WHERE state = 'abandoned'") == 1


def test_a_run_goes_on_after_medusa_was_away(dust: Dust, medusa: FakeMedusa) -> None:
    place(medusa, 3)
    medusa.away = True
    assert dust("backfill", "--since", SINCE, "--yes").code == 1
    medusa.away = False
    assert dust("backfill", "--since", SINCE).code == 0
    assert balance(dust, "cus_0") == 10


def test_dates_count_from_the_order_and_rules_can_be_chosen(dust: Dust, medusa: FakeMedusa) -> None:
    set_rules(earn={"rates": {"eur": "5"}, "pending_days": 14, "expires_after_days": 3650})
    set_rules(earn={"rates": {"eur": "1"}})
    place(medusa, 1)
    medusa.orders["order_new"] = order("order_new", customer_id="cus_0", placed=now() - timedelta(days=1))
    assert dust("backfill", "--programme", 1, "--yes").code == 0
    shown = dust("balance", "cus_0", "--json").json
    assert (shown["balance"], shown["pending"]) == (50, 50)
    assert shown["expiring"][0]["expires_at"][:10] == (START + timedelta(days=3650)).strftime("%Y-%m-%d")
    # A settled order keeps its version of the rules; a new order gets the version in force.
    medusa.orders["order_0000"] = order(
        "order_0000", customer_id="cus_0", placed=START, version=2, lines=[line(price=20)]
    )
    medusa.orders["order_next"] = order("order_next", customer_id="cus_1", placed=now())
    dust("reconcile", "--since", SINCE)
    process_batch()
    assert balance(dust, "cus_0") == 100
    assert balance(dust, "cus_1") == 10
    assert dust("backfill", "--programme", 9, "--dry-run").err.startswith("dust: There is no version 9")


def test_sign_ups_get_their_bonus_only_when_asked(dust: Dust, medusa: FakeMedusa) -> None:
    set_rules(bonuses={"signup": 7})
    medusa.add_customer("cus_0", "a@x.org")
    medusa.add_customer("cus_guest", "b@x.org", has_account=False)
    place(medusa, 1)
    dust("backfill", "--since", SINCE, "--yes")
    assert balance(dust, "cus_0") == 10
    for _ in range(2):
        dust("backfill", "--since", SINCE, "--with-signup", "--yes")
        assert balance(dust, "cus_0") == 17
    assert balance(dust, "cus_guest") == 0


def test_a_mailbox_with_several_accounts_gets_one_sign_up_bonus(dust: Dust, medusa: FakeMedusa) -> None:
    set_rules(bonuses={"signup": 7})
    medusa.add_customer("cus_0", "a@x.org")
    medusa.add_customer("cus_1", "A@x.org")
    options = ("backfill", "--since", SINCE, "--with-signup")
    assert dust(*options, "--dry-run", "--json").json["customers_for_signup"] == 1
    dust(*options, "--yes")
    del medusa.customers["cus_0"]
    medusa.add_customer("cus_2", "a@X.org")
    assert dust(*options, "--dry-run", "--json").json["customers_for_signup"] == 0
    dust(*options, "--yes")
    assert [balance(dust, f"cus_{number}") for number in range(3)] == [7, 0, 0]


def test_sign_ups_wait_while_medusa_cannot_say_what_they_are(
    dust: Dust, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rules(bonuses={"signup": 7})
    medusa.add_customer("cus_0", "a@x.org")
    answer_one = medusa._one
    monkeypatch.setattr(medusa, "_one", lambda *_: (503, {"message": "away"}))
    assert dust("backfill", "--since", SINCE, "--with-signup", "--yes", "--json").json["waiting"] == 1
    assert balance(dust, "cus_0") == 0
    monkeypatch.setattr(medusa, "_one", answer_one)
    process_event("rec_cus_0_signup")
    assert balance(dust, "cus_0") == 7


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Counter[str]]:
    """The number of stored outgoing webhooks by type."""
    monkeypatch.setenv("DUST_OUTGOING_WEBHOOK_URL", "http://127.0.0.1:1/hooks")
    monkeypatch.setenv("DUST_OUTGOING_WEBHOOK_SECRET", OUTGOING_WEBHOOK_SECRET)
    get_settings.cache_clear()

    def read() -> Counter[str]:
        with transaction() as connection:
            return Counter(connection.scalars(text("SELECT type FROM outgoing_webhook")).all())

    return read


def test_no_webhook_is_sent_for_an_old_order_unless_requested(
    dust: Dust, medusa: FakeMedusa, reported: Callable[[], Counter[str]]
) -> None:
    set_rules(earn={"expires_after_days": 60}, bonuses={"signup": 7})
    place(medusa, 2)
    medusa.add_customer("cus_0", "a@x.org")
    medusa.orders["order_good"] = order("order_good", customer_id="cus_2", placed=now() - timedelta(days=1))
    assert dust("backfill", "--since", SINCE, "--with-signup", "--yes").code == 0
    assert balance(dust, "cus_0") == 17
    mature_and_expire()
    # Points that had expired when they were booked send no webhook either.
    assert (balance(dust, "cus_0"), balance(dust, "cus_1"), balance(dust, "cus_2"), reported()) == (0, 0, 10, Counter())
    medusa.orders["order_next"] = order("order_next", customer_id="cus_2", placed=now() - timedelta(days=2))
    assert dust("backfill", "--since", SINCE, "--send-webhooks", "--yes").code == 0
    assert reported() == {"dust.earned": 1}


def test_an_order_of_a_backfill_with_a_webhook_is_notified(
    dust: Dust, medusa: FakeMedusa, reported: Callable[[], Counter[str]]
) -> None:
    place(medusa, 2)
    early = medusa.orders["order_0000"]
    with transaction() as connection:
        receive(connection, "msg_1", read_event(order_event(early)), order_event(early), now=now())
    assert dust("backfill", "--since", SINCE, "--yes").code == 0
    assert reported() == {"dust.earned": 1}
    # What an old order earns later sends a webhook.
    later = {"placed": START, "updated": START + timedelta(days=9), "version": 2}
    grown = order("order_0001", customer_id="cus_1", **later, lines=[line(price=30)])
    with transaction() as connection:
        receive(connection, "msg_2", read_event(order_event(grown)), order_event(grown), now=now())
    process_batch()
    assert (balance(dust, "cus_1"), reported()) == (30, {"dust.earned": 2})


def test_an_order_that_cannot_be_settled_does_not_stop_the_others(dust: Dust, medusa: FakeMedusa) -> None:
    place(medusa, 3)
    medusa.orders["order_0001"]["items"] = None
    report = dust("backfill", "--since", SINCE, "--yes", "--json").json
    assert (report["orders"], report["kept"], report["unreadable"]) == (2, 2, ["order_0001"])
    assert [balance(dust, f"cus_{number}") for number in range(3)] == [10, 0, 10]
