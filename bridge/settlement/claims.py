"""Claims: a customer proves that a guest's order was theirs, and gets its points from the escrow.

A claim books the points with the dates they would have had from the start. From then on the order is the customer's,
and a later return takes the points back from them. What counts as proof is in docs/decisions/0012.

Limits across several orders apply to a claim as to any settlement: the claimed orders count from when they were placed.

Locks: the customer, if there are such limits, then `order_settlement`, then `guest_escrow`, each by order id, then
`referral`, then the accounts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, or_, select, true
from sqlalchemy.dialects.postgresql import insert

from bridge.db.bulk import among
from bridge.ids import CustomerId, OrderId
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import save
from bridge.programme.dates import maturity_and_expiry
from bridge.programme.limits import Allowed
from bridge.programme.rules import GuestClaim
from bridge.programme.versions import current_version, longest_limit_window, versions_by_number
from bridge.settlement.booking import open_for_booking
from bridge.settlement.earning_limits import LimitedOrder, LimitsOfBatch, OwnOrder, lock_persons, read_limit_history
from bridge.settlement.email_hash import email_hash_key, hash_email
from bridge.settlement.escrow import Escrow, lock_escrows, write_escrows
from bridge.settlement.referrals import due_referrals, lock_referrals, post_referral
from bridge.settlement.repository import SettlementRow, change_rows, lock_rows
from bridge.settlement.tables import Proof, guest_escrow, proved_email
from bridge.settlement.write import write_limited


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """The points that a claim gave the customer, by order."""

    customer_id: CustomerId
    orders: dict[OrderId, int]

    @property
    def dust(self) -> int:
        return sum(self.orders.values())


def prove_email(
    connection: Connection, customer_id: CustomerId, email: str, proof: Proof, *, actor: str, proved_at: datetime
) -> bool:
    """Store that this e-mail is this customer's.

    Orders that become known later are claimed by the periodic job. Returns False if another customer has proved the
    e-mail later.
    """
    values = {
        "email_hash": hash_email(email_hash_key(connection, now=proved_at), email),
        "customer_id": customer_id,
        "proof": proof,
        "actor": actor,
        "proved_at": proved_at,
    }
    statement = insert(proved_email).values(values)
    newer = or_(proved_email.c.proved_at <= proved_at, proved_email.c.customer_id == customer_id)
    kept = connection.execute(
        statement.on_conflict_do_update(index_elements=["email_hash"], set_=values, where=newer).returning(
            proved_email.c.email_hash
        )
    )
    return kept.one_or_none() is not None


def delete_earlier_emails(connection: Connection, customer_id: CustomerId, email: str, *, now: datetime) -> None:
    """After a change of e-mail, delete the proofs of earlier ones. Those that were proved to support stay."""
    kept = hash_email(email_hash_key(connection, now=now), email)
    connection.execute(
        delete(proved_email).where(
            proved_email.c.customer_id == customer_id,
            proved_email.c.email_hash != kept,
            proved_email.c.proof == Proof.REGISTRATION,
        )
    )


def delete_proved_emails(connection: Connection, customer_ids: Iterable[CustomerId]) -> None:
    """Delete all proofs of these customers."""
    theirs = select(proved_email.c.email_hash).where(among(proved_email.c.customer_id, list(customer_ids)))
    hashes = list(connection.scalars(theirs.order_by(proved_email.c.email_hash).with_for_update()))
    connection.execute(delete(proved_email).where(among(proved_email.c.email_hash, hashes)))


def customers_with_proved_email(connection: Connection, customer_ids: Iterable[CustomerId]) -> set[CustomerId]:
    """Return the customers among these whose account's e-mail is proved."""
    query = select(proved_email.c.customer_id).where(
        among(proved_email.c.customer_id, list(customer_ids)), proved_email.c.proof == Proof.REGISTRATION
    )
    return {CustomerId(customer_id) for customer_id in connection.scalars(query)}


def claimable_orders(connection: Connection, email: str, *, now: datetime) -> dict[OrderId, int]:
    """Return the points in escrow under an e-mail, by order. Reads only, without locks."""
    known = hash_email(email_hash_key(connection, now=now), email)
    query = select(guest_escrow.c.order_id, guest_escrow.c.dust).where(
        guest_escrow.c.email_hash == known, guest_escrow.c.expires_at > now
    )
    return {OrderId(row.order_id): row.dust for row in connection.execute(query.order_by(guest_escrow.c.order_id))}


def claimable_by_proof(
    connection: Connection, *, now: datetime, limit: int
) -> dict[CustomerId, dict[Proof, list[str]]]:
    """Return orders first settled after the customer had proved their e-mail, by customer and proof.

    A proof by registration counts only while the rules accept it (`guests.claim`).
    """
    counts = proved_email.c.proof != Proof.REGISTRATION
    if current_version(connection).programme.guests.claim is not GuestClaim.TRANSFER:
        counts = true()
    query = (
        select(guest_escrow.c.order_id, proved_email.c.customer_id, proved_email.c.proof)
        .join(proved_email, proved_email.c.email_hash == guest_escrow.c.email_hash)
        .where(guest_escrow.c.expires_at > now, counts)
        .limit(limit)
    )
    claimable: dict[CustomerId, dict[Proof, list[str]]] = {}
    for row in connection.execute(query):
        orders = claimable.setdefault(CustomerId(row.customer_id), {}).setdefault(row.proof, [])
        orders.append(row.order_id)
    return claimable


