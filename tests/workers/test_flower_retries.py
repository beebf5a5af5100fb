"""Retries of tasks without Flower's pages and without a broker: their records, and a broker that is away."""

from typing import Any

import pytest
from celery.events.state import Task as Record
from fastapi.testclient import TestClient
from kombu.exceptions import OperationalError
from sqlalchemy import func, select

from bridge.db import transaction
from bridge.inbox.process_one import EventFailed
from bridge.inbox.retry import UnknownEvent
from bridge.queue import enqueue
from bridge.queue.operator_retries import task_retry
from tests.support.deliveries import deliver
from tests.support.inbox import state_of
from tests.support.medusa import FakeMedusa
from tests.support.orders import event
from workers.app import app
from workers.flower.failures import ArgumentsCut
from workers.flower.retries import (
    BrokerAway,
    TaskNotFailed,
    TaskNotRetryable,
    UnknownTask,
    WrongArguments,
    is_retryable,
    retries_by_task,
    retry_task,
)
from workers.inbox import _fail_event_of_killed_task, handle

pytestmark = pytest.mark.servers


def record(event_id: str = "msg_1", **others: Any) -> Record:
    known = {"uuid": "old", "name": "inbox.handle", "state": "FAILURE", "args": f"('{event_id}',)", "kwargs": "{}"}
    return Record(**{**known, **others})


@pytest.fixture
def failed_event(api: TestClient, medusa: FakeMedusa) -> None:
    """An event that failed: Medusa knows no such order."""
    deliver(api, event("order.placed", {"id": "order_1"}), event_id="msg_1")
    with pytest.raises(EventFailed):
        handle.run("msg_1")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The messages for the broker: arguments and task id."""
    messages: list[tuple[Any, ...]] = []

    def apply_async(args: Any, kwargs: Any, *, task_id: str) -> None:
        messages.append((args, kwargs, task_id))

    monkeypatch.setattr(handle, "apply_async", apply_async)
    return messages


def noted() -> int:
    with transaction() as connection:
        return int(connection.scalar(select(func.count()).select_from(task_retry)) or 0)


def test_every_task_of_ours_may_be_retried_and_no_other() -> None:
    ours = {value for name, value in vars(enqueue).items() if name.isupper() and not name.startswith("_")}
    app.loader.import_default_modules()
    assert {name for name in app.tasks if is_retryable(app, name)} == ours


def test_a_retry_has_all_arguments_and_the_event_waits_for_it(failed_event: None, sent: list[tuple[Any, ...]]) -> None:
    retry, failure = retry_task(app, "old", record(), operator="ada")
    assert failure is not None
    assert sent == [(["msg_1"], {}, retry.new_task_id)]
    assert state_of("msg_1") == "pending"
    assert retries_by_task(["old"]) == {"old": retry}
    assert (retry.operator, retry.task_name) == ("ada", "inbox.handle")


def test_a_repeated_retry_returns_the_first_result_without_flowers_record(
    failed_event: None, sent: list[tuple[Any, ...]]
) -> None:
    first, _ = retry_task(app, "old", record(), operator="ada")
    assert retry_task(app, "old", None, operator="grace") == (first, None)
    assert len(sent) == 1


def test_a_broker_that_is_away_sends_nothing_and_the_next_click_does(
    failed_event: None, sent: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(handle, "apply_async", away)
        with pytest.raises(BrokerAway):
            retry_task(app, "old", record(), operator="ada")
    assert retries_by_task(["old"]) == {}, "what was not sent is not shown as retried"
    assert state_of("msg_1") == "pending", "so the sweep takes it if nobody clicks again"
    retry, failure = retry_task(app, "old", record(), operator="grace")
    assert failure is not None
    assert retry.operator == "ada"
    assert sent == [(["msg_1"], {}, retry.new_task_id)]
    assert noted() == 1


@pytest.mark.parametrize(
    ("remembered", "error"),
    [
        (None, UnknownTask),
        (record(state="SUCCESS"), TaskNotFailed),
        (record(name="celery.backend_cleanup"), TaskNotRetryable),
        (record(name="somebody.elses"), TaskNotRetryable),
        (record(args="('cut...',)"), ArgumentsCut),
        (record("never came"), UnknownEvent),
    ],
)
def test_a_refused_retry_is_not_stored(
    failed_event: None, sent: list[tuple[Any, ...]], remembered: Record | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        retry_task(app, "old", remembered, operator="ada")
    assert (sent, noted(), state_of("msg_1")) == ([], 0, "failed")


@pytest.mark.parametrize(
    "wrong",
    [
        {"args": "()"},
        {"args": "('msg_1', 2)"},
        {"kwargs": "{'event': 'msg_1'}"},
        {"args": "()", "kwargs": "{'other': 'msg_1'}"},
        {"name": "redemptions.advance", "args": "()"},
        {"name": "inbox.drain", "args": "(1,)"},
    ],
)
def test_arguments_that_the_task_does_not_take_are_named(
    failed_event: None, sent: list[tuple[Any, ...]], wrong: dict[str, str]
) -> None:
    app.loader.import_default_modules()
    with pytest.raises(WrongArguments, match="does not take"):
        retry_task(app, "old", record(**wrong), operator="ada")
    assert (sent, noted(), state_of("msg_1")) == ([], 0, "failed")


@pytest.mark.parametrize(
    "wrong", ["(5,)", "(None,)", "(['msg_1'],)", "({'id': 1},)", "(True,)", "(1.5,)", "('msg é',)"]
)
def test_what_is_no_event_id_is_an_unknown_event(failed_event: None, sent: list[tuple[Any, ...]], wrong: str) -> None:
    with pytest.raises(UnknownEvent):
        retry_task(app, "old", record(args=wrong), operator="ada")
    assert (sent, noted()) == ([], 0)


@pytest.mark.parametrize("wrong", [5, None, ["msg_1"], {"id": 1}, True, 1.5, "nul\0", "half \ud800"])
def test_a_task_about_no_event_says_so(failed_event: None, wrong: Any) -> None:
    with pytest.raises(UnknownEvent):
        handle.run(wrong)


def test_a_killed_task_without_arguments_belongs_to_no_event(failed_event: None) -> None:
    _fail_event_of_killed_task(exception=TypeError("missing argument"), args=())
    _fail_event_of_killed_task(exception=TypeError("missing argument"), args=None)
