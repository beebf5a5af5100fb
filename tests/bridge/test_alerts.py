"""Open alerts: each appears with its cause, says since when and what to do, and disappears with the cause."""

import re
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.cursor import complete
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, process_event
from bridge.operations import alert_limits
from bridge.operations.alerts import AlertCode, AlertSeverity, severity_of
from bridge.outgoing import queries
from bridge.outgoing.send import send_waiting
from bridge.queue.enqueue import OUTGOING_SEND
from bridge.queue.job_runs import AUDIT, BEAT, record_run
from bridge.settings import get_settings
from tests.support import tokens
from tests.support.alerts import RULES
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, line, order, order_event
from tests.support.receiver import Receiver, status
from workers import upkeep

BY_NAME = {rule["alert"]: rule for rule in RULES}
SECOND = timedelta(seconds=1)


@pytest.fixture
def healthy(api: TestClient) -> TestClient:
    """All periodic jobs have just run."""
    run_jobs()
    return api


def run_jobs() -> None:
    with transaction() as connection:
        record_run(connection, BEAT, {}, now=now())
        record_run(connection, AUDIT, {"breaches": {}}, now=now())
    complete(now())


def alerts(api: TestClient) -> list[dict[str, Any]]:
    response = api.get("/admin/dust/alerts", headers=tokens.admin())
    assert response.status_code == 200, response.text
    return list(response.json()["alerts"])


def codes(api: TestClient) -> list[str]:
    return [alert["code"] for alert in alerts(api)]


def rule_of(code: AlertCode) -> dict[str, Any]:
    return dict(BY_NAME["Dust" + "".join(word.capitalize() for word in code.split("_"))])


def test_without_problems_there_are_no_alerts(healthy: TestClient) -> None:
    deliver(healthy, order_event(order()))
    process_batch()
    assert alerts(healthy) == []
    assert healthy.get("/admin/dust/alerts").status_code == 401


@pytest.mark.parametrize("limit", [name for name in dir(alert_limits) if name.isupper()])
def test_limits_are_those_of_prometheus(limit: str) -> None:
    expression = rule_of(AlertCode[limit])["expr"]
    assert re.findall(r"> (\d+)$", expression) == [f"{getattr(alert_limits, limit).total_seconds():.0f}"]


@pytest.mark.parametrize("code", AlertCode)
def test_an_alert_is_as_severe_as_in_prometheus(code: AlertCode) -> None:
    names = {"page": AlertSeverity.CRITICAL, "ticket": AlertSeverity.WARNING}
    assert severity_of(code) is names[rule_of(code)["labels"]["severity"]]


def test_failed_events(healthy: TestClient, medusa: FakeMedusa) -> None:
    for number in range(2):
        deliver(healthy, event("order.placed", {"id": f"order_{number}"}), event_id=f"msg_{number}")
        with pytest.raises(EventFailed):
            process_event(f"msg_{number}")
    (alert,) = alerts(healthy)
    assert (alert["code"], alert["severity"], alert["count"]) == ("events_failed", "warning", 2)
    assert alert["message"] == "2 events failed. Customers may miss points."
    assert "Retry" in alert["action"]
    assert alert["since"] == now().isoformat().replace("+00:00", "Z")
    healthy.post("/admin/dust/events/retry", headers=tokens.admin())
    assert alerts(healthy) == []


def test_an_event_that_waits_too_long(healthy: TestClient) -> None:
    deliver(healthy, event("customer.created", {"id": "cus_1"}))
    with moved(alert_limits.EVENTS_WAIT):
        run_jobs()
        assert codes(healthy) == []
    with moved(alert_limits.EVENTS_WAIT + SECOND):
        assert codes(healthy) == ["events_wait"]
        process_batch()
        assert codes(healthy) == []


def test_a_redemption_that_waits_too_long(healthy: TestClient) -> None:
    deliver(healthy, order_event(order(lines=[line(price=500)])))
    process_batch()
    headers = {**tokens.customer(), "idempotency-key": "key"}
    healthy.post("/store/dust/redemptions", json={"dust": 100, "currency_code": "eur"}, headers=headers)
    with moved(alert_limits.REDEMPTIONS_WAIT):
        assert codes(healthy) == []
    with moved(alert_limits.REDEMPTIONS_WAIT + SECOND):
        assert codes(healthy) == ["redemptions_wait"]


def test_jobs_that_are_late(healthy: TestClient) -> None:
    before = now()
    with moved(alert_limits.BEAT_STOPPED):
        assert alerts(healthy) == []
    with moved(alert_limits.AUDIT_STOPPED):
        assert codes(healthy) == ["beat_stopped", "reconcile_stopped"]
    with moved(alert_limits.AUDIT_STOPPED + SECOND):
        raised = alerts(healthy)
        assert [alert["code"] for alert in raised] == ["beat_stopped", "reconcile_stopped", "audit_stopped"]
        assert {alert["since"] for alert in raised} == {before.isoformat().replace("+00:00", "Z")}
        run_jobs()
        assert alerts(healthy) == []


