"""Tables of the inbox: events, and attempts to process them."""

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
from bridge.db.types import EnumText, one_of


class EventState(StrEnum):
    PENDING = "pending"
    HANDLED = "handled"
    IGNORED = "ignored"
    FAILED = "failed"


WEBHOOK_SOURCE = "webhook"
# Events from this source send no outgoing webhooks to shoppers, because the orders may be years old.
QUIET_SOURCE = "backfill"

webhook_event = Table(
    "webhook_event",
    metadata,
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    # Id of the order, customer, … that the event is about, for searching.
    Column("subject", Text),
    Column("source", Text, nullable=False),
    # The body exactly as received, byte for byte.
    Column("payload", LargeBinary, nullable=False),
    Column("event_at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Column("state", EnumText(EventState), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", DateTime(timezone=True)),
    Column("error_code", Text),
    # A sentence: why it failed or is waiting, or what its processing did.
    Column("reason", Text),
    Column("handled_at", DateTime(timezone=True)),
    # W3C `traceparent` of the request that delivered the event; null without tracing.
    Column("traceparent", Text),
    one_of("state", EventState),
    CheckConstraint("(state = 'pending') = (next_attempt_at IS NOT NULL)", name="pending_is_due"),
    CheckConstraint("state NOT IN ('failed', 'ignored') OR reason IS NOT NULL", name="says_why"),
    Index("ix_webhook_event_due", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    Index("ix_webhook_event_failed", "received_at", postgresql_where=text("state = 'failed'")),
    # For erasure, which looks for events that were never settled.
    Index("ix_webhook_event_ignored", "received_at", postgresql_where=text("state = 'ignored'")),
    Index(None, "subject"),
    Index(None, "received_at", "id"),
    # A row has about three updates. With free space in its page, none of them moves it to another page.
    postgresql_with={"fillfactor": "85"},
)


class Outcome(StrEnum):
    """`rescheduled`: it is tried again by itself; `failed`: an operator must act; `retried`: a retry was requested."""

    RESCHEDULED = "rescheduled"
    FAILED = "failed"
    RETRIED = "retried"


# Failed attempts and retries. An event that succeeds at once has no rows here.
webhook_attempt = Table(
    "webhook_attempt",
    metadata,
    Column("event_id", Text, ForeignKey("webhook_event.id"), primary_key=True),
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("outcome", EnumText(Outcome), nullable=False),
    # Number of the attempt, counted from the last requested retry.
    Column("attempt", Integer, nullable=False),
    Column("error_code", Text),
    Column("reason", Text),
    # Who requested the retry.
    Column("actor", Text),
    one_of("outcome", Outcome),
)
