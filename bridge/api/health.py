"""Is it alive, is it ready, and how long has anything been waiting."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.inbox.listing import oldest_waiting
from bridge.problems import describe_problems, problem
from bridge.redemptions.promises import oldest_promise
from bridge.settings import get_settings

router = APIRouter(tags=["health"])


class Live(BaseModel):
    status: str = "ok"


class Ready(BaseModel):
    status: str
    oldest_waiting_event_seconds: float | None
    oldest_waiting_promise_seconds: float | None


@router.get("/health/live")
def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/health/ready", response_model=Ready, responses=describe_problems(503))
def ready() -> Response:
    """It can do its work: the database is there and its tables are. Says how old the oldest waiting work is."""
    missing = [
        f"DUST_{name.upper()}" for name in ("webhook_secrets", "admin_token") if not getattr(get_settings(), name)
    ]
    try:
        with transaction() as connection:
            migrated = connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
            event, promise = (oldest_waiting(connection), oldest_promise(connection)) if migrated else (None, None)
        missing += [] if migrated else ["migrations"]
    except Unavailable:
        missing.append("database")
    if missing:
        return problem(503, "not_ready", f"Missing: {', '.join(missing)}.", missing=missing)
    answer: dict[str, Any] = {
        "status": "ok",
        "oldest_waiting_event_seconds": _age(event),
        "oldest_waiting_promise_seconds": _age(promise),
    }
    return JSONResponse(answer)


@router.get("/metrics", include_in_schema=False)
def metrics() -> Response:
    """Prometheus metrics of this process."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _age(moment: datetime | None) -> float | None:
    return None if moment is None else max(0.0, (now() - moment).total_seconds())
