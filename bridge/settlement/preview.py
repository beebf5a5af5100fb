"""Preview the effect of a change of an order on points: settle the changed order, read the result, and roll back."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from bridge.ids import CustomerId
from bridge.ledger.merges import persons_of
from bridge.ledger.postings import Kind
from bridge.ledger.queries import Balance, read_balance
from bridge.medusa.orders import Order
from bridge.settlement.facts import read_revisions
from bridge.settlement.repository import read_rows
from bridge.settlement.settle import settle_and_return_postings

# `waived`: points that had been waived, and are taken or given after all.
_REFERENCES = {"order", "redemption", "waived", "referral"}
_EARNED = {Kind.EARN, Kind.BONUS, Kind.REVERSE}


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a change of an order would do to points. All amounts are 0 or more, in whole points, pending ones included.

    They are those of all customers who had or have points of the order; the balances are its present customer's.
    """

    customer_id: CustomerId | None
    earned_taken_back: int
    earned_added: int
    """Points that the order, or another one under the same limits, earns in addition.

    Both include the bonus that the order's customer has for being referred.
    """
    spent_given_back: int
    spent_added: int
    before: Balance
    after: Balance
    escrow_before: int
    escrow_after: int
    """Points that a guest can claim."""
    note: str | None
    """Why the order earns nothing, or less than it is worth; None if there is nothing to say."""


def preview_order(connection: Connection, order: Order, *, now: datetime) -> Preview:
    """Settle the changed order, read the result, and roll back. The locks end with the transaction."""
    savepoint = connection.begin_nested()
    asked = read_revisions(connection, [order.id])
    results, postings = settle_and_return_postings(connection, [order], now=now, asked=asked)
    settled = results[order.id]
    owner = settled.customer_id or CustomerId("")
    owner = persons_of(connection, [owner])[owner].survivor
    after, escrow_after = read_balance(connection, owner), read_rows(connection, [order.id])[order.id].escrowed
    savepoint.rollback()
    moved = [
        (posting.details.kind, posting.amount + posting.pending)
        for posting in postings
        # A referral's bonus for the customer who referred is not a matter of the order.
        if posting.details.reference_type in _REFERENCES
        and (posting.details.reference_type != "referral" or posting.customer_id == settled.customer_id)
    ]
    return Preview(
        customer_id=settled.customer_id,
        earned_taken_back=-_sum(moved, _EARNED, sign=-1),
        earned_added=_sum(moved, _EARNED, sign=1),
        spent_given_back=_sum(moved, {Kind.REFUND}, sign=1),
        spent_added=-_sum(moved, {Kind.REDEEM}, sign=-1),
        before=read_balance(connection, owner),
        after=after,
        escrow_before=read_rows(connection, [order.id])[order.id].escrowed,
        escrow_after=escrow_after,
        note=settled.note,
    )


def _sum(moved: Iterable[tuple[Kind, int]], kinds: Collection[Kind], *, sign: int) -> int:
    return sum(points for kind, points in moved if kind in kinds and points * sign > 0)
