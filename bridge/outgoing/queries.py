"""Queries on outgoing webhooks for operators, and retries."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, update

from bridge.clock import now
from bridge.db import transaction
from bridge.db.bulk import among, matching
from bridge.db.rows import TypedRow
from bridge.errors import Conflict, NotFound
from bridge.ids import CustomerId
from bridge.outgoing.outbox import GIVE_UP_AFTER, OutgoingWebhook, add_webhooks
from bridge.outgoing.tables import (
    OutgoingWebhookState,
    OutgoingWebhookType,
    outgoing_delivery,
    outgoing_sender,
    outgoing_webhook,
)

# Counting stops here, because charts and alerts need no higher number.
_MAX_COUNTED = 100_000
_REPLAYED_AT_ONCE = 1_000


class OutgoingWebhooksOff(Conflict):
    """No address for outgoing webhooks is configured."""

    code = "outgoing_webhooks_off"
    message = "Dust sends no outgoing webhooks: DUST_OUTGOING_WEBHOOK_URL is not set."


class UnknownWebhook(NotFound):
    """There is no webhook with this id, or it was deleted after 30 days."""

    code = "unknown_webhook"

    def __init__(self, webhook_id: str) -> None:
        super().__init__(f"There is no outgoing webhook {webhook_id}. They are deleted after 30 days.")


@dataclass(frozen=True, kw_only=True)
class StoredWebhook(TypedRow):
    """One webhook and the state of its delivery."""

    id: str
    seq: int
    type: OutgoingWebhookType
    customer_id: str | None
    data: dict[str, Any]
    state: OutgoingWebhookState
    attempts: int
    reason: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ReplayWindow:
    """Delivered and failed webhooks that were created at or after `since` and before `until`."""

    since: datetime
    until: datetime
    type: OutgoingWebhookType | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        yield outgoing_webhook.c.created_at >= self.since
        yield outgoing_webhook.c.created_at < self.until
        yield outgoing_webhook.c.state != OutgoingWebhookState.WAITING
        if self.type is not None:
            yield outgoing_webhook.c.type == self.type


@dataclass(frozen=True, kw_only=True)
class StoredDelivery(TypedRow):
    """One attempt to deliver a webhook."""

    at: datetime
    milliseconds: int
    status: int | None
    reason: str | None
    answer: str | None


def list_webhooks(
    connection: Connection,
    *,
    state: OutgoingWebhookState | None = None,
    type: str | None = None,
    customer_id: CustomerId | None = None,
    before: int | None = None,
    limit: int,
) -> list[StoredWebhook]:
    """Webhooks, newest first. `before` is the last `seq` of the previous page."""
    columns = outgoing_webhook.c
    wanted = {columns.state: state, columns.type: type, columns.customer_id: customer_id}
    query = select(outgoing_webhook).where(*matching(wanted)).order_by(columns.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(outgoing_webhook.c.seq < before)
    return [StoredWebhook.from_row(row) for row in connection.execute(query)]


def read_webhook(connection: Connection, webhook_id: str) -> StoredWebhook:
    """One webhook. Raises `UnknownWebhook`."""
    query = select(outgoing_webhook).where(outgoing_webhook.c.id == webhook_id)
    return StoredWebhook.read_one(connection, query, otherwise=UnknownWebhook(webhook_id))


def read_deliveries(connection: Connection, webhook_id: str) -> list[StoredDelivery]:
    """Every attempt to deliver it, oldest first."""
    query = select(outgoing_delivery).where(outgoing_delivery.c.webhook_id == webhook_id)
    return [StoredDelivery.from_row(row) for row in connection.execute(query.order_by(outgoing_delivery.c.id))]


def retry_webhook(connection: Connection, webhook_id: str, *, now: datetime) -> bool:
    """Send a failed or delivered webhook again with the same id. A receiver may have lost a delivered one.

    Returns False if it is waiting already. Raises `UnknownWebhook`.
    """
    state = connection.scalar(
        select(outgoing_webhook.c.state).where(outgoing_webhook.c.id == webhook_id).with_for_update()
    )
    if state is None:
        raise UnknownWebhook(webhook_id)
    if state == OutgoingWebhookState.WAITING:
        return False
    connection.execute(
        update(outgoing_webhook).where(outgoing_webhook.c.id == webhook_id).values(**_reset_columns(now))
    )
    _end_pause(connection, now)
    return True


def retry_failed(connection: Connection, *, now: datetime) -> int:
    """Send every failed webhook again. Returns their number."""
    retried = connection.execute(
        update(outgoing_webhook)
        .where(outgoing_webhook.c.state == OutgoingWebhookState.FAILED)
        .values(**_reset_columns(now))
    ).rowcount
    _end_pause(connection, now)
    return retried


def put_test(connection: Connection, *, now: datetime) -> str:
    """Write a webhook that only tests the receiver. Returns its id. Raises `OutgoingWebhooksOff`."""
    data = {"message": "A test. It is about no customer."}
    ids = add_webhooks(
        connection, [OutgoingWebhook(type=OutgoingWebhookType.TEST, customer_id=None, data=data)], now=now
    )
    if not ids:
        raise OutgoingWebhooksOff
    _end_pause(connection, now)
    return ids[0]


def count_sent(connection: Connection, window: ReplayWindow) -> int:
    """Number of webhooks that `replay` would send again."""
    return int(connection.scalar(select(func.count()).where(*window.conditions())) or 0)


def replay(window: ReplayWindow) -> int:
    """Send all webhooks of the window again, oldest first, with the same ids. Returns their number.

    Each batch is a transaction of its own. Webhooks that wait are not counted, because they are sent anyway.
    """
    total, after = 0, -1
    while True:
        moment = now()
        with transaction() as connection:
            batch = select(outgoing_webhook.c.seq).where(*window.conditions(), outgoing_webhook.c.seq > after)
            batch = batch.order_by(outgoing_webhook.c.seq).limit(_REPLAYED_AT_ONCE)
            # A locked one is being erased.
            seqs = connection.scalars(batch.with_for_update(skip_locked=True)).all()
            if not seqs:
                _end_pause(connection, moment)
                return total
            again = update(outgoing_webhook).where(among(outgoing_webhook.c.seq, seqs)).values(**_reset_columns(moment))
            total += connection.execute(again).rowcount
        after = seqs[-1]


def _reset_columns(now: datetime) -> dict[str, Any]:
    return {
        "state": OutgoingWebhookState.WAITING,
        "attempts": 0,
        "next_attempt_at": now,
        "give_up_at": now + GIVE_UP_AFTER,
        "delivered_at": None,
        "reason": None,
    }


def _end_pause(connection: Connection, now: datetime) -> None:
    """End the pause of the address, because an operator who retries has fixed it. An active sender is not affected."""
    connection.execute(update(outgoing_sender).where(outgoing_sender.c.holder.is_(None)).values(free_at=now))


def count_webhooks(connection: Connection, state: OutgoingWebhookState) -> int:
    """Number of waiting or of failed webhooks, up to `_MAX_COUNTED`. Partial indexes cover them."""
    counted = select(outgoing_webhook.c.seq).where(outgoing_webhook.c.state == state).limit(_MAX_COUNTED).subquery()
    return int(connection.scalar(select(func.count()).select_from(counted)) or 0)


def oldest_waiting_webhook(connection: Connection) -> datetime | None:
    """Creation time of the oldest waiting webhook; None if there is none."""
    waiting = select(outgoing_webhook.c.created_at).where(outgoing_webhook.c.state == OutgoingWebhookState.WAITING)
    next_due = waiting.order_by(outgoing_webhook.c.next_attempt_at).limit(_MAX_COUNTED).subquery()
    oldest: datetime | None = connection.scalar(select(func.min(next_due.c.created_at)))
    return oldest


def oldest_failed_webhook(connection: Connection) -> datetime | None:
    """Creation time of the oldest failed webhook; None if there is none."""
    failed = select(outgoing_webhook.c.created_at).where(outgoing_webhook.c.state == OutgoingWebhookState.FAILED)
    oldest: datetime | None = connection.scalar(failed.order_by(outgoing_webhook.c.seq).limit(1))
    return oldest
