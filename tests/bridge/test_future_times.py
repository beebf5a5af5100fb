"""A clock that was ahead delays work by minutes, not for as long as it was ahead."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import get_engine, transaction
from bridge.inbox.compare_with_medusa import MISSING_FOR, _due, check_due
from bridge.inbox.process_batch import process_batch
from bridge.medusa.client import get_medusa
from bridge.medusa.errors import MedusaAway
from bridge.operations.future_times import correct_future_times
from bridge.outgoing.send import send_waiting
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.repository import due_redemptions
from bridge.simulation import requests
from bridge.simulation.requests import MAX_SECONDS
from tests.support import tokens
from tests.support.clock import advance as advance_clock
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order, order_event
from tests.support.receiver import Receiver
from tests.support.settling import balance
from tests.support.store_api import FIVE_EUR, redeem
from workers import simulations, upkeep
from workers.products import mirror

AHEAD = timedelta(hours=6)


def due() -> list[str]:
    with transaction() as connection:
        return due_redemptions(connection, now=now(), limit=10)


def after_the_clock_was_corrected(work: Callable[[], int]) -> int:
    """Nothing is due while the times are ahead. Returns how much is due once they are corrected."""
    assert work() == 0
    upkeep.correct_future_times.run()
    return work()


def test_an_event_that_was_stored_by_a_clock_ahead(api: TestClient) -> None:
    with moved(AHEAD):
        deliver(api, order_event(order(lines=[line(price=100)])))
    assert after_the_clock_was_corrected(lambda: process_batch().taken) == 1


def test_a_redemption(api: TestClient, medusa: FakeMedusa) -> None:
    give(1000)
    with moved(AHEAD):
        redemption_id = redeem(api, FIVE_EUR).json()["redemption"]["id"]
        medusa.away = True
        with pytest.raises(MedusaAway):
            advance(redemption_id, get_medusa())
    medusa.away = False
    assert after_the_clock_was_corrected(lambda: len(due())) == 1


def test_outgoing_webhooks(api: TestClient, receiver: Receiver) -> None:
    deliver(api, order_event(order(lines=[line(price=100)])))
    process_batch()
    with moved(AHEAD):
        receiver.answer = lambda _: (503, {}, b"")
        assert send_waiting(seconds=5) == 0
    receiver.answer = lambda _: (204, {}, b"")
    assert after_the_clock_was_corrected(lambda: send_waiting(seconds=5)) >= 1


def test_a_product_in_medusa(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.products["prod_1"] = {"id": "prod_1", "metadata": {}}
    headers = tokens.admin()
    api.put("/admin/dust/products/prod_1", json={"dust_price": 300}, headers=headers).raise_for_status()
    with moved(AHEAD):
        medusa.away = True
        assert mirror() == 0
    medusa.away = False
    assert after_the_clock_was_corrected(mirror) == 1


def test_the_comparison_of_an_order_with_medusa(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order(lines=[line(price=70)], updated=now())
    with moved(AHEAD):
        deliver(api, order_event(order(lines=[line(price=100)], updated=now() - AHEAD)))
        process_batch()
    advance_clock(timedelta(minutes=2))

    def due_orders() -> int:
        with transaction() as connection:
            return len(_due(connection))

    assert after_the_clock_was_corrected(due_orders) == 1
    check_due(get_medusa())
    assert balance().balance == 70


def test_an_order_that_medusa_has_deleted(api: TestClient, medusa: FakeMedusa) -> None:
    deliver(api, order_event(order(lines=[line(price=100)])))
    process_batch()
    with moved(AHEAD):
        assert check_due(get_medusa()).missing == ["order_1"]
    upkeep.correct_future_times.run()
    check_due(get_medusa())
    advance_clock(MISSING_FOR)
    check_due(get_medusa())
    assert balance().balance == 0


def test_a_simulation_whose_worker_died(api: TestClient, medusa: FakeMedusa) -> None:
    body = {"document": {}, "since": str(now() - timedelta(days=90))}
    response = api.post("/admin/dust/programme/simulate", json=body, headers=tokens.admin())
    assert response.status_code == 202
    with moved(AHEAD), transaction() as connection:
        assert requests._start(connection, now=now())
    advance_clock(timedelta(seconds=MAX_SECONDS + 1))
    upkeep.correct_future_times.run()
    advance_clock(timedelta(seconds=MAX_SECONDS + 1))
    assert simulations.run() == 1


def test_times_that_dust_plans_itself_stay(api: TestClient, medusa: FakeMedusa, receiver: Receiver) -> None:
    deliver(api, order_event(order(lines=[line(price=100)])))
    with transaction() as connection:
        connection.execute(text("UPDATE webhook_event SET next_attempt_at = :at"), {"at": now() + timedelta(minutes=5)})
    assert correct_future_times(now=now()) == 0


@pytest.mark.usefixtures("settings")
def test_correcting_no_times_is_no_error() -> None:
    assert correct_future_times(now=now()) == 0


def test_finished_work_is_not_read(api: TestClient) -> None:
    with transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO webhook_event (id, type, source, payload, event_at, received_at, state)"
                " SELECT 'old_' || n, 'order.placed', 'webhook', '{}', :now, :now, 'handled'"
                " FROM generate_series(1, 20000) n"
            ),
            {"now": now()},
        )
        connection.execute(text("ANALYZE webhook_event"))
    queries: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            queries.append((statement, values))

    engine = get_engine()
    sqlalchemy.event.listen(engine, "before_cursor_execute", listen)
    correct_future_times(now=now())
    sqlalchemy.event.remove(engine, "before_cursor_execute", listen)
    indexes = {"webhook_event": "ix_webhook_event_due", "dust_redemption": "ix_dust_redemption_due"}
    indexes["outgoing_webhook"] = "ix_outgoing_webhook_due"
    indexes["order_settlement"] = "ix_order_settlement_check_at"
    indexes["programme_simulation"] = "ix_programme_simulation_open"
    with transaction() as connection:
        # Tables of the test are small: without this, Postgres would read the whole of them.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        for statement, values in queries:
            table = statement.split("FROM ")[1].split()[0]
            plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values))
            assert indexes.get(table, "") in plan, plan
    assert len(queries) == 9
