"""Forget a person and keep the books.

What identifies a person comes in only with the order snapshots in the raw bodies of events, and as a keyed hash of the
e-mail for orders as a guest. Erasing strips the bodies of every event about the customer or their orders down to the
ids, so that even a failed one can still be retried (the order is then asked of Medusa), drops the hashes, and asks for
open redemptions to be released. Events that come late, or are being handled just now, are stripped by the daily upkeep.
Balances, rows, lots, what waits for guests and the liability stay as they are, under an id that no longer leads to
anybody.
"""

import re
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Column, ColumnElement, Connection, DateTime, Table, Text, false, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata
from bridge.db.bulk import among
from bridge.ids import CustomerId
from bridge.inbox.events import only_ids
from bridge.inbox.tables import EventState, webhook_event
from bridge.ledger.merges import merged_into
from bridge.notices.outbox import forget_customers
from bridge.redemptions.service import ask_for_release_of_all
from bridge.settlement.accounts import forget_mailboxes
from bridge.settlement.escrow import forget_emails, forget_guests
from bridge.settlement.referrals import forget_codes
from bridge.settlement.tables import order_former_owner, order_settlement

customer_erasure = Table(
    "customer_erasure",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("erased_at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
)

# Events that no settled order leads to: Dust has no use for them, or could not read whose they are.
_NOT_SETTLED = [state.value for state in EventState if state is not EventState.HANDLED]


def erase_customer(connection: Connection, customer_id: CustomerId, *, actor: str, now: datetime) -> int:
    """Forget this customer; the number of event bodies that were stripped. Asking again does no harm."""
    # Accounts that are merged into this one are the same person's. The other way round, a shop that deletes the account
    # that is left over after a merge means that account alone.
    everybody = [customer_id, *merged_into(connection, customer_id)]
    connection.execute(
        insert(customer_erasure).on_conflict_do_nothing(),
        [{"customer_id": who, "erased_at": now, "actor": actor} for who in everybody],
    )
    stripped = forget(connection, everybody, now=now)
    # Settlement locks what waits for guests before redemptions, and so does this.
    ask_for_release_of_all(connection, customer_id, now=now)
    return stripped


def forget(connection: Connection, customer_ids: Iterable[CustomerId], *, now: datetime) -> int:
    """Drop what is known of these customers beyond their ids; the number of event bodies that held more."""
    ids = list(customer_ids)
    forget_mailboxes(connection, ids)
    forget_emails(connection, ids)
    forget_codes(connection, ids)
    forget_guests(connection, ids, now=now)
    forget_customers(connection, ids)
    return _strip_events(connection, ids)


def _strip_events(connection: Connection, ids: list[CustomerId]) -> int:
    # Each question by its own index: joined by `or` they are one that reads the whole inbox. What is not settled comes
    # first: an event that is settled meanwhile has an order by then.
    events = {
        event_id
        for state in _NOT_SETTLED
        for event_id in connection.scalars(
            select(webhook_event.c.id).where(webhook_event.c.state == state, _mentions(ids))
        )
    }
    settled = order_settlement.c
    orders = {
        order_id
        for column in (settled.customer_id, settled.buyer_id)
        for order_id in connection.scalars(select(settled.order_id).where(among(column, ids)))
    }
    formers = order_former_owner.c
    orders.update(connection.scalars(select(formers.order_id).where(among(formers.customer_id, ids))))
    about_them = select(webhook_event.c.id).where(among(webhook_event.c.subject, [*ids, *orders]))
    events.update(connection.scalars(about_them))
    query = (
        select(webhook_event.c.id, webhook_event.c.payload)
        .where(among(webhook_event.c.id, events))
        .order_by(webhook_event.c.id)
        # Whoever handles an event holds it before anything else: waiting for it here could be waiting in a circle.
        .with_for_update(skip_locked=True)
    )
    stripped = 0
    for row in connection.execute(query).all():
        body = only_ids(bytes(row.payload))
        if body != bytes(row.payload):
            connection.execute(update(webhook_event).where(webhook_event.c.id == row.id).values(payload=body))
            stripped += 1
    return stripped


def _mentions(ids: Iterable[str]) -> ColumnElement[bool]:
    """Whether a body holds one of these ids as a JSON string, wherever that stands in it."""
    patterns = [re.sub(r"([\\%_])", r"\\\1", f'"{each}"').encode() for each in ids]
    return or_(
        false(), *(webhook_event.c.payload.op("LIKE", is_comparison=True)(b"%%%b%%" % each) for each in patterns)
    )


def is_erased(connection: Connection, customer_id: CustomerId) -> bool:
    """Whether this customer was erased."""
    query = select(customer_erasure.c.customer_id).where(customer_erasure.c.customer_id == customer_id)
    return connection.scalar(query) is not None


def erased_customers(connection: Connection, *, limit: int, after: str = "") -> list[CustomerId]:
    """Everybody who was erased, by id."""
    query = select(customer_erasure.c.customer_id).where(customer_erasure.c.customer_id > after)
    return [CustomerId(who) for who in connection.scalars(query.order_by(customer_erasure.c.customer_id).limit(limit))]
