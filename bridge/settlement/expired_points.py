"""Expired points: which of them an order, a referral or an import may count as gone when it is reversed.

Expired points are not taken a second time. Usually they come from the source's own lots. But when an order is canceled
whose points are spent or on hold, points of other sources are taken. If its own points come back later, they replace
those; when they expire, the other sources may count them:

    orders A and B earn 100 each; 100 points of A are spent; A is canceled and takes the points of B
    the spend is canceled: 100 points of A are there again, and expire
    B is canceled: its 100 points have expired, although its own lot did not
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select, text, union_all

from bridge.db.bulk import among
from bridge.ids import CustomerId
from bridge.ledger.account import Account
from bridge.ledger.lots import REVERSIBLE
from bridge.ledger.store import expired_by_source
from bridge.ledger.tables import customer_merge
from bridge.settlement.shares import Share


@dataclass(kw_only=True)
class ExpiredPool:
    """The expired points of one customer's orders, referrals and imports, by source id."""

    account: Account
    """The customer's account; its `expired` covers all sources."""
    net: Counter[str] = field(default_factory=Counter)
    """What the customer should have of a source, which is the most they may still lose."""
    counted: Counter[str] = field(default_factory=Counter)
    """The expired points that a source has counted so far."""
    sources: set[str] = field(default_factory=set)

    def update(self, source_id: str, share: Share) -> None:
        """Set the customer's current share of a source."""
        self.sources.add(source_id)
        self.net[source_id], self.counted[source_id] = share.net, share.expired

    def countable_for(self, source_id: str) -> int:
        """Return how many expired points the source may count.

        These are its own, and those of others beyond what those can still lose.
        """
        countable = 0
        for other in self.sources | {source_id}:
            uncounted = self.account.expired[other] - self.counted[other]
            may_still_need = 0 if other == source_id else max(0, min(uncounted, self.net[other]))
            countable += uncounted - may_still_need
        return max(0, countable)


def count_expired(
    amount: int,
    source_id: str,
    account: Account,
    counted: Counter[CustomerId],
    pool: ExpiredPool | None,
    *,
    now: datetime,
) -> int:
    """Return how much of `amount`, to be reversed for a source, is not taken because it has expired already.

    1. Expired points of this source count, less what is `counted` already, by account (see `Account.count_expired`).
    2. If free points do not cover the rest, expired points of others count too, so that no debt arises.

    Example: 100 are to be taken back. 30 points of this order have expired, and 30 of other orders; 50 points are free.
    The 30 count, and 20 of the others; 50 are taken.
    """
    own = account.count_expired(amount, source_id, counted, now=now)
    if pool is None:
        return own
    countable = pool.countable_for(source_id)
    own = min(own, countable)
    not_covered = max(0, amount - own - account.free_for(source_id, now=now))
    return own + min(not_covered, countable - own)


def read_pools(
    connection: Connection, accounts: Mapping[CustomerId, Account], *, now: datetime
) -> dict[CustomerId, ExpiredPool]:
    """Return the pools of customers who have lost points of a source by expiry, or are due to.

    The accounts must be open with lots. Merged accounts have no pool: their orders and their lots belong to different
    customers.
    """
    expired = expired_by_source(connection, accounts)
    due = {
        customer_id
        for customer_id, account in accounts.items()
        if any(lot.expired(now) for lot in account.lots.values())
    }
    customers = expired.keys() | due
    pools = {}
    for customer_id in customers - _merged(connection, customers):
        account = accounts[customer_id]
        account.expired.update(Counter(expired.get(customer_id, {})) - account.expired)
        sources = {lot.source_id for lot in account.lots.values() if lot.source_type in REVERSIBLE}
        pools[customer_id] = ExpiredPool(account=account, sources=sources | expired.get(customer_id, {}).keys())
    _add_shares(connection, pools)
    return pools


def _merged(connection: Connection, customers: Collection[CustomerId]) -> set[CustomerId]:
    if not customers:
        return set()
    merge = customer_merge.c
    query = union_all(
        select(merge.customer_id).where(among(merge.customer_id, list(customers))),
        select(merge.survivor_id).where(among(merge.survivor_id, list(customers))),
    )
    return {CustomerId(customer_id) for customer_id in connection.scalars(query)}


_SHARES = text(
    """
    SELECT customer_id, order_id AS source_id, booked - not_taken AS net, expired
    FROM order_settlement WHERE customer_id = ANY(:customers) AND (booked > not_taken OR expired > 0)
    UNION ALL
    SELECT customer_id, order_id, booked - not_taken, expired
    FROM order_former_owner WHERE customer_id = ANY(:customers)
    UNION ALL
    SELECT customer_id, id, referred_booked - referred_not_taken, referred_expired
    FROM referral WHERE customer_id = ANY(:customers)
    UNION ALL
    SELECT referrer_id, id, referrer_booked - referrer_not_taken, referrer_expired
    FROM referral WHERE referrer_id = ANY(:customers)
    UNION ALL
    SELECT customer_id, batch_id, CASE state WHEN 'posted' THEN amount ELSE 0 END, expired
    FROM import_row WHERE customer_id = ANY(:customers) AND state IN ('posted', 'undone')
    """
)


def _add_shares(connection: Connection, pools: Mapping[CustomerId, ExpiredPool]) -> None:
    if not pools:
        return
    for row in connection.execute(_SHARES, {"customers": list(pools)}):
        pool = pools[CustomerId(row.customer_id)]
        pool.sources.add(row.source_id)
        pool.net[row.source_id] += row.net
        pool.counted[row.source_id] += row.expired
