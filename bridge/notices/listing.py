"""Queries on outgoing webhooks for operators, and retries."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from bridge.errors import NotFound
from bridge.ids import CustomerId
from bridge.notices.outbox import GIVE_UP_AFTER
from bridge.notices.tables import NoticeState, notice, notice_attempt, notice_gate

# Counting stops here, because charts and alerts need no higher number.
_MOST = 100_000


class UnknownDelivery(NotFound):
    """There is no notice with this id, or it was deleted after 30 days."""

    code = "unknown_delivery"

    def __init__(self, notice_id: str) -> None:
        super().__init__(f"There is no delivery {notice_id}; old ones are dropped after 30 days.")


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One notice and the state of its delivery."""

    id: str
    seq: int
    type: str
    customer_id: str | None
    data: dict[str, Any]
    state: NoticeState
    attempts: int
    reason: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class LoggedAttempt:
    at: datetime
    milliseconds: int
    status: int | None
    reason: str | None
    answer: str | None


def list_deliveries(
    connection: Connection,
    *,
    state: NoticeState | None = None,
    type: str | None = None,
    customer_id: CustomerId | None = None,
    before: int | None = None,
    limit: int,
) -> list[Delivery]:
    """Notices, newest first. `before` is the last `seq` of the previous page."""
    query = select(notice).order_by(notice.c.seq.desc()).limit(limit)
    if state is not None:
        query = query.where(notice.c.state == state.value)
    if type is not None:
        query = query.where(notice.c.type == type)
    if customer_id is not None:
        query = query.where(notice.c.customer_id == customer_id)
    if before is not None:
        query = query.where(notice.c.seq < before)
    return [_delivery(row._mapping) for row in connection.execute(query)]


def read_delivery(connection: Connection, notice_id: str) -> Delivery:
    """One notice. Raises `UnknownDelivery`."""
    row = connection.execute(select(notice).where(notice.c.id == notice_id)).one_or_none()
    if row is None:
        raise UnknownDelivery(notice_id)
    return _delivery(row._mapping)


def read_log(connection: Connection, notice_id: str) -> list[LoggedAttempt]:
    """Every attempt to deliver it, oldest first."""
    columns = [notice_attempt.c[name] for name in LoggedAttempt.__dataclass_fields__]
    query = select(*columns).where(notice_attempt.c.notice_id == notice_id).order_by(notice_attempt.c.id)
    return [LoggedAttempt(**row._mapping) for row in connection.execute(query)]


def retry_delivery(connection: Connection, notice_id: str, *, now: datetime) -> bool:
    """Send a parked or delivered notice again with the same id. A receiver may have lost a delivered one.

    Returns False if it is waiting already. Raises `UnknownDelivery`.
    """
    state = connection.scalar(select(notice.c.state).where(notice.c.id == notice_id).with_for_update())
    if state is None:
        raise UnknownDelivery(notice_id)
    if state == NoticeState.WAITING:
        return False
    connection.execute(update(notice).where(notice.c.id == notice_id).values(**_afresh(now)))
    _end_rest(connection, now)
    return True


def retry_parked(connection: Connection, *, now: datetime) -> int:
    """Send every parked notice again. Returns their number."""
    retried = connection.execute(
        update(notice).where(notice.c.state == NoticeState.PARKED.value).values(**_afresh(now))
    ).rowcount
    _end_rest(connection, now)
    return retried


def _afresh(now: datetime) -> dict[str, Any]:
    return {
        "state": NoticeState.WAITING.value,
        "attempts": 0,
        "next_attempt_at": now,
        "give_up_at": now + GIVE_UP_AFTER,
        "delivered_at": None,
        "reason": None,
    }


def _end_rest(connection: Connection, now: datetime) -> None:
    """End the pause of the address, because an operator who retries has fixed it. An active sender is not affected."""
    connection.execute(update(notice_gate).where(notice_gate.c.holder.is_(None)).values(closed_until=now))


def count_open(connection: Connection) -> dict[NoticeState, int]:
    """Number of waiting and of parked notices, up to `_MOST` of each. Partial indexes cover them."""
    return {state: _count(connection, state) for state in (NoticeState.WAITING, NoticeState.PARKED)}


def _count(connection: Connection, state: NoticeState) -> int:
    some = select(notice.c.seq).where(notice.c.state == state.value).limit(_MOST).subquery()
    return int(connection.scalar(select(func.count()).select_from(some)) or 0)


def oldest_waiting_notice(connection: Connection) -> datetime | None:
    """Creation time of the oldest waiting notice; None if there is none."""
    due = select(notice.c.created_at).where(notice.c.state == NoticeState.WAITING.value)
    some = due.order_by(notice.c.next_attempt_at).limit(_MOST).subquery()
    oldest: datetime | None = connection.scalar(select(func.min(some.c.created_at)))
    return oldest


def _delivery(row: Any) -> Delivery:
    values = {name: row[name] for name in Delivery.__dataclass_fields__}
    return Delivery(**{**values, "state": NoticeState(row["state"])})
