"""A row at which a periodic job fails, or which another transaction keeps locked, delays no other row."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.db import SESSION_SETTINGS, dispose_engine, transaction
from bridge.inbox.process_batch import process_batch
from bridge.ledger.account import Account
from bridge.settlement.claims import claim_orders
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.guests import guest, register
from tests.support.inbox import state_of
from tests.support.ledger import give, stored_balances
from tests.support.medusa import FakeMedusa
from tests.support.orders import order, order_event
from tests.support.settling import set_rules, settle
from workers import upkeep

CUSTOMERS = [f"cus_{number}" for number in range(5)]


@pytest.fixture
def pending(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Points of five customers, which mature after ten days."""
    monkeypatch.setitem(SESSION_SETTINGS, "lock_timeout", "300ms")
    dispose_engine()
    set_rules(earn={"pending_days": 10})
    settle(*(order(f"order_{customer_id}", customer_id=customer_id) for customer_id in CUSTOMERS))


@pytest.mark.usefixtures("pending")
def test_points_that_cannot_be_posted_delay_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    book_due = Account.book_due

    def broken(account: Account, **arguments: Any) -> None:
        if account.customer_id == "cus_2":
            raise ZeroDivisionError
        book_due(account, **arguments)

    with moved(timedelta(days=11)):
        with monkeypatch.context() as bad:
            bad.setattr(Account, "book_due", broken)
            bad.setattr(upkeep, "_CUSTOMERS_AT_ONCE", 2)
            assert upkeep.mature_and_expire.run() == 4
        assert stored_balances() == {customer_id: 10 for customer_id in CUSTOMERS if customer_id != "cus_2"}
        assert upkeep.mature_and_expire.run() == 1
    assert stored_balances() == dict.fromkeys(CUSTOMERS, 10)


@pytest.mark.usefixtures("pending")
def test_points_of_a_customer_who_is_locked_delay_no_others(settings: dict[str, str]) -> None:
    with moved(timedelta(days=11)):
        with psycopg.connect(settings["DUST_DATABASE_URL"]) as other:
            other.execute("SELECT FROM dust_balance WHERE customer_id = 'cus_2' FOR UPDATE")
            assert upkeep.mature_and_expire.run() == 4
        assert stored_balances() == {customer_id: 10 for customer_id in CUSTOMERS if customer_id != "cus_2"}
        assert upkeep.mature_and_expire.run() == 1


def test_guest_orders_that_cannot_be_claimed_delay_no_others(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_rules(guests={"claim": "account"})
    for number in range(3):
        register(api, medusa, f"cus_{number}", f"{number}@example.com")
    settle(*(guest(f"order_{number}", email=f"{number}@example.com") for number in range(3)))

    def broken(connection: Any, customer_id: str, *arguments: Any, **more: Any) -> Any:
        if customer_id == "cus_1":
            raise ZeroDivisionError
        return claim_orders(connection, customer_id, *arguments, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as bad:
        bad.setattr(upkeep, "claim_orders", broken)
        assert upkeep.escrow.run() == 2
    assert set(stored_balances()) == {"cus_0", "cus_2"}
    assert upkeep.escrow.run() == 1


def test_guest_orders_that_are_locked_delay_no_others(
    api: TestClient, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SESSION_SETTINGS, "lock_timeout", "300ms")
    dispose_engine()
    settle(*(guest(f"order_{number}") for number in range(3)))
    with moved(timedelta(days=91)):
        with psycopg.connect(settings["DUST_DATABASE_URL"]) as other:
            other.execute("SELECT FROM order_settlement WHERE order_id = 'order_1' FOR UPDATE")
            assert upkeep.escrow.run() == 2
        assert upkeep.escrow.run() == 1


def test_an_order_whose_customer_is_locked_delays_no_others(
    api: TestClient, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SESSION_SETTINGS, "lock_timeout", "300ms")
    dispose_engine()
    for customer_id in CUSTOMERS:
        give(1, customer_id)
        deliver(api, order_event(order(f"order_{customer_id}", customer_id=customer_id)), event_id=f"msg_{customer_id}")
    with psycopg.connect(settings["DUST_DATABASE_URL"]) as other:
        other.execute("SELECT FROM dust_balance WHERE customer_id = 'cus_2' FOR UPDATE")
        assert process_batch().split_off == ()
        assert stored_balances() == dict.fromkeys(CUSTOMERS, 11) | {"cus_2": 1}
        # It is left alone for a while, so that batches are fast again, and no attempt is counted.
        assert process_batch().taken == 0
    assert state_of("msg_cus_2") == "pending"
    with transaction() as connection:
        assert connection.scalar(text("SELECT max(attempts) FROM webhook_event")) == 0
    with moved(timedelta(minutes=2)):
        process_batch()
    assert stored_balances() == dict.fromkeys(CUSTOMERS, 11)
