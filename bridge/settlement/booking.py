"""Post the change of an order's points, for each owner, by the order's own version of the rules."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bridge.ids import CustomerId
from bridge.ledger.account import Account
from bridge.ledger.lots import LotDates
from bridge.ledger.postings import Kind, PostingDetails
from bridge.programme.dates import maturity_and_expiry
from bridge.programme.versions import Version
from bridge.settlement.expired_points import ExpiredPool
from bridge.settlement.shares import Share


@dataclass(frozen=True, kw_only=True)
class Booking:
    """One order, and what its reversals have taken so far, by customer and lot."""

    order_id: str
    placed_at: datetime
    changed_at: datetime
    version: Version
    pending_until_paid: bool
    """Whether what it earns is pending until the order is paid."""
    now: datetime
    taken: Mapping[CustomerId, Mapping[str, int]]
    pools: Mapping[CustomerId, ExpiredPool]

    def mark_paid(self, account: Account) -> None:
        """Post that the order is paid: its pending points mature, or get a date for it."""
        matures_at, _ = maturity_and_expiry(self.version.programme, self.placed_at)
        account.mark_paid(self.order_id, matures_at=matures_at or self.now, now=self.now)

    def bring_to(
        self, target: int, share: Share, account: Account, reversal_description: str, *, counted_by_others: int = 0
    ) -> Share:
        """Post the difference to `target` and return the new share.

        `reversal_description` is for points that have to be taken back. `counted_by_others` are the account's expired
        points that other shares of the order have counted already.
        """
        if target < share.net:
            return self._reduce(share, account, share.net - target, reversal_description, counted_by_others)
        return self._grow(share, account, target - share.net)

    def transfer(self, share: Share, giver: Account, taker: Account | None) -> int:
        """Move the free part of a former owner's share to the new owner, and return how much.

        Without a new owner it is reversed.
        """
        if not share.net:
            return 0
        kind = Kind.TRANSFER if taker else Kind.REVERSE
        outgoing = self._details(kind, "Order went to another customer", self.changed_at)
        transfers = giver.transfer_out(share.net, outgoing, now=self.now)
        if taker and transfers:
            incoming = self._details(kind, "Order came from another customer", self.changed_at)
            taker.receive_lots(transfers, incoming, now=self.now)
        return sum(transfer.amount for transfer in transfers)

    def _reduce(
        self, share: Share, account: Account, amount: int, reversal_description: str, counted_by_others: int
    ) -> Share:
        expired = self._expired_part(share, account, amount, counted_by_others)
        unexpired = amount - expired
        taken = 0
        if unexpired:
            policy = self.version.programme.reversal.negative_balance
            details = self._details(Kind.REVERSE, reversal_description, self.changed_at)
            taken = account.reverse(unexpired, details, now=self.now, policy=policy)
        return replace(
            share,
            booked=share.booked - taken,
            not_taken=share.not_taken + amount - taken,
            expired=share.expired + expired,
            taken_back=share.taken_back + taken,
        )

    def _expired_part(self, share: Share, account: Account, amount: int, counted_by_others: int) -> int:
        """Return how much of `amount` is not taken, because it has expired already (see `expired_points.py`).

        1. Expired points of this order count.
        2. If free points do not cover the rest, expired points of other orders count too, so that no debt arises.

        Example: 100 are to be taken back. 30 points of this order have expired, and 30 of other orders; 50 points are
        free. The 30 count, and 20 of the others; 50 are taken.
        """
        own = max(0, account.expired_of(self.order_id, now=self.now) - share.expired - counted_by_others)
        pool = self.pools.get(account.customer_id)
        if pool is None:
            return min(amount, own)
        countable = pool.countable_for(self.order_id)
        own = min(amount, own, countable)
        not_covered = max(0, amount - own - account.free_for(self.order_id, now=self.now))
        return own + min(not_covered, countable - own)

    def _grow(self, share: Share, account: Account, amount: int) -> Share:
        """Reverse the steps of `_reduce`. What was left with the customer counts first.

        100 of 200 were to be taken back: 60 were, 30 were left with the customer, 10 had expired. The order is worth
        200 again: the 30 count again, 60 are restored, and the 10 stay expired.
        """
        forgiven = min(amount, share.left_with_customer)
        restored = min(amount - forgiven, share.taken_back)
        expired = min(amount - forgiven - restored, share.expired)
        new = amount - forgiven - restored - expired
        details = self._details(Kind.EARN, "Earned with an order", self.placed_at)
        matures_at, expires_at = maturity_and_expiry(self.version.programme, self.placed_at)
        dates = LotDates(matures_at=matures_at, expires_at=expires_at, pending_until_paid=self.pending_until_paid)
        if forgiven:
            account.forgive(forgiven, details, now=self.now, **dates)
        if restored:
            account.restore(restored, self.taken.get(account.customer_id, {}), details, now=self.now, **dates)
        if new:
            account.earn(new, details, now=self.now, **dates)
        return replace(
            share,
            booked=share.booked + restored + new,
            not_taken=share.not_taken - forgiven - expired,
            expired=share.expired - expired,
            taken_back=share.taken_back - restored,
        )

    def _details(self, kind: Kind, description: str, event_at: datetime) -> PostingDetails:
        return PostingDetails(
            kind=kind,
            reference_type="order",
            reference_id=self.order_id,
            description=description,
            event_at=event_at,
            programme_version=self.version.number,
        )