def test_jobs_that_never_ran(api: TestClient) -> None:
    (alert,) = alerts(api)
    assert (alert["code"], alert["since"]) == ("beat_stopped", None)
    deliver(api, event("cart.updated", {"id": "cart_1"}))
    with moved(alert_limits.AUDIT_STOPPED + SECOND):
        assert codes(api) == ["beat_stopped", "reconcile_stopped", "audit_stopped"]


def test_without_a_configured_medusa_its_poll_is_never_late(
    healthy: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DUST_MEDUSA_URL")
    get_settings.cache_clear()
    with moved(alert_limits.RECONCILE_STOPPED + SECOND):
        assert codes(healthy) == ["beat_stopped"]


def test_an_audit_that_found_errors_says_since_when(healthy: TestClient) -> None:
    deliver(healthy, order_event(order()))
    process_batch()
    with transaction() as connection:
        connection.execute(text("UPDATE dust_balance SET balance = balance + 1"))
    first = now()
    upkeep.audit.run()
    (alert,) = alerts(healthy)
    assert (alert["code"], alert["severity"]) == ("audit_failed", "critical")
    assert alert["count"] >= 1
    with moved(timedelta(hours=1)):
        upkeep.audit.run()
        (again,) = (alert for alert in alerts(healthy) if alert["code"] == "audit_failed")
        assert again["since"] == first.isoformat().replace("+00:00", "Z")
        with transaction() as connection:
            connection.execute(text("UPDATE dust_balance SET balance = balance - 1"))
        upkeep.audit.run()
        assert "audit_failed" not in codes(healthy)


def test_outgoing_webhooks(healthy: TestClient, receiver: Receiver) -> None:
    receiver.answer = status(410)
    healthy.post("/admin/dust/outgoing-webhooks/ping", headers=tokens.admin())
    with moved(alert_limits.OUTGOING_WEBHOOKS_WAIT):
        run_jobs()
        assert alerts(healthy) == []
    with moved(alert_limits.OUTGOING_WEBHOOKS_WAIT + SECOND):
        assert codes(healthy) == ["outgoing_webhooks_wait"]
        send_waiting(seconds=20)
        (alert,) = alerts(healthy)
        assert (alert["code"], alert["count"]) == ("outgoing_webhooks_failed", 1)
        assert alert["message"] == "1 outgoing webhook failed."


def test_a_test_webhook_is_sent_and_its_answer_is_kept(
    api: TestClient, receiver: Receiver, enqueued: list[Any]
) -> None:
    response = api.post("/admin/dust/outgoing-webhooks/ping", headers=tokens.admin())
    assert (response.status_code, enqueued) == (202, [(OUTGOING_SEND,)])
    assert send_waiting(seconds=20) == 1
    assert (receiver.types, receiver.ids) == (["dust.test"], [response.json()["id"]])
    webhook = api.get(f"/admin/dust/outgoing-webhooks/{response.json()['id']}", headers=tokens.admin()).json()
    assert [delivery["status"] for delivery in webhook["deliveries"]] == [204]


def test_a_test_webhook_does_not_wait_for_a_receiver_that_was_away(api: TestClient, receiver: Receiver) -> None:
    receiver.answer = status(503)
    api.post("/admin/dust/outgoing-webhooks/ping", headers=tokens.admin())
    send_waiting(seconds=20)
    receiver.answer = status(204)
    api.post("/admin/dust/outgoing-webhooks/ping", headers=tokens.admin())
    assert send_waiting(seconds=20) == 1


def test_without_a_receiver_there_is_no_test(api: TestClient) -> None:
    response = api.post("/admin/dust/outgoing-webhooks/ping", headers=tokens.admin())
    assert (response.status_code, response.json()["code"]) == (409, "outgoing_webhooks_off")


def replay(api: TestClient, **window: Any) -> Any:
    response = api.post("/admin/dust/outgoing-webhooks/replay", json=window, headers=tokens.admin())
    assert response.status_code == 202, response.text
    return response.json()["webhooks"]


def test_a_window_is_counted_and_then_sent_again_with_the_same_ids(
    api: TestClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_REPLAYED_AT_ONCE", 2)
    for minute in range(6):
        with moved(timedelta(minutes=minute)):
            api.post("/admin/dust/outgoing-webhooks/ping", headers=tokens.admin())
            if minute < 5:
                send_waiting(seconds=20)
    first = list(receiver.ids)
    since = (now() + timedelta(minutes=1)).isoformat()
    until = (now() + timedelta(minutes=4)).isoformat()
    with moved(timedelta(minutes=6)):
        assert replay(api, since=since, until=until, dry_run=True) == 3
        # The last one waits anyway.
        assert replay(api, since=since, dry_run=True) == 4
        assert replay(api, since=since, type="dust.earned", dry_run=True) == 0
        assert send_waiting(seconds=20) == 1
        assert replay(api, since=since, until=until) == 3
        send_waiting(seconds=20)
    assert receiver.ids[6:] == first[1:4]


@pytest.mark.parametrize("window", [{}, {"since": "yesterday"}, {"since": "2026-11-01T00:00:00"}, {"since": 1, "x": 2}])
def test_an_invalid_time_window_is_refused(api: TestClient, window: dict[str, Any]) -> None:
    response = api.post("/admin/dust/outgoing-webhooks/replay", json=window, headers=tokens.admin())
    assert response.status_code == 422
