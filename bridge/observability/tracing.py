"""OpenTelemetry traces, where OTEL_EXPORTER_OTLP_ENDPOINT says whom to send them to; otherwise nothing at all.

A trace starts at the webhook, and its context is kept with the event (`webhook_event.traceparent`), so that the worker
that handles the row, whenever that is, goes on with the same trace: settlement, ledger, calls to Medusa. The libraries
come with the extra `tracing`; without an endpoint they are not even imported, and `span` does nothing.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import structlog

from bridge.settings import Settings

log = structlog.get_logger(__name__)

_NOTHING: AbstractContextManager[None] = nullcontext()


class _Tracer(Protocol):
    def span(
        self, name: str, parent: str | None, links: Iterable[str], attributes: Mapping[str, Any]
    ) -> AbstractContextManager[Any]: ...

    def traceparent(self) -> str | None: ...

    def close(self) -> None: ...


_tracer: _Tracer | None = None


def set_up_tracing(settings: Settings, service: str) -> None:
    """Send this process's spans as those of `service`. Call it in the process itself, not before a fork."""
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
    """Send what is left."""
    global _tracer
    if _tracer is not None:
        _tracer.close()
        _tracer = None


def span(
    name: str, *, parent: str | None = None, links: Iterable[str] = (), **attributes: Any
) -> AbstractContextManager[Any]:
    """A step of the trace, for as long as the block lasts; an error that leaves the block marks it.

    `parent` and `links` are W3C `traceparent`s: what the step continues, and what else it is about.
    """
    return _NOTHING if _tracer is None else _tracer.span(name, parent, links, attributes)


def current_traceparent() -> str | None:
    """Where the trace stands, for somebody else to continue it; None without tracing."""
    return None if _tracer is None else _tracer.traceparent()
