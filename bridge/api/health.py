"""Health checks (liveness, readiness with the age of the oldest waiting work) and Prometheus metrics."""

from datetime import datetime
from functools import cache

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from pydantic import BaseModel, Field
from sqlalchemy import text

from bridge.clock import now
from bridge.db import migrations, transaction
from bridge.errors import Unavailable
from bridge.http.problems import describe_problems, problem
from bridge.inbox.queries import oldest_waiting
from bridge.operations.metrics_collector import DatabaseMetrics
from bridge.queue.broker import broker_problem
from bridge.redemptions.repository import oldest_pending
from bridge.settings import get_settings

router = APIRouter(tags=["health"])


class Live(BaseModel):
    status: str = "ok"


class Ready(BaseModel):
    status: str
    degraded: list[str] = Field(
        description="What is unavailable although requests are served: `broker`, `database_writes`"
    )
    oldest_waiting_event_seconds: float | None
    oldest_waiting_promise_seconds: float | None


@router.get("/health/live", responses=describe_problems(405))
async def live() -> Live:
    """Liveness: the process answers. It waits for no thread, no database and no Medusa."""
    return Live()


@router.get("/health/ready", response_model=Ready, responses=describe_problems(405, 503))
def ready() -> Response:
    """Readiness: the database is reachable and fully migrated. Returns the age of the oldest waiting work.

    Without the broker requests are still accepted and the sweep catches up later. A read-only database still serves
    balances. Both are `degraded`, not a 503.
    """
    missing = get_settings().missing("webhook_secrets", "admin_token")
    degraded = [] if _broker_answers() else ["broker"]
    event = redemption = None
    try:
        with transaction() as connection:
            if migrations.is_behind(migrations.current_revision(connection)):
                missing.append("migrations")
            else:
                event, redemption = oldest_waiting(connection), oldest_pending(connection)
            if connection.scalar(text("SHOW transaction_read_only")) == "on":
                degraded.append("database_writes")
    except Unavailable:
        missing.append("database")
    ages = {"oldest_waiting_event_seconds": _age(event), "oldest_waiting_promise_seconds": _age(redemption)}
    if missing:
        return problem(503, "not_ready", f"Missing: {', '.join(missing)}.", missing=missing, degraded=degraded)
    return JSONResponse({"status": "ok", "degraded": degraded, **ages})


def _broker_answers() -> bool:
    settings = get_settings()
    return settings.broker_url is not None and broker_problem(settings.broker_url, settings.broker_ca_file) is None


@cache
def _registry() -> CollectorRegistry:
    """Metrics of this process (memory, CPU time, garbage collection) and of the whole installation."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(DatabaseMetrics())
    return registry


@router.get("/metrics", include_in_schema=False)
def metrics() -> Response:
    """Prometheus metrics of the whole installation. `process_` and `python_` metrics are of the answering process."""
    return Response(generate_latest(_registry()), media_type=CONTENT_TYPE_LATEST)


def _age(moment: datetime | None) -> float | None:
    return None if moment is None else max(0.0, (now() - moment).total_seconds())
