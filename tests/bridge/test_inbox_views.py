"""The inbox as operators see it over the admin API: filters, raw body, history, retry of many."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import DatabaseDenied, transaction
from bridge.inbox import retry as inbox_retry
from bridge.inbox.list_filter import EventFilter
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, RetryLater, process_event
from bridge.inbox.retry import retry_all
from bridge.queue.enqueue import INBOX_DRAIN
from bridge.settings import get_settings
from tests.support import tokens
from tests.support.clock import advance, moved
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, order, order_event


def ids(api: TestClient, **query: Any) -> list[str]:
    response = api.get("/admin/dust/events", params=query, headers=tokens.admin())
    assert response.status_code == 200, response.text
    return [event["id"] for event in response.json()["events"]]


def event_detail(api: TestClient, event_id: str) -> Any:
    return api.get(f"/admin/dust/events/{event_id}", headers=tokens.admin()).json()


def retry(api: TestClient, **requested: Any) -> Any:
    response = api.post("/admin/dust/events/retry", json=requested, headers=tokens.admin())
    assert response.status_code == 202, response.text
    return response.json()["retried"]


def failed(api: TestClient, event_id: str, kind: str = "order.placed", order_id: str = "order_nowhere") -> None:
    """An event about an order that Medusa does not know."""
    deliver(api, event(kind, {"id": order_id}), event_id=event_id)
    with pytest.raises(EventFailed):
        process_event(event_id)


@pytest.fixture
def three_days(api: TestClient, medusa: FakeMedusa) -> TestClient:
    """Failed events of the last three days, and one that was handled."""
    for days, (event_id, kind) in enumerate(
        [("old", "order.placed"), ("mid", "order.canceled"), ("new", "order.placed")]
    ):
        with moved(timedelta(days=days - 2, minutes=-1)):
            # The sender's clock moves too, or the endpoint would refuse the event.
            deliver(api, event(kind, {"id": f"order_{event_id}"}), event_id=event_id, timestamp=int(now().timestamp()))
            with pytest.raises(EventFailed):
                process_event(event_id)
    deliver(api, order_event(order()), event_id="good")
    process_batch()
    return api


def test_filters_by_state_type_subject_and_code(three_days: TestClient) -> None:
    assert ids(three_days) == ["good", "new", "mid", "old"]
    assert ids(three_days, state="failed") == ["new", "mid", "old"]
    assert ids(three_days, type="order.canceled") == ["mid"]
    assert ids(three_days, subject="order_old") == ["old"]
    assert ids(three_days, code="unknown_in_medusa", type="order.placed") == ["new", "old"]
    assert ids(three_days, code="medusa_unavailable") == []


def test_filters_by_time_from_since_on_and_before_until(three_days: TestClient) -> None:
    yesterday = now() - timedelta(days=1, hours=1)
    today = now() - timedelta(hours=1)
    assert ids(three_days, since=yesterday.isoformat()) == ["good", "new", "mid"]
    assert ids(three_days, until=today.isoformat()) == ["mid", "old"]
    assert ids(three_days, since=yesterday.isoformat(), until=today.isoformat()) == ["mid"]


def test_a_filter_holds_over_pages(three_days: TestClient) -> None:
    first = three_days.get("/admin/dust/events?state=failed&limit=2", headers=tokens.admin()).json()
    cursor = first["next_cursor"]
    assert ids(three_days, state="failed", limit=2, cursor=cursor) == ["old"]


@pytest.mark.parametrize(
    "query", [{"since": "yesterday"}, {"since": "2026-11-01T00:00:00"}, {"state": "odd"}, {"code": "\x00"}]
)
def test_a_filter_that_makes_no_sense_is_refused(api: TestClient, query: dict[str, str]) -> None:
    assert api.get("/admin/dust/events", params=query, headers=tokens.admin()).status_code == 422
    if "state" not in query:
        assert api.post("/admin/dust/events/retry", json=query, headers=tokens.admin()).status_code == 422


def test_one_event_has_its_raw_body_and_its_history(api: TestClient, medusa: FakeMedusa) -> None:
    body = event("order.placed", {"id": "order_1"})
    deliver(api, body, event_id="msg_1")
    medusa.away = True
    with pytest.raises(RetryLater):
        process_event("msg_1")
    medusa.away = False
    with pytest.raises(EventFailed):
        process_event("msg_1")
    api.post(
        "/admin/dust/events/msg_1/retry",
        headers={"authorization": f"Bearer {tokens.token('user_1', actor_type='user')}"},
    )
    medusa.orders["order_1"] = order()
    process_event("msg_1")
    shown = event_detail(api, "msg_1")
    assert shown["body"].encode() == body
    assert shown["state"] == "handled"
    assert [
        (attempt["outcome"], attempt["attempt"], attempt["error_code"], attempt["actor"])
        for attempt in shown["history"]
    ] == [
        ("rescheduled", 1, "medusa_unavailable", None),
        ("failed", 2, "unknown_in_medusa", None),
        ("retried", 0, None, "user_1"),
    ]
    assert "DUST_MEDUSA_URL" in shown["history"][1]["reason"]


@pytest.mark.parametrize("event_id", ["shop/1", "shop/1/retry", "a?b#c"])
def test_an_event_is_found_and_retried_whatever_id_its_sender_chose(
    api: TestClient, medusa: FakeMedusa, event_id: str
) -> None:
    failed(api, event_id)
    in_path = quote(event_id, safe="")
    assert event_detail(api, in_path)["id"] == event_id
    response = api.post(f"/admin/dust/events/{in_path}/retry", headers=tokens.admin())
    assert (response.status_code, response.json()["retried"]) == (202, True)


def test_an_event_that_goes_through_at_once_has_no_history(api: TestClient) -> None:
    deliver(api, order_event(order()), event_id="msg_1")
    process_batch()
    assert event_detail(api, "msg_1")["history"] == []


def test_failed_events_are_counted_by_cause(three_days: TestClient) -> None:
    causes = three_days.get("/admin/dust/events/causes", headers=tokens.admin()).json()["causes"]
    assert [(cause["type"], cause["error_code"], cause["events"]) for cause in causes] == [
        ("order.placed", "unknown_in_medusa", 2),
        ("order.canceled", "unknown_in_medusa", 1),
    ]
    newest, oldest = (event_detail(three_days, event_id)["received_at"] for event_id in ("new", "old"))
    assert (causes[0]["newest_received_at"], causes[0]["oldest_received_at"]) == (newest, oldest)
    assert causes[1]["reason"] == event_detail(three_days, "mid")["reason"]
    assert retry(three_days, type="order.placed", code="unknown_in_medusa") == causes[0]["events"]
    assert three_days.get("/admin/dust/events/causes").status_code == 401


def test_a_cause_without_a_code_is_retried_without_the_others(three_days: TestClient) -> None:
    with transaction() as connection:
        connection.execute(text("UPDATE webhook_event SET error_code = NULL WHERE id = 'old'"))
    causes = three_days.get("/admin/dust/events/causes", headers=tokens.admin()).json()["causes"]
    (cause,) = (cause for cause in causes if cause["error_code"] is None)
    assert (cause["type"], cause["events"]) == ("order.placed", 1)
    assert retry(three_days, type=cause["type"], without_code=True) == cause["events"]
    assert ids(three_days, state="failed") == ["new", "mid"]


def test_retry_of_all_failed_ones_leaves_the_others(three_days: TestClient, enqueued: list[Any]) -> None:
    enqueued.clear()
    assert retry(three_days) == 3
    assert enqueued == [(INBOX_DRAIN,)]
    assert ids(three_days, state="pending") == ["new", "mid", "old"]
    assert ids(three_days, state="handled") == ["good"]
    assert retry(three_days) == 0
    assert [attempt["actor"] for attempt in event_detail(three_days, "old")["history"]] == [None, "service"]


def test_retry_by_range_and_type(three_days: TestClient) -> None:
    today = (now() - timedelta(hours=1)).isoformat()
    assert retry(three_days, until=today, type="order.placed") == 1
    assert ids(three_days, state="failed") == ["new", "mid"]
    assert retry(three_days, code="medusa_unavailable") == 0
    assert retry(three_days, subject="order_mid", code="unknown_in_medusa") == 1
    assert ids(three_days, state="failed") == ["new"]


def test_retry_many_takes_no_body_too_and_refuses_what_it_does_not_know(three_days: TestClient) -> None:
    assert three_days.post("/admin/dust/events/retry", json={"state": "x"}, headers=tokens.admin()).status_code == 422
    assert three_days.post("/admin/dust/events/retry").status_code == 401
    assert three_days.post("/admin/dust/events/retry", headers=tokens.admin()).json()["retried"] == 3


def test_many_events_are_retried_in_batches_without_those_that_fail_again(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_retry, "_RETRIED_AT_ONCE", 2)
    for number in range(5):
        failed(api, f"msg_{number}")
    steps = []
    for step in retry_all(EventFilter()):
        steps.append(step)
        advance(timedelta(seconds=1))
        # A worker is processing it already, and the cause is not fixed.
        for event_id in ids(api, state="pending"):
            with pytest.raises(EventFailed):
                process_event(event_id)
    assert steps == [2, 2, 1]
    assert len(ids(api, state="failed")) == 5


def test_the_history_cannot_be_changed_by_the_role_that_serves(api: TestClient, medusa: FakeMedusa) -> None:
    failed(api, "msg_1")
    for statement in ("UPDATE webhook_attempt SET reason = ''", "DELETE FROM webhook_attempt"):
        with pytest.raises(DatabaseDenied, match="permission denied"), transaction() as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize(("attempts", "tried"), [(1, "Tried once"), (3, "Tried 3 times")])
def test_attempts_end_failed_with_all_of_them_in_the_history(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch, attempts: int, tried: str
) -> None:
    monkeypatch.setenv("DUST_RETRY_ATTEMPTS", str(attempts))
    get_settings.cache_clear()
    medusa.away = True
    deliver(api, event("order.placed", {"id": "order_1"}), event_id="msg_1")
    for error in [RetryLater] * (attempts - 1) + [EventFailed]:
        with pytest.raises(error):
            process_event("msg_1")
    shown = event_detail(api, "msg_1")
    assert [attempt["outcome"] for attempt in shown["history"]] == ["rescheduled"] * (attempts - 1) + ["failed"]
    assert f"{tried}; retry it once that is fixed." in shown["reason"]
