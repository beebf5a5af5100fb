"""Erasure of a customer's personal data. The ledger stays as it is.

Personal data is only in the order snapshots in raw event bodies, and in a keyed hash of the e-mail of guest orders.
Erasing does this:

- It strips the bodies of all events about the customer or their orders to ids. A failed event can still be retried:
  its order is then read from Medusa.
- It deletes the e-mail hashes, the referral codes and the outgoing webhooks, and unlinks mailboxes from the customer.
- It requests the release of open redemptions.

Events that arrive later, or that are being processed now, are stripped by the daily upkeep. Balances, transactions,
lots, escrow and the liability do not change. Their customer id no longer leads to a person.
"""

import re
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Column, ColumnElement, Connection, DateTime, Table, Text, false, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata
from bridge.db.bulk import among
from bridge.ids import CustomerId
from bridge.inbox.events import strip_to_ids
from bridge.inbox.tables import EventState, webhook_event
from bridge.ledger.merges import merged_into
from bridge.outgoing.outbox import delete_webhooks_about
from bridge.redemptions.service import request_release_of_all
from bridge.settlement.accounts import unlink_mailboxes
from bridge.settlement.claims import delete_proved_emails
from bridge.settlement.escrow import unlink_guest_orders
from bridge.settlement.referral_codes import delete_referral_codes
from bridge.settlement.tables import order_former_owner, order_settlement

customer_erasure = Table(
    "customer_erasure",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("erased_at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
)

# Events without a settled order: ignored ones, or ones whose customer Dust could not read.
_NOT_SETTLED = [state for state in EventState if state is not EventState.HANDLED]


def erase_customer(connection: Connection, customer_id: CustomerId, *, actor: str, now: datetime) -> int:
    """Erase this customer. Returns the number of stripped event bodies. Repeating it is harmless."""
    # Accounts that were merged into this one are the same person, so they are erased too. Erasing a merged account does
    # not erase the account that it was merged into: shops delete the empty one that remains after a merge.
    everybody = [customer_id, *merged_into(connection, customer_id)]
    connection.execute(
        insert(customer_erasure).on_conflict_do_nothing(),
        [{"customer_id": customer_id, "erased_at": now, "actor": actor} for customer_id in everybody],
    )
    stripped = delete_personal_data(connection, everybody, now=now)
    # Same lock order as in settlement: escrow before redemptions.
    request_release_of_all(connection, customer_id, now=now)
    return stripped


def delete_personal_data(connection: Connection, customer_ids: Iterable[CustomerId], *, now: datetime) -> int:
    """Delete all personal data of these customers. Returns the number of event bodies that had some."""
    ids = list(customer_ids)
    unlink_mailboxes(connection, ids)
    delete_proved_emails(connection, ids)
    delete_referral_codes(connection, ids)
    unlink_guest_orders(connection, ids, now=now)
    delete_webhooks_about(connection, ids)
    return _strip_events(connection, ids)


def _strip_events(connection: Connection, ids: list[CustomerId]) -> int:
    # Separate queries use an index each; joined by `or` they would scan the whole inbox. Unsettled events are read
    # first: an event that is settled meanwhile is then found by its order.
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
        # Processing locks the event first and other rows later, so waiting for an event here could deadlock.
        .with_for_update(skip_locked=True)
    )
    stripped = 0
    for row in connection.execute(query).all():
        body = strip_to_ids(bytes(row.payload))
        if body != bytes(row.payload):
            connection.execute(update(webhook_event).where(webhook_event.c.id == row.id).values(payload=body))
            stripped += 1
    return stripped


def _mentions(ids: Iterable[str]) -> ColumnElement[bool]:
    """Whether a body contains one of these ids as a JSON string anywhere."""
    patterns = [re.sub(r"([\\%_])", r"\\\1", f'"{pattern}"').encode() for pattern in ids]
    return or_(
        false(), *(webhook_event.c.payload.op("LIKE", is_comparison=True)(b"%%%b%%" % pattern) for pattern in patterns)
    )


def is_erased(connection: Connection, customer_id: CustomerId) -> bool:
    query = select(customer_erasure.c.customer_id).where(customer_erasure.c.customer_id == customer_id)
    return connection.scalar(query) is not None


def erased_customers(connection: Connection, *, limit: int, after: str = "") -> list[CustomerId]:
    """Erased customers, ordered by id."""
    query = select(customer_erasure.c.customer_id).where(customer_erasure.c.customer_id > after)
    return [
        CustomerId(customer_id)
        for customer_id in connection.scalars(query.order_by(customer_erasure.c.customer_id).limit(limit))
    ]
