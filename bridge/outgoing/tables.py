"""Tables of outgoing webhooks, the attempts to deliver them, and the sender's lease."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, Identity, Index, Integer, Table, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB

from bridge.db import metadata
from bridge.db.types import EnumText, one_of


class OutgoingWebhookType(StrEnum):
    """Types of webhooks, for mails to customers. `dust.failed` and `dust.test` are for the shop itself."""

    EARNED = "dust.earned"
    REDEEMED = "dust.redeemed"
    EXPIRING = "dust.expiring"
    EXPIRED = "dust.expired"
    FAILED = "dust.failed"
    TEST = "dust.test"


class OutgoingWebhookState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


outgoing_webhook = Table(
    "outgoing_webhook",
    metadata,
    # The `webhook-id`; the same for all attempts.
    Column("id", Text, primary_key=True),
    # Order of creation. Ids do not give it, because ids created in the same millisecond are not ordered.
    Column("seq", BigInteger, Identity(), nullable=False),
    Column("type", EnumText(OutgoingWebhookType), nullable=False),
    # Null if the webhook is not about a customer.
    Column("customer_id", Text),
    # Version of the customer's ledger transaction that it reports, if any.
    Column("version", BigInteger),
    Column("data", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("state", EnumText(OutgoingWebhookState), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", DateTime(timezone=True)),
    # A failed attempt after this time is the last one.
    Column("give_up_at", DateTime(timezone=True), nullable=False),
    Column("delivered_at", DateTime(timezone=True)),
    # Why the last failed attempt failed.
    Column("reason", Text),
    one_of("state", OutgoingWebhookState),
    CheckConstraint("(state = 'waiting') = (next_attempt_at IS NOT NULL)", name="waiting_is_due"),
    CheckConstraint("(state = 'delivered') <= (delivered_at IS NOT NULL)", name="says_when"),
    CheckConstraint("state <> 'failed' OR reason IS NOT NULL", name="says_why"),
    Index("ix_outgoing_webhook_due", "next_attempt_at", "seq", postgresql_where=sql("state = 'waiting'")),
    Index("ix_outgoing_webhook_failed", "seq", postgresql_where=sql("state = 'failed'")),
    Index(None, "seq", unique=True),
    Index(None, "customer_id"),
    Index(None, "created_at"),
    postgresql_with={"fillfactor": "85"},
)

outgoing_delivery = Table(
    "outgoing_delivery",
    metadata,
    Column("webhook_id", Text, ForeignKey("outgoing_webhook.id", ondelete="CASCADE"), primary_key=True),
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("milliseconds", Integer, nullable=False),
    # HTTP status; null if there was no response.
    Column("status", Integer),
    # Why it failed, as a sentence; null if it succeeded.
    Column("reason", Text),
    # Beginning of the response body, with secrets and personal data redacted.
    Column("answer", Text),
)

# One row. `free_at` is when the lease of the active sender, or the pause for an unavailable address, ends.
outgoing_sender = Table(
    "outgoing_sender",
    metadata,
    Column("name", Text, primary_key=True),
    Column("free_at", DateTime(timezone=True), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("holder", Text),
)
