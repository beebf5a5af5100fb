"""Sends traces with OpenTelemetry. `tracing.py` imports this module only if an OTLP endpoint is set."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_HEADER = "traceparent"
_propagator = TraceContextTextMapPropagator()


class OtlpTracer:
    """Sends spans over OTLP/HTTP from a background thread. The OTEL_… variables configure it."""

    def __init__(self, service: str) -> None:
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("dust")

    @contextmanager
    def span(
        self, name: str, parent: str | None, links: Iterable[str], attributes: Mapping[str, Any]
    ) -> Iterator[None]:
        known = {key: value for key, value in attributes.items() if value is not None}
        span_links = [trace.Link(trace.get_current_span(_context(link)).get_span_context()) for link in links]
        context = _context(parent) if parent else None
        with self._tracer.start_as_current_span(name, context=context, links=span_links, attributes=known):
            yield

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get(_HEADER)

    def close(self) -> None:
        self._provider.shutdown()


def _context(traceparent: str) -> Context:
    return _propagator.extract({_HEADER: traceparent}, context=Context())
