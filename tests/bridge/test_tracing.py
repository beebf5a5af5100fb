"""A trace continues from the webhook to the worker, the ledger and Medusa. Without an endpoint nothing is loaded."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import select

from bridge.db import transaction
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, process_event
from bridge.inbox.tables import webhook_event
from bridge.observability import trace_export, tracing
from bridge.settings import Settings, load_settings
from tests.support.deliveries import deliver, signed_headers
from tests.support.medusa import FakeMedusa
from tests.support.orders import event, order, order_event

OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Spans:
    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def of(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.of(name)
        return span


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(trace_export, "BatchSpanProcessor", lambda _: SimpleSpanProcessor(exporter))
    tracing.set_up_tracing(Settings(otlp_endpoint="http://127.0.0.1:1"), "dust-test")
    yield Spans(exporter)
    tracing.stop_tracing()


def test_a_single_event_is_one_trace_from_the_webhook_to_medusa(
    spans: Spans, api: TestClient, medusa: FakeMedusa
) -> None:
    medusa.orders["order_1"] = order()
    deliver(api, event("order.placed", {"id": "order_1"}), event_id="msg_1")
    process_event("msg_1")
    names = ("POST", "inbox.handle", "medusa GET /admin/orders/:id", "settlement.settle")
    named = [spans.one(name) for name in names]
    assert len({trace_of(span) for span in named}) == 1
    webhook, handled, call, settled = named
    assert parent_of(handled) == id_of(webhook)
    assert [parent_of(span) for span in (call, settled)] == [id_of(handled)] * 2
    assert (handled.attributes or {})["event_id"] == "msg_1"


def test_medusa_receives_the_trace(spans: Spans, api: TestClient, medusa: FakeMedusa, monkeypatch: Any) -> None:
    reported: list[str] = []
    answer = medusa.handle

    def listen(method: str, path: str, query: Any, body: Any, headers: Any) -> Any:
        reported.append(headers.get("traceparent"))
        return answer(method, path, query, body, headers)

    monkeypatch.setattr(medusa, "handle", listen)
    deliver(api, event("order.placed", {"id": "order_9"}), event_id="msg_1")
    with pytest.raises(EventFailed):
        process_event("msg_1")
    assert reported[0].split("-")[1] == f"{trace_of(spans.one('inbox.handle')):032x}"


def test_an_event_processed_alone_continues_its_trace(spans: Spans, api: TestClient) -> None:
    deliver(api, order_event(order()))
    process_batch()
    assert trace_of(spans.one("POST")) == trace_of(spans.one("inbox.drain")) == trace_of(spans.one("settlement.settle"))


def test_an_empty_inbox_makes_no_spans(spans: Spans, api: TestClient) -> None:
    process_batch()
    assert spans.of("inbox.drain") == []


def test_a_batch_is_linked_to_the_traces_of_its_events(spans: Spans, api: TestClient) -> None:
    for number in range(3):
        deliver(api, order_event(order(f"order_{number}")))
    process_batch()
    batch = spans.one("inbox.drain")
    assert {link.context.trace_id for link in batch.links} == {trace_of(span) for span in spans.of("POST")}


def test_the_trace_of_the_caller_is_continued(spans: Spans, api: TestClient) -> None:
    body = order_event(order())
    api.post("/webhooks/medusa", content=body, headers={**signed_headers(body), "traceparent": OTHER})
    process_batch()
    assert f"{trace_of(spans.one('settlement.settle')):032x}" == OTHER.split("-")[1]


def test_a_malformed_trace_is_ignored(spans: Spans, api: TestClient) -> None:
    body = order_event(order())
    headers = {**signed_headers(body), "traceparent": "ÿ" * 300}
    response = api.post("/webhooks/medusa", content=body, headers={k: v.encode("latin-1") for k, v in headers.items()})
    assert response.status_code == 202


def test_a_failed_attempt_marks_its_span(spans: Spans, api: TestClient, medusa: FakeMedusa) -> None:
    deliver(api, event("order.placed", {"id": "order_9"}), event_id="msg_1")
    with pytest.raises(EventFailed):
        process_event("msg_1")
    assert not spans.one("inbox.handle").status.is_ok


@pytest.mark.system
def test_without_an_endpoint_nothing_is_kept_or_loaded(api: TestClient) -> None:
    deliver(api, order_event(order()))
    with transaction() as connection:
        assert connection.scalar(select(webhook_event.c.traceparent)) is None
    code = (
        "import sys, bridge.app, workers.app; from bridge.observability.tracing import *; "
        "set_up_tracing(bridge.app.get_settings(), 'x'); print([m for m in sys.modules if 'opentelemetry.sdk' in m])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_endpoint_is_read_from_the_variable_of_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert load_settings(join_running=False).otlp_endpoint == "http://collector:4318"
