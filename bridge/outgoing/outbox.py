"""Outbox: writes a webhook in the transaction of the change that it reports, so that both are committed or neither."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from bridge.db.bulk import among
from bridge.ids import CustomerId, new_id
from bridge.outgoing.tables import OutgoingWebhookState, OutgoingWebhookType, outgoing_webhook
from bridge.settings import get_settings

# A receiver that is down for a night and a morning still gets everything. After that a mail would be outdated.
GIVE_UP_AFTER = timedelta(hours=24)
# Long enough to check last month's complaint. All data in a webhook is stored elsewhere too.
KEPT_FOR = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class OutgoingWebhook:
    """One outgoing webhook. `data` has ids, amounts and times, and no personal data."""

    type: OutgoingWebhookType
    customer_id: CustomerId | None
    data: dict[str, Any]
    version: int | None = None


def webhooks_configured() -> bool:
    """Whether outgoing webhooks are configured. Every posting asks, so it only reads a setting in memory."""
    return get_settings().outgoing_webhook_url is not None


def add_webhooks(connection: Connection, webhooks: Iterable[OutgoingWebhook], *, now: datetime) -> list[str]:
    """Write webhooks, to be sent in this order after the commit. Returns their ids.

    Does nothing without `DUST_OUTGOING_WEBHOOK_URL`.
    """
    if not webhooks_configured():
        return []
    rows = [
        {
            "id": new_id("dwhk"),
            **vars(webhook),
            "created_at": now,
            "state": OutgoingWebhookState.WAITING,
            "next_attempt_at": now,
            "give_up_at": now + GIVE_UP_AFTER,
        }
        for webhook in webhooks
    ]
    if rows:
        connection.execute(insert(outgoing_webhook), rows)
    return [str(row["id"]) for row in rows]


def delete_webhooks_about(connection: Connection, customer_ids: Iterable[CustomerId]) -> int:
    """Delete all webhooks about these customers, with the receiver's responses. Returns their number."""
    about_them = select(outgoing_webhook.c.id).where(among(outgoing_webhook.c.customer_id, list(customer_ids)))
    ids = list(connection.scalars(about_them.order_by(outgoing_webhook.c.id).with_for_update()))
    return connection.execute(delete(outgoing_webhook).where(among(outgoing_webhook.c.id, ids))).rowcount


def prune(connection: Connection, *, now: datetime) -> int:
    """Delete webhooks older than `KEPT_FOR`, in any state. Returns their number."""
    old = (
        select(outgoing_webhook.c.id)
        .where(outgoing_webhook.c.created_at < now - KEPT_FOR)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(delete(outgoing_webhook).where(outgoing_webhook.c.id.in_(old))).rowcount
