"""Processes customer events: the sign-up bonus, and the claim of points of earlier guest orders.

An event contains only the customer's id, so the customer is read from Medusa. Facts about Medusa 2.21.2, seen on a
running one:

- The dashboard creates customer records without an account, with the same event. Registering with the e-mail of such a
  record creates another customer, with an account.
- Medusa does not verify e-mails, and two accounts can have the same mailbox in different capitalization.
- `updated_at` equals `created_at` after a registration, to the millisecond. Only an edit of the customer's own fields
  changes it: not addresses, groups, carts, orders, transfers or a log-in. So while both are equal, the e-mail is the
  one that the account was created with.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from bridge.clock import now
from bridge.counted import counted
from bridge.db import transaction
from bridge.errors import Conflict, field_error
from bridge.ids import CustomerId, OrderId
from bridge.inbox.erasure import erase_customer, is_erased
from bridge.inbox.events import Event
from bridge.inbox.tables import WEBHOOK_SOURCE
from bridge.medusa.client import Json, Medusa, get_medusa
from bridge.medusa.errors import MedusaNotConfigured, UnknownInMedusa
from bridge.medusa.times import is_storable
from bridge.programme.rules import GuestClaim
from bridge.programme.versions import current_version, registrations_proved_since
from bridge.settlement.accounts import (
    CustomerAccount,
    Sighting,
    accounts_with_fresh_mailbox,
    is_seen_without_account,
    record_account,
    record_customer,
)
from bridge.settlement.claims import (
    claim_orders,
    claimable_orders,
    customers_with_proved_email,
    delete_earlier_emails,
    prove_email,
)
from bridge.settlement.signup_bonus import credit_signup_bonus
from bridge.settlement.tables import Proof

_EMAIL = re.compile(r"[^\s@\x00]+@[^\s@\x00]+")
# Medusa writes both times of a new customer together. No one can register, log in and edit in less time.
_SAME_MOMENT = timedelta(milliseconds=10)


class CustomerErased(Conflict):
    """The customer was erased, so nothing can be posted to their account."""

    code = "customer_erased"

    def __init__(self, customer_id: CustomerId) -> None:
        super().__init__(f"{customer_id} was erased. Points can only be claimed for an account that exists.")


@dataclass(frozen=True, kw_only=True)
class MedusaCustomer:
    """A customer as Medusa returns them now. `account` is None for a customer record without an account."""

    account: CustomerAccount | None


@dataclass(frozen=True, kw_only=True)
class EventOrigin:
    """How an event was received. `quiet`: no outgoing webhook is sent for its changes."""

    source: str
    received_at: datetime
    quiet: bool


def needs_medusa(connection: Connection, type_: str, subject: str | None) -> bool:
    """Whether processing an event of this type requires a call to Medusa for the customer."""
    programme = current_version(connection).programme
    match type_:
        case "customer.created":
            return programme.looks_at_accounts
        case "customer.updated":
            claims = programme.guests.claim is not GuestClaim.TRANSFER
            return claims or is_seen_without_account(connection, CustomerId(str(subject)))
        case _:
            return False


def read_customer_of(event: Event, medusa: Medusa | None = None) -> MedusaCustomer | None:
    """Read the customer of an event from Medusa. None if processing does not need it, or Medusa does not have it.

    Raises `MedusaAway`.
    """
    with transaction() as connection:
        if not needs_medusa(connection, event.type, event.subject):
            return None
    try:
        customer = (medusa or get_medusa()).customer(CustomerId(str(event.subject)))
    except UnknownInMedusa:
        return None
    return MedusaCustomer(account=read_account(customer) if customer.get("has_account") is True else None)


def find_accounts(customer_ids: Iterable[CustomerId]) -> dict[CustomerId, CustomerAccount]:
    """Read these customers' accounts from Medusa. Customers that it does not have are left out. Raises `MedusaAway`."""
    accounts = {}
    for customer_id in customer_ids:
        try:
            accounts[customer_id] = read_account(get_medusa().customer(customer_id))
        except (UnknownInMedusa, MedusaNotConfigured):
            continue
    return accounts


def read_account(customer: Json) -> CustomerAccount:
    """Parse an account from Medusa's customer. Without both timestamps it counts as edited."""
    email = customer.get("email")
    created_at, updated_at = (_moment(customer.get(name)) for name in ("created_at", "updated_at"))
    edited = created_at is None or updated_at is None or abs(updated_at - created_at) > _SAME_MOMENT
    return CustomerAccount(
        customer_id=CustomerId(str(customer["id"])),
        email=email if isinstance(email, str) and email.strip() else None,
        created_at=created_at,
        edited=edited,
    )


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo and is_storable(moment) else None