def claim_orders(
    connection: Connection,
    customer_id: CustomerId,
    order_ids: Iterable[str],
    proof: Proof,
    *,
    now: datetime,
    actor: str = "dust",
) -> Claimed:
    """Book the points still in escrow for these orders for the customer.

    Repeated or concurrent claims are booked once.
    """
    ids = list(order_ids)
    longest_limit_days = longest_limit_window(connection)
    if longest_limit_days:
        lock_persons(connection, [customer_id])
    settlements = lock_rows(connection, [OrderId(order_id) for order_id in ids])
    waiting = [escrow for escrow in lock_escrows(connection, ids).values() if escrow.claimable(now)]
    if not waiting:
        return Claimed(customer_id=customer_id, orders={})
    write_escrows(connection, [(escrow, escrow.claimed_by(customer_id, proof, now=now)) for escrow in waiting], now)
    change_rows(
        connection, [_claimed_row(escrow, settlements[escrow.order_id], customer_id, now) for escrow in waiting]
    )
    dust = {escrow.order_id: escrow.dust for escrow in waiting}
    others: list[LimitedOrder] = []
    if longest_limit_days:
        own = [
            OwnOrder(order_id=escrow.order_id, placed_at=escrow.placed_at, customers=frozenset({customer_id}))
            for escrow in waiting
        ]
        history = read_limit_history(connection, own, longest_days=longest_limit_days, lock=True)
        limited = LimitsOfBatch(history).others_that_change()
        dust |= _limit_claimed(connection, [order for order in limited if order.row.order_id in dust])
        others = [order for order in limited if order.row.order_id not in dust]
    _credit(connection, customer_id, [(settlements[order_id], dust[order_id]) for order_id in dust], others, now, actor)
    return Claimed(customer_id=customer_id, orders=dust)


def _claimed_row(escrow: Escrow, row: SettlementRow, customer_id: CustomerId, now: datetime) -> dict[str, Any]:
    """Return what a claim changes in the order's row: the owner, and where its points are. Rules and lines stay."""
    return {
        "order_id": escrow.order_id,
        "customer_id": customer_id,
        "buyer_id": row.customer_id,
        "booked": escrow.dust,
        # In addition to what former owners keep.
        "worth": escrow.dust + (row.former_share or 0),
        "escrowed": 0,
        # The money spent on it counts for the claimer's tier, and only the order in Medusa has it.
        "check_at": now,
        "note": row.note_for(Allowed(dust=escrow.dust)),
        "updated_at": now,
    }


def _limit_claimed(connection: Connection, limited: Sequence[LimitedOrder]) -> dict[OrderId, int]:
    """Reduce what is booked for claimed orders to what limits allow, and return it by order."""
    change_rows(
        connection,
        [
            {"order_id": order.row.order_id, "booked": order.allowed.dust, "note": order.row.note_for(order.allowed)}
            for order in limited
        ],
    )
    return {order.row.order_id: order.allowed.dust for order in limited}


def _credit(
    connection: Connection,
    customer_id: CustomerId,
    orders: Sequence[tuple[SettlementRow, int]],
    others: Sequence[LimitedOrder],
    now: datetime,
    actor: str,
) -> None:
    """Book what the orders earned, the referral that they qualify, and what limits now allow the `others`."""
    numbers = {row.programme_version for row, _ in orders if row.programme_version is not None}
    versions = versions_by_number(connection, numbers)
    referrals = due_referrals(lock_referrals(connection, [customer_id], now=now), [], now=now)
    concerned = {customer_id}.union(*(due.customers for due in referrals))
    concerned |= {order.row.customer_id for order in others if order.row.customer_id}
    accounts = open_for_booking(
        connection,
        concerned if referrals else (),
        earning_only=concerned,
        sources=[due.referral.id for due in referrals],
        shares=[share for due in referrals for share in due.shares],
        now=now,
    )
    for row, dust in orders:
        if not dust:
            continue
        if row.programme_version is None or row.placed_at is None:
            raise AssertionError("points in escrow of an order that was not settled")
        # The dates that the points would have had from the start: time in escrow changes nothing.
        matures_at, expires_at = maturity_and_expiry(versions[row.programme_version].programme, row.placed_at)
        details = PostingDetails(
            kind=Kind.EARN,
            reference_type="order",
            reference_id=row.order_id,
            description="Earned with an order as a guest",
            event_at=row.placed_at,
            programme_version=row.programme_version,
            actor=actor,
        )
        accounts.by_customer[customer_id].earn(
            dust,
            details,
            now=now,
            matures_at=matures_at,
            expires_at=expires_at,
            pending_until_paid=row.pending_until_paid,
        )
    for due in referrals:
        post_referral(connection, due, accounts, now)
    save(connection, accounts.by_customer.values())
    write_limited(connection, others, now=now)
