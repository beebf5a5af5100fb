"""The figures and lots of one account, and how a posting changes them. No I/O.

The balance can be below the sum of the lots only by a *debt*: a reversal found its points already spent or held. The
next free points that come in pay the debt, so a debt and free lots never exist together. So an earning needs no older
lots in memory, and stays fast for a customer with thousands of them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from bridge.ids import CustomerId, new_id
from bridge.ledger.lots import Lot, Moves, soonest_first
from bridge.ledger.postings import GENESIS, MAX_DUST, Kind, Posting, PostingDetails


@dataclass(kw_only=True)
class AccountState:
    """A customer's figures and lots. `account.py` has the operations."""

    customer_id: CustomerId
    balance: int = 0
    held: int = 0
    pending: int = 0
    debt: int = 0
    waived: int = 0
    """Points that reversals left with the customer under `within_balance`, because they were spent.

    They are taken only when a refund gives them back.
    """
    waived_at: datetime | None = None
    """When points were last waived. A refund of points that came in later is not taken for it."""
    version: int = 0
    head: bytes = GENESIS
    lots: dict[str, Lot] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    opened_lots: list[Lot] = field(default_factory=list)
    dated_lots: set[str] = field(default_factory=set)
    """Lots that got a `matures_at` without a posting."""
    waived_changed: bool = False
    expired: Counter[str] = field(default_factory=Counter)
    """Expired points, by the source id of their lots.

    Includes earlier expiries only for the sources given to `open_accounts`.
    """
    spent: Counter[str] = field(default_factory=Counter)
    """Points that orders use now, by redemption. Like `expired` it may lack earlier ones."""
    overspent: Counter[str] = field(default_factory=Counter)
    """The points of a redemption that took the balance below zero when they were spent."""
    survivor: Self | None = None
    """The account that this one was merged into. All points that come in here are carried over to it."""
    merge_id: str = ""
    former_survivors: list[tuple[Self, str, int]] = field(default_factory=list)
    """Accounts that this one was merged into until the merge was undone, if points did not go back: the account, the
    merge's id and how many points. Loaded like `expired`, because a reversal may need them.
    """

    @property
    def available(self) -> int:
        """The points that may be spent now; below zero after a reversal took more than was left."""
        return self.balance - self.held

    def book_due(self, *, now: datetime) -> None:
        """Post what has matured or expired by now.

        Every movement does this first, so the result does not depend on when the periodic job runs. All that matures is
        posted before all that expires, with the same result as by date: a lot that matures changes other lots only by
        paying a debt, and with a debt there are no free lots that could expire.
        """
        self.mature_due(now=now)
        self.expire_due(now=now)
        if self.survivor is not None:
            self.survivor.book_due(now=now)

    def mature_due(self, *, now: datetime) -> None:
        """Mature pending lots that are due, one row per lot, by date and then by their sequence."""
        waiting = [
            lot for lot in self.lots.values() if not lot.matured and not lot.pending_until_paid and lot.remaining
        ]
        for lot in sorted(waiting, key=lambda lot: (lot.matures_at or now, lot.origin_version)):
            if lot.matures_at and lot.matures_at > now:
                break
            details = PostingDetails(
                kind=Kind.MATURE,
                reference_type=lot.source_type,
                reference_id=lot.source_id,
                description="Pending points became spendable",
                event_at=lot.matures_at or now,
            )
            moves = Moves()
            moves.mature(lot)
            self._post(details, now, moves, amount=lot.remaining, pending=-lot.remaining)

    def expire_due(self, *, now: datetime) -> None:
        """Expire the free points of lots past their date, one row per lot. Points on hold stay until their release."""
        expired = [lot for lot in self.lots.values() if lot.free and lot.expired(now)]
        for lot in sorted(expired, key=soonest_first):
            details = PostingDetails(
                kind=Kind.EXPIRE,
                reference_type="lot",
                reference_id=lot.id,
                description="Points expired",
                event_at=lot.expires_at or now,
            )
            moves, amount = Moves(), lot.free
            moves.add(lot, remaining=-amount)
            self.expired[lot.source_id] += amount
            self._post(details, now, moves, amount=-amount)

    @property
    def holder(self) -> Self:
        """The account that has the points: the one that this one was merged into, or else this one."""
        return self.survivor or self

    @property
    def holders(self) -> list[Self]:
        """This account, and the one that it was merged into."""
        return [self, self.survivor] if self.survivor else [self]

    def count_expired(self, amount: int, source_id: str, counted: Counter[CustomerId], *, now: datetime) -> int:
        """Return how much of `amount`, credited by a source, has expired, and add it to `counted`.

        `counted` are the expired points of each account that other customers have counted. Accounts A and B get 100 and
        300 of a source. A is merged into B, and 300 expire there: A counts 100 of them, and B the other 200.
        """
        self.book_due(now=now)
        expired = 0
        for account, most in self._expired_with(now=now):
            part = min(amount - expired, most, account.expired[source_id] - counted[account.customer_id])
            counted[account.customer_id] += part
            expired += part
        return expired

    def _expired_with(self, *, now: datetime) -> Iterator[tuple[Self, int]]:
        """Yield the accounts in which points of this one may have expired, and how many at most."""
        for holder in self.holders:
            yield holder, MAX_DUST
        kept: Counter[CustomerId] = Counter()
        for account, _, points in self.former_survivors:
            kept[account.customer_id] += points
        # An account may have been merged into the same one several times.
        for account in {account.customer_id: account for account, *_ in self.former_survivors}.values():
            if account is not self.survivor:
                account.book_due(now=now)
                yield account, kept[account.customer_id]

    def waive(self, amount: int, *, at: datetime | None = None) -> None:
        """Record points that a reversal left with the customer at a time; a negative amount reduces them."""
        self.waived += amount
        if amount > 0 and at is not None:
            self.waived_at = max(at, self.waived_at or at)
        self.waived_changed |= amount != 0

    @property
    def _balance_of_person(self) -> int:
        """Both balances together, because a merged account's points and debt are carried over to the survivor."""
        return sum(holder.balance for holder in self.holders)

    def _part_within_balance(self, amount: int) -> int:
        """Return the part of a reversal that `within_balance` takes. The rest is waived.

        It waives points that were there when they were spent. A debt is owed again: a spend took the balance to -100,
        an order that earned 100 paid for it, and that order is canceled.
        """
        balance = self._balance_of_person
        part = min(amount, max(0, balance))
        overspent = sum(holder.still_overspent for holder in self.holders)
        debt_paid = max(0, overspent - max(0, -balance))
        can_be_waived = max(0, sum(holder.spent_unwaived for holder in self.holders))
        return part + min(max(0, amount - part - can_be_waived), debt_paid)

    @property
    def still_overspent(self) -> int:
        """The part of `overspent` that was not given back."""
        return (self.overspent & self.spent).total()

    @property
    def spent_unwaived(self) -> int:
        """The points in `spent` that were there when they were spent, less what is waived for them already."""
        return self.spent.total() - self.still_overspent - self.waived

    def waive_where_spent(self, amount: int, *, now: datetime) -> None:
        """Record points that a reversal leaves with the customer, or with the former survivor that has spent them.

        The refund of that spend then takes them.
        """
        for account, _, kept in self.former_survivors:
            part = max(0, min(amount, kept, account.spent_unwaived))
            account.waive(part, at=now)
            amount -= part
        self.holder.waive(amount, at=now)

    def unwaive(self, amount: int) -> int:
        """Undo `waive_where_spent` for up to `amount` points that are still waived; return how many."""
        left = amount
        for account in [self.holder] + [account for account, _, _ in self.former_survivors]:
            part = min(left, account.waived)
            account.waive(-part)
            left -= part
        return amount - left

    def _open_lot(
        self,
        amount: int,
        details: PostingDetails,
        now: datetime,
        *,
        matures_at: datetime | None = None,
        expires_at: datetime | None = None,
        pending_until_paid: bool = False,
    ) -> Lot:
        lot = Lot(
            id=new_id("dlot"),
            source_type=details.reference_type,
            source_id=details.reference_id,
            amount=amount,
            remaining=0,
            matured=not pending_until_paid and (matures_at is None or matures_at <= now),
            matures_at=None if pending_until_paid else matures_at,
            expires_at=expires_at,
            created_at=now,
            origin_version=self.version + 1,
        )
        self.lots[lot.id] = lot
        self.opened_lots.append(lot)
        return lot

    def _spending_order(self) -> list[Lot]:
        return sorted((lot for lot in self.lots.values() if lot.free > 0), key=soonest_first)

    def _pending_of(self, source_id: str) -> list[Lot]:
        matching = (
            lot for lot in self.lots.values() if not lot.matured and lot.remaining and lot.source_id == source_id
        )
        # Unpaid lots go first.
        return sorted(matching, key=lambda lot: (not lot.pending_until_paid, soonest_first(lot)))

    def _parts(self, amount: int, source_id: str, *, others: bool = True) -> dict[str, int]:
        """Return up to `amount` of free points, by lot id: this source's first, and of those the pending ones first."""
        order = self._spending_order()
        own = [lot for lot in order if lot.source_id == source_id]
        parts: dict[str, int] = {}
        left = amount
        for lot in [*self._pending_of(source_id), *own, *(order if others else ())]:
            part = min(left, lot.remaining - lot.held - parts.get(lot.id, 0))
            if part > 0:
                parts[lot.id] = parts.get(lot.id, 0) + part
                left -= part
        return parts

    def _post(
        self, details: PostingDetails, now: datetime, moves: Moves, *, amount: int = 0, held: int = 0, pending: int = 0
    ) -> None:
        self.balance += amount
        self.held += held
        self.pending += pending
        self.version += 1
        # The balance is always the matured lots less the debt. So what the lots (`moves.owned`) and the balance
        # (`amount`) change by differently is the change of the debt. 100 are reversed, and the lots have only 60 of
        # them: the balance changes by -100, the lots by -60, the debt by 40.
        self.debt += moves.owned - amount
        if self.debt:
            # Only points that this posting freed can be free now, see the module docstring.
            self.debt -= moves.take(self._spending_order(), self.debt)
        posting = Posting(
            id=new_id("dtx"),
            customer_id=self.customer_id,
            version=self.version,
            amount=amount,
            held=held,
            pending=pending,
            balance_after=self.balance,
            held_after=self.held,
            pending_after=self.pending,
            details=details,
            created_at=now,
            previous_hash=self.head,
            moves=moves.collected(),
        )
        self.head = posting.hash
        self.postings.append(posting)
        if details.kind in {Kind.REDEEM, Kind.REFUND}:
            self.spent[details.reference_id] -= amount
        if details.kind is Kind.REDEEM:
            self.overspent[details.reference_id] += min(-amount, max(0, -self.balance))

    @staticmethod
    def _check_amount(amount: int) -> None:
        if not 0 < amount <= MAX_DUST:
            raise AssertionError(f"a movement must be between 1 and {MAX_DUST} points, not {amount}")
