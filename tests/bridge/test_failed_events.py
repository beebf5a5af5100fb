"""Every failed event is a failed task, and an event fails only in a task of its own."""

from typing import Any

import pytest
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.signals import task_failure
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from bridge.db import DatabaseAway, transaction
from bridge.inbox import process_batch as drain_module
from bridge.inbox import process_one as handle_module
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, process_event
from bridge.inbox.tables import webhook_event
from bridge.settings import get_settings
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.inbox import state_of
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, line, order, order_event
from workers import inbox as tasks


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The messages that the worker would have sent."""
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tasks, "publish", lambda *task_and_arguments: sent.append(task_and_arguments))
    return sent


def spoil(event_id: str) -> None:
    """Replace a stored body, as an older version with a less strict endpoint may have stored it."""
    with transaction() as connection:
        connection.execute(update(webhook_event).where(webhook_event.c.id == event_id).values(payload=b"{}"))


def break_customers(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(handle_module, "apply_customer_event", broken)


def test_a_malformed_event_gets_its_own_task_and_fails_there(api: TestClient, published: list[tuple[Any, ...]]) -> None:
    deliver(api, order_event(order("order_good")), event_id="good")
    deliver(api, order_event(order("order_bad")), event_id="bad")
    spoil("bad")
    tasks.drain()
    assert published == [("inbox.handle", "bad")]
    assert (state_of("good"), state_of("bad")) == ("handled", "pending")
    with pytest.raises(EventFailed):
        tasks.handle.run("bad")
    assert state_of("bad") == "failed"


def test_an_event_that_fails_in_a_batch_gets_its_own_task_and_fails_there(
    api: TestClient, published: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(api, event("customer.created", {"id": "cus_1"}), event_id="broken")
    deliver(api, event("product.deleted", {"id": "prod_1"}), event_id="whole")
    break_customers(monkeypatch)
    tasks.drain()
    assert published == [("inbox.handle", "broken")]
    assert (state_of("whole"), state_of("broken")) == ("handled", "pending")
    assert process_batch().taken == 0, "it is left to its own task for now"
    with pytest.raises(EventFailed, match="a fault of ours"):
        tasks.handle.run("broken")
    assert state_of("broken") == "failed"


def test_a_batch_that_breaks_is_split_into_tasks(
    api: TestClient, published: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a fault of ours")

    for number in range(3):
        deliver(api, order_event(order(f"order_{number}")), event_id=f"event_{number}")
    monkeypatch.setattr(drain_module, "settle_orders", broken)
    tasks.drain()
    assert sorted(published) == [("inbox.handle", f"event_{number}") for number in range(3)]
    for number in range(3):
        assert process_event(f"event_{number}").state == "handled"


def test_postgres_being_away_fails_no_task(
    api: TestClient, published: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise DatabaseAway

    deliver(api, event("customer.created", {"id": "cus_1"}), event_id="waiting")
    monkeypatch.setattr(tasks, "process_batch", away)
    monkeypatch.setattr(tasks, "process_event", away)
    assert tasks.drain() == 0
    assert tasks.handle.run("waiting").startswith("Rescheduled: The database is out of reach")
    assert published == []
    assert state_of("waiting") == "pending"


def test_a_retry_leaves_the_event_to_the_task_that_is_sent(
    api: TestClient, published: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(api, event("customer.created", {"id": "cus_1"}), event_id="again")
    with monkeypatch.context() as patch:
        break_customers(patch)
        with pytest.raises(EventFailed):
            tasks.handle.run("again")
    with transaction() as connection:
        tasks.handle.before_operator_retry(connection, "again")
    assert state_of("again") == "pending"
    assert process_batch().taken == 0
    tasks.handle.run("again")
    assert tasks.handle.run("again") == "Nothing to do: it is handled."


def test_the_event_of_a_killed_task_fails(api: TestClient) -> None:
    def end(event_id: str, exception: Exception) -> None:
        """Report the end of the task, as the worker's main process does."""
        task_failure.send(sender=tasks.handle, exception=exception, args=[event_id])

    deliver(api, event("customer.created", {"id": "cus_1"}), event_id="endless")
    deliver(api, event("customer.created", {"id": "cus_2"}), event_id="done")
    tasks.handle.run("done")
    end("endless", TimeLimitExceeded(60))
    end("done", WorkerLostError("signal 9 (SIGKILL)"))
    assert (state_of("endless"), state_of("done")) == ("failed", "handled")
    with transaction() as connection:
        assert "Its task was ended (TimeLimitExceeded(60,))" in str(
            connection.scalar(select(webhook_event.c.reason).where(webhook_event.c.id == "endless"))
        )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, {"type": "unknown_error"}), ["answered 500 to GET /admin/orders/order_1"]),
        ((401, {"message": "Unauthorized"}), ["refused our key (401)", "check the keys"]),
        ((403, {"message": "Forbidden"}), ["refused our key (403)", "check the keys"]),
        ((403, "<html>Blocked</html>"), ["is not Medusa", "(403)", "DUST_MEDUSA_URL", "firewall"]),
        ((200, "<html>A shop</html>"), ["is not Medusa", "(200)", "DUST_MEDUSA_URL"]),
        ((200, {"status": "ok"}), ["is not Medusa", "no order in its answer", "DUST_MEDUSA_URL"]),
        ((200, {"order": None}), ["is not Medusa", "no order in its answer", "DUST_MEDUSA_URL"]),
        ((404, "<html>No such page</html>"), ["is not Medusa", "(404)", "DUST_MEDUSA_URL"]),
        ((308, ""), ["redirects", "(308)", "DUST_MEDUSA_URL", "https://"]),
    ],
)
def test_the_reason_says_what_to_fix_and_a_retry_is_harmless(
    api: TestClient,
    medusa: FakeMedusa,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[int, Any],
    words: list[str],
) -> None:
    monkeypatch.setenv("DUST_RETRY_ATTEMPTS", "1")
    get_settings.cache_clear()
    deliver(api, event("order.placed", {"id": "order_1"}), event_id="waiting")
    medusa.before = lambda *_: answer
    for _ in range(2):
        with pytest.raises(EventFailed) as failed:
            tasks.handle.run("waiting")
        for word in (*words, "Tried once; retry it once that is fixed."):
            assert word in str(failed.value)
        shown = api.get("/admin/dust/events/waiting", headers=tokens.admin()).json()
        assert (shown["state"], shown["error_code"]) == ("failed", "medusa_unavailable")
        assert words[0] in shown["reason"]
        assert api.post("/admin/dust/events/waiting/retry", headers=tokens.admin()).json()["retried"] is True
    medusa.before = None
    medusa.orders["order_1"] = order("order_1", lines=[line(price=100)])
    tasks.handle.run("waiting")
    assert state_of("waiting") == "handled"
