"""`dust events` and `dust retry`."""

import json
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from bridge.cli import app
from bridge.cli import events as module
from bridge.clock import now
from bridge.errors import InvalidInput
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, process_event
from bridge.inbox.retry import UnknownEvent
from bridge.queue.enqueue import INBOX_DRAIN
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, order, order_event


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    tasks: list[Any] = []
    monkeypatch.setattr(module, "publish", lambda *task_and_arguments: tasks.append(task_and_arguments))
    return tasks


@pytest.fixture
def inbox(api: TestClient, medusa: FakeMedusa, published: list[Any]) -> TestClient:
    """Two failed events, of yesterday and of today, and one that was handled."""
    for days, (event_id, kind) in enumerate([("old", "order.canceled"), ("new", "order.placed")]):
        with moved(timedelta(days=days - 1, minutes=-1)):
            body = event(kind, {"id": f"order_{event_id}"})
            deliver(api, body, event_id=event_id, timestamp=int(now().timestamp()))
            with pytest.raises(EventFailed):
                process_event(event_id)
    deliver(api, order_event(order()), event_id="good")
    process_batch()
    return api


def dust(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def listed(*options: str) -> list[str]:
    return [event["id"] for event in json.loads(dust("events", "--json", *options).output)]


def test_filters(inbox: TestClient) -> None:
    yesterday = f"{now() - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}"
    assert listed() == ["good", "new", "old"]
    assert listed("--state", "failed") == ["new", "old"]
    assert listed("--state", "failed", "--since", yesterday) == ["new"]
    assert listed("--until", yesterday) == ["old"]
    assert listed("--type", "order.canceled") == ["old"]
    assert listed("--code", "unknown_in_medusa") == ["new", "old"]
    assert listed("--subject", "order_1") == ["good"]


def test_one_event_is_shown_with_its_body_and_its_history(inbox: TestClient) -> None:
    shown = json.loads(dust("events", "old", "--json").output)
    assert json.loads(shown["payload"])["data"] == {"id": "order_old"}
    assert [attempt["outcome"] for attempt in shown["history"]] == ["failed"]
    text = dust("events", "old").output
    assert "order.canceled" in text
    assert "unknown_in_medusa" in text
    assert "no failed attempt" in dust("events", "good").output


def test_an_unknown_event_is_reported(inbox: TestClient) -> None:
    for command in ("events", "retry"):
        with pytest.raises(UnknownEvent):
            dust(command, "nobody")


def test_retry_of_one(inbox: TestClient, published: list[Any]) -> None:
    assert "1 will be processed again" in dust("retry", "old").output
    assert published == [(INBOX_DRAIN,)]
    assert listed("--state", "pending") == ["old"]
    assert "it has not failed" in dust("retry", "good").output
    assert [attempt["actor"] for attempt in json.loads(dust("events", "old", "--json").output)["history"]] == [
        None,
        "cli",
    ]


def test_retry_of_all(inbox: TestClient) -> None:
    assert json.loads(dust("retry", "--all-failed", "--json").output) == {"retried": 2}
    assert listed("--state", "pending") == ["new", "old"]


def test_retry_by_filter(inbox: TestClient) -> None:
    yesterday = f"{now() - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}"
    assert "0 will be" in dust("retry", "--all-failed", "--code", "medusa_unavailable").output
    assert "1 will be" in dust("retry", "--all-failed", "--type", "order.canceled", "--until", yesterday).output
    assert listed("--state", "failed") == ["new"]


@pytest.mark.parametrize("arguments", [[], ["old", "--all-failed"], ["old", "--type", "order.placed"]])
def test_an_ambiguous_call_is_refused(inbox: TestClient, arguments: list[str]) -> None:
    with pytest.raises(InvalidInput):
        dust("retry", *arguments)
    assert len(listed("--state", "failed")) == 2
