"""What an event about a customer means for dust that waits for guests.

Medusa verifies no e-mail: whoever opens an account writes into it what they like. Only where the programme says that
the shop has them proved (`guests.claim`) does an account's e-mail count, and only then is Medusa asked for it.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.inbox.events import Event
from bridge.medusa.client import Medusa, UnknownInMedusa, get_medusa
from bridge.programme.rules import GuestClaim
from bridge.programme.versions import current_version
from bridge.settlement.escrow import (
    Proof,
    claim_orders,
    customers_with_proof,
    forget_other_emails,
    prove_email,
    waiting_for,
)

_ABOUT_EMAILS = {"customer.created", "customer.updated"}


@dataclass(frozen=True, kw_only=True)
class Person:
    """A customer as Medusa knows them now."""

    email: str = field(repr=False)
    has_account: bool


def asks_medusa(connection: Connection, event: Event) -> bool:
    """Whether an event about a customer needs more than it says."""
    return event.type in _ABOUT_EMAILS and current_version(connection).programme.guests.claim is not GuestClaim.TRANSFER


def find_person(event: Event, medusa: Medusa | None = None) -> Person | None:
    """The customer an event is about, asked of Medusa; None when nothing hangs on it, or Medusa knows them no more."""
    with transaction() as connection:
        if not asks_medusa(connection, event):
            return None
    try:
        customer = (medusa or get_medusa()).customer(CustomerId(str(event.subject)))
    except UnknownInMedusa:
        return None
    email = customer.get("email")
    return Person(email=email, has_account=bool(customer.get("has_account"))) if isinstance(email, str) else None


def claim_for(connection: Connection, event: Event, person: Person | None) -> str | None:
    """Claim what waits for the account's e-mail, where that is proved; what came of it, in a sentence."""
    if person is None or not person.has_account:
        return None
    customer_id, moment = CustomerId(str(event.subject)), now()
    proves = {"customer.created"}
    if current_version(connection).programme.guests.claim is GuestClaim.ACCOUNT:
        proves.add("customer.updated")
    # With another e-mail than the one they had proved, they are not the guest who may order under that one next.
    forget_other_emails(connection, customer_id, person.email, now=moment)
    if event.type in proves:
        prove_email(connection, customer_id, person.email, Proof.REGISTRATION, actor="dust", now=moment)
    elif not customers_with_proof(connection, [customer_id]):
        return "Its e-mail is not proved, so it claims nothing that waits for guests."
    order_ids = waiting_for(connection, person.email, now=moment)
    claimed = claim_orders(connection, customer_id, order_ids, Proof.REGISTRATION, now=moment)
    if not claimed.orders:
        return None
    return f"{claimed.dust} dust of {len(claimed.orders)} orders as a guest were claimed."
