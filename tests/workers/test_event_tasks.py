"""Tasks of events after the loss of a process or of the broker."""

from typing import Any

import pytest
from billiard.exceptions import WorkerLostError
from celery import signals
from celery.exceptions import Reject
from redis.exceptions import ConnectionError as RedisAway
from sqlalchemy import text
from sqlalchemy.event import listen, remove

from bridge.clock import now
from bridge.db import get_engine, transaction
from bridge.inbox.events import read_event
from bridge.inbox.process_batch import OWN_TASK_GRACE, ProcessedBatch, process_batch, split_off_batch
from bridge.inbox.process_one import RetryLater
from bridge.inbox.receive import receive
from bridge.queue.enqueue import INBOX_HANDLE
from tests.support.clock import moved
from tests.support.orders import event, order, order_event
from workers import inbox
from workers.app import app


def keep(event_id: str, body: bytes) -> None:
    with transaction() as connection:
        receive(connection, event_id, read_event(body), body, now=now())


@pytest.mark.usefixtures("settings")
def test_a_split_off_event_is_left_to_its_own_task_for_a_while() -> None:
    keep("msg_1", event("order.placed", {"id": "order_1"}))
    assert process_batch() == ProcessedBatch(taken=1, split_off=("msg_1",))
    assert process_batch() == ProcessedBatch(taken=0, split_off=())
    with moved(OWN_TASK_GRACE):
        assert process_batch() == ProcessedBatch(taken=1, split_off=("msg_1",))


@pytest.mark.usefixtures("settings")
def test_concurrent_batches_take_different_events() -> None:
    keep("msg_1", order_event(order()))
    with transaction() as connection:
        connection.execute(text("SELECT FROM webhook_event FOR UPDATE"))
        assert process_batch().taken == 0
    assert process_batch().taken == 1


@pytest.mark.usefixtures("settings")
def test_a_batch_that_killed_its_process_is_split_into_tasks_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[tuple[Any, ...]] = []
    monkeypatch.setattr(inbox, "publish", lambda *args: published.append(args))
    for number in range(3):
        keep(f"msg_{number}", order_event(order(f"order_{number}")))
    assert inbox.drain.apply(retries=1).get() == 3
    assert sorted(published) == [(INBOX_HANDLE, f"msg_{number}") for number in range(3)]
    # No other worker takes them while their own tasks are enqueued.
    assert inbox.drain.apply().get() == 0


@pytest.mark.usefixtures("settings")
def test_a_batch_that_killed_its_process_is_split_without_its_bodies() -> None:
    keep("msg_1", order_event(order()))
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    listen(get_engine(), "before_cursor_execute", note)
    try:
        assert split_off_batch() == ProcessedBatch(taken=1, split_off=("msg_1",))
    finally:
        remove(get_engine(), "before_cursor_execute", note)
    assert any("webhook_event" in statement for statement in statements)
    assert not any("payload" in statement for statement in statements)


def test_a_retry_waits_a_whole_second_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def soon(event_id: str) -> None:
        raise RetryLater(event_id, "Medusa is away", 0.3)

    def retry(*, exc: Exception, countdown: float, max_retries: int) -> Exception:
        asked.append(countdown)
        return exc

    monkeypatch.setattr(inbox, "process_event", soon)
    monkeypatch.setattr(inbox.handle, "retry", retry)
    with pytest.raises(RetryLater):
        inbox.handle.run("msg_1")
    # RabbitMQ's delays have no fractions, and Celery gives a task up that asks for none.
    assert asked == [1.0]


def test_an_event_that_waits_is_left_to_the_sweep_when_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def soon(event_id: str) -> None:
        raise RetryLater(event_id, "Medusa is away", 0.3)

    def retry(**_: object) -> Exception:
        raise Reject(RedisAway("connection refused"), requeue=False)

    monkeypatch.setattr(inbox, "process_event", soon)
    monkeypatch.setattr(inbox.handle, "retry", retry)
    assert inbox.handle.run("msg_1") == "Rescheduled: msg_1 is rescheduled: Medusa is away"


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize(
    ("ended_by", "state"), [(RedisAway("connection refused"), "pending"), (WorkerLostError("signal 9"), "failed")]
)
def test_an_event_fails_only_if_it_may_have_ended_its_task(ended_by: Exception, state: str) -> None:
    keep("msg_1", order_event(order()))
    # Connects the signals of tasks, as the start of a worker does.
    app.finalize()
    # Celery's error when it cannot write a task's end or retry to Redis.
    signals.task_failure.send(sender=inbox.handle, task_id="1", exception=ended_by, args=("msg_1",), kwargs={})
    with transaction() as connection:
        assert connection.scalar(text("SELECT state FROM webhook_event WHERE id = 'msg_1'")) == state
