"""Violations that the audit reports only after a grace period."""

from datetime import timedelta

from fastapi.testclient import TestClient

from bridge.inbox.process_batch import process_batch
from bridge.operations.audit import audit
from tests.support.clock import moved
from tests.support.deliveries import deliver
from tests.support.orders import order, order_event


def test_an_event_that_waits_is_a_violation_after_a_grace_period(api: TestClient) -> None:
    deliver(api, order_event(order()), event_id="msg_1")
    assert audit() == []
    with moved(timedelta(hours=2)):
        assert [(breach.check, breach.subject) for breach in audit()] == [("no_event_is_overdue", "msg_1")]
    process_batch()


def test_a_guests_dust_may_wait_past_its_end_until_the_next_sweep(api: TestClient) -> None:
    deliver(api, order_event(order(guest=True, email="guest@example.com")), event_id="msg_1")
    process_batch()
    with moved(timedelta(days=365)):
        assert [(breach.check, breach.subject) for breach in audit()] == [("no_escrow_is_overdue", "order_1")]
