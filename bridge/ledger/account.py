"""One customer's account in memory: the operations on points, and the postings that each writes.

No I/O happens here. `store.open_accounts` loads accounts under a row lock; the methods below change them and collect
`Posting`s; `store.save` writes those. An account has three figures, in whole points:

    balance   matured points that the customer owns
    held      the part of the balance reserved for open redemptions
    pending   earned points that have not matured; not part of the balance yet

Lots record the origin of points: every credit opens a lot with its own dates, every debit takes from lots, soonest
expiry first, and a return gives back to the same lots with their old dates.

Here are the operations. `account_state.py` has the figures and lots that they change, and says what a debt is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Unpack

from bridge.counted import counted
from bridge.errors import Conflict
from bridge.ids import new_id
from bridge.ledger.account_state import AccountState
from bridge.ledger.lots import Lot, LotDates, LotTransfer, Moves, soonest_first
from bridge.ledger.postings import Kind, PostingDetails


class NegativeBalance(StrEnum):
    """What a reversal does if the points are already spent."""

    ALLOW = "allow"
    WITHIN_BALANCE = "within_balance"


class InsufficientDust(Conflict):
    """The customer has fewer available points than requested."""

    code = "insufficient_dust"

    def __init__(self, *, asked: int, available: int) -> None:
        super().__init__(f"You need {counted(asked, 'point')} and have {available:,}.", available=available)


class Account(AccountState):
    """The operations on a customer's points. Without its lots loaded, only `earn` may be called."""

    def earn(self, amount: int, details: PostingDetails, *, now: datetime, **dates: Unpack[LotDates]) -> None:
        """Credit a new lot, pending until a future `matures_at`, or until `mark_paid` with `pending_until_paid`."""
        self._check_amount(amount)
        self.book_due(now=now)
        lot = self._open_lot(amount, details, now, **dates)
        moves = Moves()
        moves.add(lot, remaining=amount)
        if lot.matured:
            self._post(details, now, moves, amount=amount)
        else:
            self._post(details, now, moves, pending=amount)

    def reverse(self, amount: int, details: PostingDetails, *, now: datetime, policy: NegativeBalance) -> int:
        """Reverse an earning, from its own lots first (pending before matured), then from other lots.

        Points on hold belong to the balance, but a reversal does not take them. What the free lots do not cover becomes
        a debt, which is paid when the hold is released. Returns the points taken: fewer than `amount` only if the
        policy waives the rest.
        """
        self._check_amount(amount)
        self.book_due(now=now)
        self._fetch_from_survivor(amount, details.reference_id, now=now)
        self._fetch_from_former_survivors(amount, details.reference_id, now=now)
        own = [lot for lot in self._spending_order() if lot.source_id == details.reference_id]
        moves = Moves()
        from_pending = moves.take(self._pending_of(details.reference_id), amount)
        wanted = amount - from_pending
        if policy is NegativeBalance.WITHIN_BALANCE:
            within = self._part_within_balance(wanted)
            self.waive_where_spent(wanted - within, now=now)
            wanted = within
        moves.take([*own, *self._spending_order()], wanted)
        if from_pending or wanted:
            self._post(details, now, moves, amount=-wanted, pending=-from_pending)
        return from_pending + wanted

    def free_for(self, source_id: str, *, now: datetime) -> int:
        """Return how many points a reversal of this source could take without a debt."""
        self.book_due(now=now)
        return sum(lot.remaining for lot in self._pending_of(source_id)) + max(0, self.available)

    def mark_paid(self, source_id: str, *, matures_at: datetime, now: datetime) -> None:
        """Mark the order of these lots as paid: lots pending for that mature at `matures_at`, or now if that has
        passed.
        """
        for account in self.holders:
            lots = [lot for lot in account.lots.values() if lot.pending_until_paid and lot.source_id == source_id]
            if not lots:
                continue
            for lot in lots:
                lot.matures_at = matures_at
            account.dated_lots.update(lot.id for lot in lots)
            account.mature_due(now=now)

    def restore(
        self,
        amount: int,
        taken: Mapping[str, int],
        details: PostingDetails,
        *,
        now: datetime,
        **dates: Unpack[LotDates],
    ) -> None:
        """Undo `amount` of what `reverse` took: the lots get it back, in the opposite sequence.

        `taken` is what was taken, by lot id. The part that came from no lot pays debt; the remainder opens a lot with
        the given dates. With `pending_until_paid` all of it is pending.
        """
        self._check_amount(amount)
        self.book_due(now=now)
        pending_until_paid = dates.get("pending_until_paid", False)
        moves, left, matured = Moves(), amount, 0
        lots = [self.lots[lot_id] for lot_id in taken]
        lots.sort(key=lambda lot: (lot.source_id != details.reference_id, soonest_first(lot)), reverse=True)
        # What is not paid must not be spendable: it does not go back into a lot that has matured.
        for lot in (lot for lot in lots if lot.pending_until_paid or not pending_until_paid):
            part = min(left, taken[lot.id])
            # A pending lot that was empty did not mature at its time, or when its order was paid.
            if lot.pending_until_paid and not pending_until_paid:
                lot.matures_at = dates.get("matures_at") or now
                self.dated_lots.add(lot.id)
            lot.matured = lot.matured or (lot.matures_at is not None and lot.matures_at <= now)
            moves.add(lot, remaining=part)
            left -= part
            matured += part if lot.matured else 0
        debt_paid = 0 if pending_until_paid else min(left, self.debt)
        if left > debt_paid:
            lot = self._open_lot(left - debt_paid, details, now, **dates)
            moves.add(lot, remaining=left - debt_paid)
            matured += left - debt_paid if lot.matured else 0
        self._post(details, now, moves, amount=matured + debt_paid, pending=amount - matured - debt_paid)

    def adjust(self, amount: int, details: PostingDetails, *, now: datetime) -> None:
        """Post a manual correction: a credit opens a lot, a debit takes available points. Raises `InsufficientDust`."""
        if amount > 0:
            self.earn(amount, details, now=now)
        else:
            self.book_due(now=now)
            self._require_available(-amount)
            self.overdraw(-amount, details, now=now)

    def hold(self, amount: int, details: PostingDetails, *, now: datetime) -> None:
        """Reserve points for a redemption: they stay in the balance but cannot be spent on anything else.

        Raises `InsufficientDust`.
        """
        self._check_amount(amount)
        self.book_due(now=now)
        self._require_available(amount)
        moves = Moves()
        moves.reserve(self._spending_order(), amount)
        self._post(details, now, moves, held=amount)

    def release(self, reserved: Mapping[str, int], details: PostingDetails, *, now: datetime) -> None:
        """Release what is left of a hold. `reserved` is what the hold still has of each lot."""
        self.book_due(now=now)
        moves = Moves()
        for lot_id, amount in reserved.items():
            moves.add(self.lots[lot_id], held=-amount)
        self._post(details, now, moves, held=-sum(reserved.values()))

    def redeem(self, amount: int, reserved: Mapping[str, int], details: PostingDetails, *, now: datetime) -> None:
        """Capture: turn `amount` of a hold into a debit. The lots that expire soonest go first."""
        self._check_amount(amount)
        if amount > sum(reserved.values()):
            raise AssertionError(f"capture of {amount} exceeds the hold of {sum(reserved.values())}")
        self.book_due(now=now)
        moves, left = Moves(), amount
        for lot in sorted((self.lots[lot_id] for lot_id in reserved), key=soonest_first):
            part = min(left, reserved[lot.id])
            moves.add(lot, remaining=-part, held=-part)
            left -= part
        self._post(details, now, moves, amount=-amount, held=-amount)

    def overdraw(self, amount: int, details: PostingDetails, *, now: datetime) -> None:
        """Debit points without a hold. The balance may go below zero."""
        self._check_amount(amount)
        self.book_due(now=now)
        moves = Moves()
        moves.take(self._spending_order(), amount)
        self._post(details, now, moves, amount=-amount)

    def refund(self, amount: int, spent: Mapping[str, int], details: PostingDetails, *, now: datetime) -> None:
        """Return spent points to the lots they came from, then take what reversals had waived because it was spent.

        Points that came in after the last waiver are the customer's: they cannot be those that were spent then.
        """
        self.return_to_lots(amount, spent, details, now=now)
        waived_at = self.holder.waived_at or now
        newer = sum(part for lot, part in self._refund_parts(amount, spent) if lot.created_at > waived_at)
        self._reverse_waived(amount - newer, details, now)

    def return_to_lots(self, amount: int, spent: Mapping[str, int], details: PostingDetails, *, now: datetime) -> None:
        """Return points to the lots they came from, which keep their dates.

        `spent` maps lot ids to points. Lots that expire last are filled first, because the soonest were spent first.
        Points that came from no lot (a spend below zero) first pay a debt, and the rest opens a new lot. The debt came
        from a return that needed these points while they were spent.
        """
        self._check_amount(amount)
        self.book_due(now=now)
        moves, left = Moves(), amount
        for lot, part in self._refund_parts(amount, spent):
            moves.add(lot, remaining=part)
            left -= part
        if left > self.debt:
            moves.add(self._open_lot(left - self.debt, details, now), remaining=left - self.debt)
        self._post(details, now, moves, amount=amount)

    def _refund_parts(self, amount: int, spent: Mapping[str, int]) -> list[tuple[Lot, int]]:
        """Return what each lot gets back of `amount` spent points, see `return_to_lots`."""
        parts, left = [], amount
        for lot in sorted((self.lots[lot_id] for lot_id in spent), key=soonest_first, reverse=True):
            part = min(left, spent[lot.id])
            parts.append((lot, part))
            left -= part
        return parts

    def forgive(self, amount: int, details: PostingDetails, *, now: datetime, **dates: Unpack[LotDates]) -> None:
        """Let the customer keep waived points of an order that is worth more again.

        Waived points that a refund has paid meanwhile are credited again, with the given dates.
        """
        kept = self.unwaive(amount)
        if amount > kept:
            # The opposite of what `_reverse_waived` posted, with the same kind and reference: both add up to 0.
            again = replace(details, kind=Kind.REVERSE, reference_type="waived")
            self.earn(amount - kept, again, now=now, **dates)

    def _reverse_waived(self, amount: int, refund: PostingDetails, now: datetime) -> None:
        """Take points that a reversal had waived because they were spent, now that a refund brings them back.

        No more is taken than `reverse` would take now. If a part of the refund has just paid a debt, taking it becomes
        debt again.
        """
        due = min(amount, self.holder.waived)
        if not due:
            return
        self.holder.waive(-due)
        taken = self._part_within_balance(due)
        self.holder.waive(due - taken)
        if taken:
            moves = Moves()
            moves.take(self._spending_order(), taken)
            why = "Taken back for orders that were canceled or returned"
            self._post(
                replace(refund, kind=Kind.REVERSE, reference_type="waived", description=why), now, moves, amount=-taken
            )

    def send_lots(self, parts: Mapping[str, int], details: PostingDetails, *, now: datetime) -> list[LotTransfer]:
        """Post the outgoing half of a lot transfer; `receive_lots` is the incoming half.

        `parts` maps lot ids to points, none of them on hold. Post what is due before, so that the parts are of the lots
        as they are now.
        """
        moves = Moves()
        transfers = []
        for lot_id, amount in parts.items():
            lot = self.lots[lot_id]
            moves.add(lot, remaining=-amount)
            transfers.append(LotTransfer.from_row(lot, amount=amount))
        matured = sum(transfer.amount for transfer in transfers if transfer.matured)
        self._post(details, now, moves, amount=-matured, pending=matured - sum(parts.values()))
        return transfers

    def receive_lots(self, transfers: Iterable[LotTransfer], details: PostingDetails, *, now: datetime) -> None:
        """Post the incoming half of a lot transfer, with a new lot for each part."""
        self.book_due(now=now)
        moves, matured, pending = Moves(), 0, 0
        for transfer in transfers:
            lot = transfer.to_lot(new_id("dlot"), origin_version=self.version + 1)
            self.lots[lot.id] = lot
            self.opened_lots.append(lot)
            moves.add(lot, remaining=transfer.amount)
            matured += transfer.amount if transfer.matured else 0
            pending += 0 if transfer.matured else transfer.amount
        self._post(details, now, moves, amount=matured, pending=pending)

    def transfer_out(self, amount: int, details: PostingDetails, *, now: datetime) -> list[LotTransfer]:
        """Transfer out up to `amount` free points for the new owner of an order that has earned them.

        The order's own go first, and of those the pending ones first; then others. It never creates a debt. The
        transfers keep their dates, and have the order as their source.
        """
        source = details.reference_id
        if not self.transferable(amount, source, now=now):
            return []
        transfers = self.send_lots(self._parts(amount, source), details, now=now)
        return [replace(transfer, source_type=details.reference_type, source_id=source) for transfer in transfers]

    def transferable(self, amount: int, source_id: str, *, now: datetime) -> int:
        """Return how many of `amount` points `transfer_out` would transfer. What is due is posted before."""
        self.book_due(now=now)
        self._fetch_from_survivor(amount, source_id, now=now)
        return sum(self._parts(amount, source_id).values())

    def merge(self, *, now: datetime) -> None:
        """Move all free points, debt and waived points to the account that this one was merged into."""
        if self.survivor is None:
            return
        self.book_due(now=now)
        outgoing = self._carry_details("Carried over to another account", now)
        incoming = self._carry_details("Carried over from another account", now)
        parts = {lot.id: lot.remaining - lot.held for lot in self.lots.values() if lot.remaining > lot.held}
        if parts:
            self.survivor.receive_lots(self.send_lots(parts, outgoing, now=now), incoming, now=now)
        if debt := self.debt:
            self.return_to_lots(debt, {}, outgoing, now=now)
            self.survivor.overdraw(debt, incoming, now=now)
        if self.waived:
            self.survivor.waive(self.waived, at=self.waived_at)
            self.waived, self.waived_changed = 0, True

    def _fetch_from_survivor(self, amount: int, source_id: str, *, now: datetime) -> None:
        """Move points back from the survivor, as far as a reversal on this merged account needs them."""
        if self.survivor is None:
            return
        parts = self.survivor._parts(amount - max(0, self.available), source_id)
        if parts:
            outgoing = self._carry_details("Taken back for another account", now)
            incoming = self._carry_details("Fetched from another account", now)
            self.receive_lots(self.survivor.send_lots(parts, outgoing, now=now), incoming, now=now)

    def _fetch_from_former_survivors(self, amount: int, source_id: str, *, now: datetime) -> None:
        """Move back points that stayed in the other account when the merge was undone, as far as they are free now."""
        amount -= sum(self._parts(amount, source_id, others=False).values())
        for account, merge_id, kept in self.former_survivors:
            account.book_due(now=now)
            parts = account._parts(min(amount, kept), source_id, others=False)
            if parts:
                outgoing, incoming = (
                    replace(self._carry_details(description, now), kind=Kind.UNMERGE, reference_id=merge_id)
                    for description in ("Taken back for another account", "Fetched from another account")
                )
                self.receive_lots(account.send_lots(parts, outgoing, now=now), incoming, now=now)
                amount -= sum(parts.values())

    def _carry_details(self, description: str, now: datetime) -> PostingDetails:
        return PostingDetails(
            kind=Kind.MERGE, reference_type="merge", reference_id=self.merge_id, description=description, event_at=now
        )

    def _require_available(self, amount: int) -> None:
        if amount > self.available:
            raise InsufficientDust(asked=amount, available=max(0, self.available))
