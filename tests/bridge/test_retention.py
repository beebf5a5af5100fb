"""Retention: bodies of processed events are reduced to ids after some time."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, process_event
from bridge.inbox.retention import strip_old_bodies as strip_bodies
from bridge.inbox.retry import retry_event
from bridge.inbox.tables import webhook_event
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, order, order_event
from workers.upkeep import strip_old_bodies


def bodies() -> dict[str, bytes]:
    with transaction() as connection:
        return {row.id: row.payload for row in connection.execute(select(webhook_event.c.id, webhook_event.c.payload))}


def test_a_body_is_reduced_to_its_ids_when_its_time_is_over(api: TestClient) -> None:
    deliver(api, order_event(order()), event_id="msg_old")
    process_batch()
    with moved(timedelta(days=60)):
        body = order_event(order("order_2"))
        deliver(api, body, event_id="msg_new", timestamp=int(now().timestamp()))
        process_batch()
    with moved(timedelta(days=91)):
        assert strip_old_bodies.run() == 1
        assert strip_old_bodies.run() == 0
    kept = bodies()
    assert kept["msg_new"] == body
    assert b'"data": {"id": "order_1"}' in kept["msg_old"]
    assert b"@" not in kept["msg_old"]
    assert deliver(api, order_event(order()), event_id="msg_old").json()["status"] == "duplicate"


def test_a_failed_event_keeps_its_body_and_can_be_retried(api: TestClient, medusa: FakeMedusa) -> None:
    broken = order()
    broken["total"] = None
    deliver(api, order_event(broken), event_id="msg_failed")
    with pytest.raises(EventFailed):
        process_event("msg_failed")
    before = bodies()
    with moved(timedelta(days=400)):
        assert strip_old_bodies.run() == 0
    assert bodies() == before
    medusa.orders["order_1"] = order()
    with transaction() as connection:
        retry_event(connection, "msg_failed", now=now())


def test_many_bodies_are_reduced_in_batches(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.upkeep._BODIES_AT_ONCE", 2)
    for number in range(5):
        deliver(api, order_event(order(f"order_{number}")), event_id=f"msg_{number}")
    deliver(api, event("cart.updated", {"id": "cart_1", "note": "n" * 400}), event_id="msg_ignored")
    process_batch()
    with moved(timedelta(days=91)):
        assert strip_old_bodies.run() == 6


def test_no_step_looks_through_the_whole_inbox(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.inbox.retention._ROWS_LOOKED_AT", 500)
    deliver(api, order_event(order()), event_id="zzz_last")
    process_batch()
    many = text(
        "INSERT INTO webhook_event (id, type, source, payload, event_at, received_at, state, reason)"
        " SELECT 'msg_' || n, 'cart.updated', 'webhook', '{}', :at, :at, 'ignored', 'old'"
        " FROM generate_series(1, 20000) n"
    )
    read = text(
        "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'webhook_event'"
    )
    with transaction() as connection:
        connection.execute(many, {"at": now()})
        connection.execute(text("ANALYZE webhook_event"))
    before = now() + timedelta(days=1)
    stripped, after, steps = 0, "", 0
    while after is not None:
        with transaction() as connection:
            earlier = connection.scalar(read)
            some, after = strip_bodies(connection, before=before, limit=100, after=after)
            assert connection.scalar(read) - earlier <= 3_000
        stripped, steps = stripped + some, steps + 1
    assert (stripped, steps) == (1, 42)


def test_what_takes_long_is_continued_by_another_task(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, ...]] = []
    for number in range(3):
        deliver(api, order_event(order(f"order_{number}")), event_id=f"msg_{number}")
    process_batch()
    with moved(timedelta(days=91)), monkeypatch.context() as slow:
        slow.setattr("workers.upkeep.enqueue.publish", lambda *message: sent.append(message) or True)
        slow.setattr("workers.upkeep._BODIES_AT_ONCE", 1)
        slow.setattr("workers.upkeep.time", SimpleNamespace(monotonic=iter([0, 5, 25]).__next__))
        assert strip_old_bodies.run() == 1
        assert sent == [("upkeep.strip_old_bodies", "msg_0")]
    with moved(timedelta(days=91)):
        assert strip_old_bodies.run("msg_0") == 2