def apply_customer_event(
    connection: Connection, event: Event, customer: MedusaCustomer | None, origin: EventOrigin
) -> str:
    """Process the event. Returns a sentence about the result."""
    customer_id = CustomerId(str(event.subject))
    if event.type == "customer.deleted":
        erase_customer(connection, customer_id, actor="medusa", now=now())
        return "The customer's personal data was erased. The ledger does not change."
    if customer is None:
        if needs_medusa(connection, event.type, event.subject):
            return f"Medusa has no customer {customer_id}."
        return "Nothing to do."
    if customer.account is None:
        record_customer(connection, customer_id, now=now())
        return "This customer has no account yet, so nothing was posted."
    sighting = record_account(connection, customer.account, now=now())
    # Lock order: the claim locks orders, the bonus only an account.
    claimed = _claim(connection, event, customer.account, sighting, origin)
    bonus = None
    if event.type == "customer.created" or sighting.was_record:
        bonus = _credit_bonus(connection, event, customer.account, origin)
    return " ".join(filter(None, (bonus, claimed))) or "Nothing to do."


def _credit_bonus(connection: Connection, event: Event, account: CustomerAccount, origin: EventOrigin) -> str:
    if not accounts_with_fresh_mailbox(connection, [account], now=now()):
        return "No sign-up bonus is due: the mailbox had an account before."
    amount = credit_signup_bonus(
        connection, account.customer_id, event_at=event.event_at, now=now(), quiet=origin.quiet
    )
    return f"Sign-up bonus of {counted(amount, 'point')}." if amount else "No sign-up bonus is due."


def _claim(
    connection: Connection, event: Event, account: CustomerAccount, sighting: Sighting, origin: EventOrigin
) -> str | None:
    """Claim the points in escrow for the account's e-mail if it is proved. Returns a sentence about the result."""
    mode = current_version(connection).programme.guests.claim
    if mode is GuestClaim.TRANSFER or account.email is None:
        return None
    customer_id, moment = account.customer_id, now()
    # After a change of e-mail, later guest orders with the old one may be another customer's. So delete that proof.
    delete_earlier_emails(connection, customer_id, account.email, now=moment)
    if _is_proved(connection, mode, event, account, sighting, origin):
        proved_at = moment if mode is GuestClaim.ACCOUNT else account.created_at or moment
        proof = Proof.REGISTRATION
        prove_email(connection, customer_id, account.email, proof, actor="dust", proved_at=proved_at)
    if not customers_with_proved_email(connection, [customer_id]):
        return "Its e-mail is not verified, so no points of guest orders were claimed."
    order_ids = claimable_orders(connection, account.email, now=moment)
    claimed = claim_orders(connection, customer_id, order_ids, Proof.REGISTRATION, now=moment)
    if not claimed.orders:
        return None
    return f"{counted(claimed.dust, 'point')} of {counted(len(claimed.orders), 'order')} as a guest were claimed."


def claim_by_support(
    connection: Connection, customer_id: CustomerId, email: str, *, dry_run: bool, actor: str, now: datetime
) -> dict[OrderId, int]:
    """Claim the points in escrow for an e-mail that the customer has proved to support. Returns points by order id.

    With `dry_run` it only returns what would be claimed. Raises `FieldErrors` for an invalid e-mail, `CustomerErased`.
    """
    if not _EMAIL.fullmatch(email):
        raise field_error("email", "must be an e-mail address")
    if is_erased(connection, customer_id):
        raise CustomerErased(customer_id)
    if dry_run:
        return claimable_orders(connection, email, now=now)
    prove_email(connection, customer_id, email, Proof.SUPPORT, actor=actor, proved_at=now)
    orders = claimable_orders(connection, email, now=now)
    return claim_orders(connection, customer_id, orders, Proof.SUPPORT, now=now, actor=actor).orders


def _is_proved(
    connection: Connection,
    mode: GuestClaim,
    event: Event,
    account: CustomerAccount,
    sighting: Sighting,
    origin: EventOrigin,
) -> bool:
    """Whether the account's e-mail counts as proved under the programme's claim rule `mode`.

    With `registration` it counts only when Dust first sees the account, only for the e-mail that the account was
    created with, and only if the rule was in force then.
    """
    if mode is GuestClaim.ACCOUNT:
        return True
    if not sighting.first or sighting.was_record or account.edited:
        return False
    since = registrations_proved_since(connection)
    # This webhook is sent when the account is created. An account found otherwise may be older: `created_at` counts.
    is_registration = event.type == "customer.created" and origin.source == WEBHOOK_SOURCE
    made_at = origin.received_at if is_registration else account.created_at
    return since is not None and made_at is not None and made_at >= since
