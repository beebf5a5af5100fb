"""OpenTelemetry traces, sent to OTEL_EXPORTER_OTLP_ENDPOINT if it is set.

A trace starts at the webhook. Its context is stored with the event (`webhook_event.traceparent`), so that the worker
that processes the event later continues the trace: settlement, ledger, calls to Medusa. The libraries come with the
extra `tracing`. Without an endpoint they are not imported, and `span` does nothing.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import structlog

from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.observability.trace_export import OtlpTracer

log = structlog.get_logger(__name__)

_NOTHING: AbstractContextManager[None] = nullcontext()


_tracer: "OtlpTracer | None" = None


def set_up_tracing(settings: Settings, service: str) -> None:
    """Start to send this process's spans under the name `service`. Call it after a fork, not before."""
    global _tracer
    if not settings.otlp_endpoint or _tracer is not None:
        return
    try:
        from bridge.observability.trace_export import OtlpTracer
    except ImportError:
        log.warning(
            "tracing_is_off", reason="OTEL_EXPORTER_OTLP_ENDPOINT is set, but dust-loyalty[tracing] is not installed"
        )
        return
    _tracer = OtlpTracer(service)


def stop_tracing() -> None:
    """Send the remaining spans and stop."""
    global _tracer
    if _tracer is not None:
        _tracer.close()
        _tracer = None


def span(
    name: str, *, parent: str | None = None, links: Iterable[str] = (), **attributes: Any
) -> AbstractContextManager[Any]:
    """A span of the trace for the duration of the block. An exception that leaves the block marks it as an error.

    `parent` and `links` are W3C `traceparent`s: the span that it continues, and other spans that it relates to.
    """
    return _NOTHING if _tracer is None else _tracer.span(name, parent, links, attributes)


def current_traceparent() -> str | None:
    """The `traceparent` of the current span, for another process to continue; None without tracing."""
    return None if _tracer is None else _tracer.traceparent()
