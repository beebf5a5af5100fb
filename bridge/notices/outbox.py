"""Write a notice, in the transaction that does what it tells of: both are there or neither is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from bridge.db.bulk import among
from bridge.ids import CustomerId, new_id
from bridge.notices.tables import NoticeState, notice
from bridge.settings import get_settings

# A receiver that is away for a night and a morning still gets everything; a mail about it would be stale later.
GIVE_UP_AFTER = timedelta(hours=24)
# Long enough to look into last month's complaint. Nothing in a notice is kept only there.
KEPT_FOR = timedelta(days=30)


class NoticeType(StrEnum):
    """What a shop may want to write to its customers about; `failed` is for the shop itself."""

    EARNED = "dust.earned"
    REDEEMED = "dust.redeemed"
    EXPIRING = "dust.expiring"
    EXPIRED = "dust.expired"
    FAILED = "dust.failed"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something to tell. `data` holds ids, amounts and times, and nothing that says who somebody is."""

    type: NoticeType
    customer_id: CustomerId | None
    data: Mapping[str, Any]
    version: int | None = None


def wanted() -> bool:
    """Whether anybody is to be told; asked on every posting, so it costs a look into memory and nothing else."""
    return get_settings().notify_url is not None


def put(connection: Connection, notices: Iterable[Notice], *, now: datetime) -> None:
    """Write these, to be sent in this order once the transaction has been committed; nothing where nobody listens."""
    if not wanted():
        return
    rows = [
        {
            "id": new_id("dntc"),
            "type": each.type.value,
            "customer_id": each.customer_id,
            "version": each.version,
            "data": dict(each.data),
            "created_at": now,
            "state": NoticeState.WAITING.value,
            "next_attempt_at": now,
            "give_up_at": now + GIVE_UP_AFTER,
        }
        for each in notices
    ]
    if rows:
        connection.execute(insert(notice), rows)


def forget_customers(connection: Connection, customer_ids: Iterable[CustomerId]) -> int:
    """Drop every notice about these customers, with what the receiver answered; how many there were."""
    theirs = select(notice.c.id).where(notice.c.customer_id.in_(list(customer_ids)))
    ids = list(connection.scalars(theirs.order_by(notice.c.id).with_for_update()))
    return connection.execute(delete(notice).where(among(notice.c.id, ids))).rowcount


def prune(connection: Connection, *, now: datetime) -> int:
    """Drop what is older than `KEPT_FOR`, delivered or not; how many."""
    old = select(notice.c.id).where(notice.c.created_at < now - KEPT_FOR).with_for_update(skip_locked=True)
    return connection.execute(delete(notice).where(notice.c.id.in_(old))).rowcount
