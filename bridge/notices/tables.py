"""Notices and what became of each attempt to deliver them."""

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
    # The `webhook-id`, the same over all attempts.
    Column("id", Text, primary_key=True),
    # The order in which they were written; ids made in one millisecond have none.
    Column("seq", BigInteger, Identity(), nullable=False),
    Column("type", Text, nullable=False),
    # Null where it is not about one.
    Column("customer_id", Text),
    # The row of the customer's book that it tells of, if it is one.
    Column("version", BigInteger),
    Column("data", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", DateTime(timezone=True)),
    # After this an attempt that fails is the last one.
    Column("give_up_at", DateTime(timezone=True), nullable=False),
    Column("delivered_at", DateTime(timezone=True)),
    # What the last attempt that failed said.
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
    # The HTTP status; null when there was no answer.
    Column("status", Integer),
    # In plain words why it failed; null when it went through.
    Column("reason", Text),
    # How the answer began, with what must not be kept struck out.
    Column("answer", Text),
)

# One row: who is sending, or how long the address is left in peace because it does not answer.
notice_gate = Table(
    "notice_gate",
    metadata,
    Column("name", Text, primary_key=True),
    Column("closed_until", DateTime(timezone=True), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("holder", Text),
)
