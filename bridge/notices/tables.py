"""Tables of outgoing webhooks: notices, attempts to deliver them, and the sender's gate."""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, Identity, Index, Integer, Table, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB

from bridge.db import metadata


class NoticeState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    PARKED = "parked"


notice = Table(
    "notice",
    metadata,
    # The `webhook-id`; the same for all attempts.
    Column("id", Text, primary_key=True),
    # Order of creation. Ids do not give it, because ids created in the same millisecond are not ordered.
    Column("seq", BigInteger, Identity(), nullable=False),
    Column("type", Text, nullable=False),
    # Null if the notice is not about a customer.
    Column("customer_id", Text),
    # Version of the customer's ledger transaction that it reports, if any.
    Column("version", BigInteger),
    Column("data", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", DateTime(timezone=True)),
    # A failed attempt after this time is the last one.
    Column("give_up_at", DateTime(timezone=True), nullable=False),
    Column("delivered_at", DateTime(timezone=True)),
    # Why the last failed attempt failed.
    Column("reason", Text),
    CheckConstraint("state IN ('waiting', 'delivered', 'parked')", name="state"),
    CheckConstraint("(state = 'waiting') = (next_attempt_at IS NOT NULL)", name="waiting_is_due"),
    CheckConstraint("(state = 'delivered') <= (delivered_at IS NOT NULL)", name="says_when"),
    CheckConstraint("state <> 'parked' OR reason IS NOT NULL", name="says_why"),
    Index("ix_notice_due", "next_attempt_at", "seq", postgresql_where=sql("state = 'waiting'")),
    Index("ix_notice_parked", "seq", postgresql_where=sql("state = 'parked'")),
    Index(None, "seq", unique=True),
    Index(None, "customer_id"),
    Index(None, "created_at"),
    postgresql_with={"fillfactor": "85"},
)

notice_attempt = Table(
    "notice_attempt",
    metadata,
    Column("notice_id", Text, ForeignKey("notice.id", ondelete="CASCADE"), primary_key=True),
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

# One row: the lease of the active sender, or the pause while the address is unavailable.
notice_gate = Table(
    "notice_gate",
    metadata,
    Column("name", Text, primary_key=True),
    Column("closed_until", DateTime(timezone=True), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("holder", Text),
)
