"""Outbox: writes a notice in the transaction of the change that it reports, so that both are committed or neither."""

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

# A receiver that is down for a night and a morning still gets everything. After that a mail would be outdated.
GIVE_UP_AFTER = timedelta(hours=24)
# Long enough to check last month's complaint. All data in a notice is stored elsewhere too.
KEPT_FOR = timedelta(days=30)


class NoticeType(StrEnum):
    """Types of notices, for mails to customers. `dust.failed` is for the shop itself."""

    EARNED = "dust.earned"
    REDEEMED = "dust.redeemed"
    EXPIRING = "dust.expiring"
    EXPIRED = "dust.expired"
    FAILED = "dust.failed"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One outgoing webhook. `data` has ids, amounts and times, and no personal data."""

    type: NoticeType
    customer_id: CustomerId | None
    data: Mapping[str, Any]
    version: int | None = None


def wanted() -> bool:
    """Whether outgoing webhooks are configured. Every posting asks, so it only reads a setting in memory."""
    return get_settings().notify_url is not None


def put(connection: Connection, notices: Iterable[Notice], *, now: datetime) -> None:
    """Write notices, to be sent in this order after the commit. Does nothing without `DUST_NOTIFY_URL`."""
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
    """Delete all notices about these customers, with the receiver's responses. Returns their number."""
    theirs = select(notice.c.id).where(notice.c.customer_id.in_(list(customer_ids)))
    ids = list(connection.scalars(theirs.order_by(notice.c.id).with_for_update()))
    return connection.execute(delete(notice).where(among(notice.c.id, ids))).rowcount


def prune(connection: Connection, *, now: datetime) -> int:
    """Delete notices older than `KEPT_FOR`, in any state. Returns their number."""
    old = select(notice.c.id).where(notice.c.created_at < now - KEPT_FOR).with_for_update(skip_locked=True)
    return connection.execute(delete(notice).where(notice.c.id.in_(old))).rowcount
