"""GET /metrics: exact figures of the whole installation, cheap in a large shop, and available without Postgres."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.api import health
from bridge.clock import now
from bridge.db import get_engine, transaction
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, RetryLater, process_event
from bridge.inbox.reconcile import reconcile
from bridge.ledger.tables import ledger_total
from bridge.ledger.totals import KindTotal, fold, read_kind_totals
from bridge.medusa.client import get_medusa
from bridge.observability import metrics
from bridge.operations import metrics_collector
from bridge.settings import get_settings
from tests.support import tokens
from tests.support.clock import moved
from tests.support.databases import lost_database
from tests.support.deliveries import OTHER_WEBHOOK_SECRET, deliver, signed_headers
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, line, order, order_event
from tests.support.scrape import scrape
from workers import redemptions, upkeep


@pytest.fixture(autouse=True)
def _counts_of_this_test_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    metrics.start_over()
    health._registry.cache_clear()
    monkeypatch.setattr(metrics_collector, "_SHOWN_AGAIN_SECONDS", 0)
    yield
    health._registry.cache_clear()


def earn(api: TestClient, order_id: str = "order_1", price: float = 500) -> None:
    deliver(api, order_event(order(order_id, lines=[line(price=price)])))
    process_batch()


def redeem(api: TestClient, dust: int = 100) -> str:
    headers = {**tokens.customer(), "idempotency-key": "key"}
    response = api.post("/store/dust/redemptions", json={"dust": dust, "currency_code": "eur"}, headers=headers)
    return str(response.json()["redemption"]["id"])


def test_the_webhook_endpoint_counts_by_type_and_receipt(api: TestClient) -> None:
    body = order_event(order())
    deliver(api, body, event_id="msg_1")
    deliver(api, body, event_id="msg_1")
    deliver(api, event("cart.updated", {"id": "cart_1"}))
    metric = scrape(api)
    assert metric("dust_events_received_total", type="order.placed", receipt="accepted") == 1
    assert metric("dust_events_received_total", type="order.placed", receipt="duplicate") == 1
    assert metric("dust_events_received_total", type="other", receipt="ignored") == 1


def test_unknown_event_types_create_no_metric_labels(api: TestClient) -> None:
    for number in range(20):
        deliver(api, event(f"invented.{number}", {"id": "x"}))
    assert scrape(api).labels("dust_events_received_total", "type") == {"other"}


def test_the_webhook_endpoint_counts_what_it_refuses(api: TestClient) -> None:
    body = order_event(order())
    api.post("/webhooks/medusa", content=body, headers=signed_headers(body, secret=OTHER_WEBHOOK_SECRET))
    deliver(api, b"[]")
    metric = scrape(api)
    assert metric("dust_webhooks_refused_total", code="bad_signature") == 1
    assert metric("dust_webhooks_refused_total", code="malformed_event") == 1


def test_waiting_events_are_counted_and_the_oldest_has_its_age(api: TestClient) -> None:
    deliver(api, order_event(order()))
    with moved(timedelta(minutes=7)):
        metric = scrape(api)
    assert metric("dust_events", state="pending", type="order.placed") == 1
    assert metric("dust_events_oldest_waiting_seconds") == pytest.approx(420, abs=10)
    process_batch()
    metric = scrape(api)
    assert metric("dust_events", state="pending", type="order.placed") is None
    assert metric("dust_events_oldest_waiting_seconds") == 0
    assert metric("dust_events_handled_total", type="order.placed") == 1


def test_what_is_rescheduled_failed_and_retried_is_counted_with_its_reason(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUST_RETRY_ATTEMPTS", "2")
    get_settings.cache_clear()
    medusa.away = True
    deliver(api, event("order.placed", {"id": "order_1"}), event_id="msg_1")
    with pytest.raises(RetryLater):
        process_event("msg_1")
    with pytest.raises(EventFailed):
        process_event("msg_1")
    metric = scrape(api)
    assert metric("dust_events_rescheduled_total", code="medusa_unavailable") == 1
    assert metric("dust_events_failed_total", type="order.placed", code="medusa_unavailable") == 1
    assert metric("dust_events", state="failed", type="order.placed") == 1
    assert metric("dust_events_failed_now", code="medusa_unavailable") == 1
    assert metric("dust_medusa_errors_total", call="GET /admin/orders/:id", reason="medusa_unavailable") == 2
    api.post("/admin/dust/events/msg_1/retry", headers=tokens.admin())
    metric = scrape(api)
    assert metric("dust_events_retried_total") == 1
    assert metric("dust_events", state="failed", type="order.placed") is None


def test_calls_to_medusa_have_their_time_under_a_name_without_ids(api: TestClient, medusa: FakeMedusa) -> None:
    for order_id in ("order_1", "order_2"):
        medusa.orders[order_id] = order(order_id)
        deliver(api, event("order.placed", {"id": order_id}), event_id=order_id)
        process_event(order_id)
    metric = scrape(api)
    assert metric("dust_medusa_call_seconds_count", call="GET /admin/orders/:id") == 2
    assert metric("dust_medusa_call_seconds_bucket", call="GET /admin/orders/:id", le="+Inf") == 2


def test_ledger_metrics_equal_the_ledger(api: TestClient, medusa: FakeMedusa) -> None:
    earn(api)
    redemption = redeem(api)
    metric = scrape(api)
    assert metric("dust_outstanding") == 500
    assert metric("dust_held") == 100
    assert metric("dust_redemptions_open", state="pending") == 1
    redemptions.advance.run(redemption)
    assert scrape(api)("dust_redemptions_open", state="active") == 1
    code = next(iter(medusa.live_codes()))
    deliver(api, order_event(order("order_2", lines=[line(price=10, discount=1, code=code)])))
    process_batch()
    metric = scrape(api)
    assert metric("dust_redemptions_ended_total", state="captured") == 1
    assert metric("dust_debited_total", kind="redeem") == 100
    assert metric("dust_credited_total", kind="earn") == 509
    assert metric("dust_outstanding") == 409
    assert (metric("dust_held"), metric("dust_pending"), metric("dust_debt")) == (0, 0, 0)


def test_the_totals_equal_the_postings_of_a_batch(api: TestClient) -> None:
    for number in range(3):
        deliver(api, order_event(order(f"order_{number}", lines=[line(price=100)])))
    deliver(api, order_event(order("order_0", status="canceled", version=2), "order.canceled"))
    process_batch()
    with transaction() as connection:
        # Of the first order the batch met only the newest facts: canceled.
        assert read_kind_totals(connection) == [
            KindTotal(kind="earn", postings=2, credited=200, debited=0, held=0, pending=0)
        ]


def test_folding_changes_no_total_and_leaves_a_row_a_kind(api: TestClient) -> None:
    for number in range(5):
        earn(api, f"order_{number}", 10)
    before = scrape(api)("dust_credited_total", kind="earn")
    with transaction() as connection:
        assert fold(connection) == 5
    with transaction() as connection:
        assert connection.execute(ledger_total.select()).one().postings == 5
        assert fold(connection) == 1
    assert scrape(api)("dust_credited_total", kind="earn") == before == 50


def test_a_rolled_back_posting_is_in_no_total(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.inbox.process_batch.mark_handled", lambda *_: 1 / 0)
    deliver(api, order_event(order()))
    process_batch()
    assert scrape(api)("dust_outstanding") == 0


def test_the_audit_says_when_it_ran_and_what_it_found(api: TestClient) -> None:
    earn(api)
    assert scrape(api)("dust_audit_timestamp_seconds") == 0
    upkeep.audit.run()
    metric = scrape(api)
    assert metric("dust_audit_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    assert metric("dust_audit_breaches", check="hash_chain_holds") == 0
    with transaction() as connection:
        connection.execute(text("UPDATE dust_balance SET balance = balance + 1"))
    upkeep.audit.run()
    assert scrape(api)("dust_audit_breaches", check="balance_is_sum_of_rows") == 1
    with transaction() as connection:
        connection.execute(text("UPDATE dust_balance SET balance = balance - 1"))


def test_totals_that_differ_from_the_ledger_are_a_violation(api: TestClient) -> None:
    earn(api)
    wrong = ledger_total.insert().values(kind="earn", postings=0, credited=1, debited=0, held=0, pending=0)
    with transaction() as connection:
        connection.execute(wrong)
    upkeep.audit.run()
    assert scrape(api)("dust_audit_breaches", check="totals_match_the_ledger") == 1
    with transaction() as connection:
        connection.execute(text("DELETE FROM ledger_total WHERE postings = 0"))


def test_the_clock_and_the_poll_say_when_they_last_ran(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order()
    assert scrape(api)("dust_beat_timestamp_seconds") == 0
    upkeep.heartbeat.run()
    reconcile(get_medusa())
    metric = scrape(api)
    assert metric("dust_beat_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    assert metric("dust_reconcile_timestamp_seconds") == pytest.approx(time.time(), abs=60)


def test_drift_is_counted(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.orders["order_1"] = order(placed=now() - timedelta(minutes=1))
    reconcile(get_medusa())
    assert scrape(api)("dust_drift_found_total", what="orders") == 1


def test_requests_are_timed_by_route_and_unknown_ones_by_none(api: TestClient) -> None:
    api.get("/admin/dust/events/msg_1", headers=tokens.admin())
    api.get("/store/dust/balance")
    api.get("/whatever/4711")
    api.request("INVENTED", "/whatever")
    metric = scrape(api)
    route = "/admin/dust/events/{event_id}"
    assert metric("dust_http_request_seconds_count", method="GET", route="/store/dust/balance", status="4xx") == 1
    assert metric("dust_http_request_seconds_count", method="GET", route=route, status="4xx") == 1
    assert metric("dust_http_request_seconds_count", method="GET", route="none", status="4xx") == 1
    assert metric("dust_http_request_seconds_count", method="other", route="none", status="4xx") == 1


def test_another_process_s_counts_are_shown_too(api: TestClient) -> None:
    metrics.EVENTS_RETRIED.inc(3)
    metrics.save_counts()
    metrics.start_over()
    metrics.EVENTS_RETRIED.inc(4)
    assert scrape(api)("dust_events_retried_total") == 7
    assert scrape(api)("dust_events_retried_total") == 7


def test_counts_wait_for_the_database(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    url = get_settings().database_url
    metrics.EVENTS_RETRIED.inc()
    with lost_database(monkeypatch):
        metrics._Keeper._save()
    assert get_settings().database_url == url
    assert scrape(api)("dust_events_retried_total") == 1


def test_without_the_database_it_still_answers(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scrape(api)("dust_database_up") == 1
    with lost_database(monkeypatch):
        metric = scrape(api)
    assert metric("dust_database_up") == 0
    assert "dust_outstanding" not in metric.families
    assert metric("process_start_time_seconds") is not None


def test_a_query_that_hangs_is_cut_off(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_collector, "_TIMEOUT_MS", 100)
    monkeypatch.setattr(
        metrics_collector, "read_debt", lambda connection: connection.execute(text("SELECT pg_sleep(30)"))
    )
    started = time.monotonic()
    assert scrape(api)("dust_database_up") == 0
    assert time.monotonic() - started < 5


def test_metrics_are_cached_for_a_few_seconds(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_collector, "_SHOWN_AGAIN_SECONDS", 60)
    assert scrape(api)("dust_outstanding") == 0
    earn(api)
    assert scrape(api)("dust_outstanding") == 0


def test_a_scrape_of_a_large_inbox_uses_the_indexes_of_open_events(api: TestClient) -> None:
    deliver(api, order_event(order()))
    with transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO webhook_event (id, type, source, payload, event_at, received_at, state)"
                " SELECT 'old_' || n, 'order.placed', 'webhook', '{}', :now, :now - n * interval '1 s', 'handled'"
                " FROM generate_series(1, 100000) n"
            ),
            {"now": now()},
        )
        connection.execute(text("ANALYZE webhook_event"))
    statements = statements_of_a_scrape(api)
    assert not any("dust_transaction" in statement for statement, _ in statements)
    about_events = [(statement, values) for statement, values in statements if "FROM webhook_event" in statement]
    assert len(about_events) == 4
    with transaction() as connection:
        for statement, values in about_events:
            plan = "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", values))
            assert "ix_webhook_event_due" in plan or "ix_webhook_event_failed" in plan, plan


def statements_of_a_scrape(api: TestClient) -> list[tuple[str, Any]]:
    statements: list[tuple[str, Any]] = []

    def listen(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        statements.append((statement, values))

    sqlalchemy.event.listen(get_engine(), "before_cursor_execute", listen)
    scrape(api)
    sqlalchemy.event.remove(get_engine(), "before_cursor_execute", listen)
    return statements
