"""Post the change of an order's or a referral's points, for each customer, by its own version of the rules."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from bridge.ids import CustomerId
from bridge.ledger.account import Account
from bridge.ledger.lots import LotDates
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import open_accounts, taken_lots
from bridge.programme.versions import Version
from bridge.settlement.expired_points import ExpiredPool, count_expired, read_pools
from bridge.settlement.shares import Share


@dataclass(frozen=True, kw_only=True)
class OpenAccounts:
    """The locked accounts, and what the ledger knows about the points of the orders and referrals to be booked."""

    by_customer: Mapping[CustomerId, Account]
    pools: Mapping[CustomerId, ExpiredPool] = field(default_factory=dict)
    taken: Mapping[str, Mapping[CustomerId, Mapping[str, int]]] = field(default_factory=dict)
    """By order or referral: what its reversals took from each customer's lots."""

    def of(self, share: Share) -> Account:
        if share.customer_id is None:
            raise AssertionError("a share without a customer")
        return self.by_customer[share.customer_id]

    def update_pool(self, source_id: str, share: Share) -> None:
        """Put the customer's share of the source into their pool of expired points."""
        if share.customer_id and (pool := self.pools.get(share.customer_id)):
            pool.update(source_id, share)


def open_for_booking(
    connection: Connection,
    customers: Collection[CustomerId],
    *,
    earning_only: Collection[CustomerId] = (),
    sources: Collection[str] = (),
    shares: Iterable[tuple[str, Share]] = (),
    extra_lots: Iterable[str] = (),
    now: datetime,
) -> OpenAccounts:
    """Lock accounts. Those that only earn are opened without lots, which is enough for most orders.

    `sources` may be reversed. What reversals took for `shares`, by source, can be restored.
    """
    if not customers:
        return OpenAccounts(by_customer=open_accounts(connection, earning_only, lots=False))
    restorable = [(source_id, share) for source_id, share in shares if share.taken_back]
    owners = {share.customer_id for _, share in restorable if share.customer_id}
    taken = taken_lots(connection, owners, {source_id for source_id, _ in restorable})
    taken_from = {lot for by_customer in taken.values() for lots in by_customer.values() for lot in lots}
    accounts = open_accounts(
        connection, {*customers, *earning_only}, extra_lots=taken_from.union(extra_lots), expired_of=sources
    )
    return OpenAccounts(by_customer=accounts, pools=read_pools(connection, accounts, now=now), taken=taken)


@dataclass(frozen=True, kw_only=True)
class Booking:
    """One order or referral: how what it gives is described and dated in the ledger."""

    reference_type: str
    reference_id: str
    kind: Kind
    """The kind of what it gives."""
    description: str
    given_at: datetime
    changed_at: datetime
    dates: LotDates
    version: Version
    accounts: OpenAccounts
    now: datetime

    def mark_paid(self, account: Account) -> None:
        """Post that the order is paid: its pending points mature, or get a date for it."""
        matures_at = self.dates.get("matures_at") or self.now
        account.mark_paid(self.reference_id, matures_at=matures_at, now=self.now)

    def bring_to(
        self, target: int, share: Share, reversal_description: str, *, others: Collection[Share] = ()
    ) -> Share:
        """Post the difference to `target` and return the new share.

        `reversal_description` is for points that have to be taken back. `others` are other customers' shares of the
        same source. Merged accounts share lots, so what has expired counts for only one of the shares.
        """
        account = self.accounts.of(share)
        if target < share.net:
            return self._reduce(share, account, share.net - target, reversal_description, others)
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
        self, share: Share, account: Account, amount: int, reversal_description: str, others: Collection[Share]
    ) -> Share:
        expired = self._expired_part(share, account, amount, others)
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

    def _expired_part(self, share: Share, account: Account, amount: int, others: Collection[Share]) -> int:
        counted: Counter[CustomerId] = Counter()
        for candidate in (*others, share):
            if candidate.expired:
                self.accounts.of(candidate).count_expired(candidate.expired, self.reference_id, counted, now=self.now)
        pool = self.accounts.pools.get(account.customer_id)
        return count_expired(amount, self.reference_id, account, counted, pool, now=self.now)

    def _grow(self, share: Share, account: Account, amount: int) -> Share:
        """Reverse the steps of `_reduce`. What was left with the customer counts first.

        100 of 200 were to be taken back: 60 were, 30 were left with the customer, 10 had expired. The order is worth
        200 again: the 30 count again, 60 are restored, and the 10 stay expired.
        """
        forgiven = min(amount, share.left_with_customer)
        restored = min(amount - forgiven, share.taken_back)
        expired = min(amount - forgiven - restored, share.expired)
        new = amount - forgiven - restored - expired
        details = self._details(self.kind, self.description, self.given_at)
        if forgiven:
            account.forgive(forgiven, details, now=self.now, **self.dates)
        if restored:
            taken = self.accounts.taken.get(self.reference_id, {}).get(account.customer_id, {})
            account.restore(restored, taken, details, now=self.now, **self.dates)
        if new:
            account.earn(new, details, now=self.now, **self.dates)
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
            reference_type=self.reference_type,
            reference_id=self.reference_id,
            description=description,
            event_at=event_at,
            programme_version=self.version.number,
        )
