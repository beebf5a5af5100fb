"""Admin API: compare with Medusa now."""

from datetime import datetime

from pydantic import BaseModel, Field

from bridge.api.admin.routing import admin_router
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body
from bridge.http.thread_limits import FOR_OPERATORS
from bridge.inbox.reconcile import reconcile
from bridge.medusa.client import get_medusa
from bridge.medusa.times import IsoTime
from bridge.queue.enqueue import INBOX_DRAIN, enqueue

router = admin_router()


class ReconcileRequest(Body):
    since: IsoTime | None = Field(None, description="Start of the comparison; default: the last poll")
    dry_run: bool = False


class ReconcileResponse(BaseModel):
    since: datetime
    dry_run: bool
    orders_seen: int
    drifted: list[str] = Field(description="Orders whose changes Dust had not received")
    customers: list[str] = Field(description="New customers whose event Dust had not received")
    unreadable: list[str]


@router.post("/reconcile", responses=describe_problems(400, 409, 422, 503))
async def reconcile_now(body: ReconcileRequest | None = None) -> ReconcileResponse:
    """Compare with Medusa now. Changes found go through the inbox like any event."""
    return await FOR_OPERATORS.run(_reconcile_now, body or ReconcileRequest())


def _reconcile_now(body: ReconcileRequest) -> ReconcileResponse:
    result = reconcile(get_medusa(), since=body.since, dry_run=body.dry_run)
    if not body.dry_run:
        enqueue(INBOX_DRAIN)
    return ReconcileResponse(**vars(result), dry_run=body.dry_run)
