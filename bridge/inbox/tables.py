"""The inbox."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from bridge.db import metadata


class EventState(StrEnum):
    PENDING = "pending"
    HANDLED = "handled"
    IGNORED = "ignored"
    FAILED = "failed"


WEBHOOK_SOURCE = "webhook"
# Where events come from that shoppers shall not be written about: their orders may be years old.
QUIET_SOURCE = "backfill"

webhook_event = Table(
    "webhook_event",
    metadata,
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    # What the event is about (an order, a customer, …), for people who look for it.
    Column("subject", Text),
    Column("source", Text, nullable=False),
    # The body exactly as it came, byte for byte.
    Column("payload", LargeBinary, nullable=False),
    Column("event_at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", DateTime(timezone=True)),
    Column("error_code", Text),
    # In plain words: why it failed or is waiting, or what came of it.
    Column("reason", Text),
    Column("handled_at", DateTime(timezone=True)),
    # The trace of the request that brought it, as W3C Trace Context writes it; where tracing is on.
    Column("traceparent", Text),
    CheckConstraint("state IN ('pending', 'handled', 'ignored', 'failed')", name="state"),
    CheckConstraint("(state = 'pending') = (next_attempt_at IS NOT NULL)", name="pending_is_due"),
    CheckConstraint("state NOT IN ('failed', 'ignored') OR reason IS NOT NULL", name="says_why"),
    Index("ix_webhook_event_due", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    Index("ix_webhook_event_failed", "received_at", postgresql_where=text("state = 'failed'")),
    # For those who look for what was never settled: an erasure.
    Index("ix_webhook_event_ignored", "received_at", postgresql_where=text("state = 'ignored'")),
    Index(None, "subject"),
    Index(None, "received_at", "id"),
    # Three updates in a row's life; with room in the page none of them moves it.
    postgresql_with={"fillfactor": "85"},
)

# What happened to events that did not go through at once. An event that does leaves nothing here.
webhook_attempt = Table(
    "webhook_attempt",
    metadata,
    Column("event_id", Text, ForeignKey("webhook_event.id"), primary_key=True),
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("outcome", Text, nullable=False),
    # Which attempt it was, counted from the last retry that was asked for.
    Column("attempt", Integer, nullable=False),
    Column("error_code", Text),
    Column("reason", Text),
    # Who asked for the retry.
    Column("actor", Text),
    CheckConstraint("outcome IN ('waits', 'failed', 'retried')", name="outcome"),
)
