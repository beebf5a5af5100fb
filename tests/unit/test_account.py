"""The arithmetic of an account: its figures are consistent after any sequence of operations."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.ids import CustomerId
from bridge.ledger.account import Account, InsufficientDust, NegativeBalance
from bridge.ledger.postings import GENESIS, HASHED_COLUMNS, Kind, PostingDetails, chain_hash

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def details(kind: Kind = Kind.EARN, reference: str = "order_1", reference_type: str = "order") -> PostingDetails:
    return PostingDetails(
        kind=kind, reference_type=reference_type, reference_id=reference, description="test", event_at=NOW
    )


def new_account() -> Account:
    return Account(customer_id=CustomerId("cus_1"))


def lots_left(account: Account) -> dict[str, int]:
    return {lot.source_id: lot.remaining for lot in account.lots.values() if lot.remaining}


def test_spending_takes_what_expires_soonest() -> None:
    account = new_account()
    account.earn(10, details(reference="never"), now=NOW)
    account.earn(10, details(reference="late"), now=NOW, expires_at=NOW + timedelta(days=90))
    account.earn(10, details(reference="soon"), now=NOW, expires_at=NOW + timedelta(days=9))
    account.hold(15, details(Kind.HOLD, "dred_1"), now=NOW)
    reserved = {lot.id: lot.held for lot in account.lots.values() if lot.held}
    account.redeem(15, reserved, details(Kind.REDEEM, "dred_1"), now=NOW)
    assert lots_left(account) == {"never": 10, "late": 5}
    assert (account.balance, account.held) == (15, 0)


def test_a_return_gives_back_to_the_same_lots_with_their_dates() -> None:
    account = new_account()
    account.earn(10, details(reference="late"), now=NOW, expires_at=NOW + timedelta(days=90))
    account.earn(10, details(reference="soon"), now=NOW, expires_at=NOW + timedelta(days=9))
    dates = {lot.id: lot.expires_at for lot in account.lots.values()}
    account.overdraw(15, details(Kind.REDEEM), now=NOW)
    spent = {lot.id: lot.amount - lot.remaining for lot in account.lots.values()}
    account.refund(7, spent, details(Kind.REFUND), now=NOW)
    assert lots_left(account) == {"late": 10, "soon": 2}
    assert {lot.id: lot.expires_at for lot in account.lots.values()} == dates
    assert account.balance == 12


def test_a_hold_beyond_what_is_available_is_refused_and_changes_nothing() -> None:
    account = new_account()
    account.earn(100, details(), now=NOW)
    account.hold(60, details(Kind.HOLD, "dred_1"), now=NOW)
    with pytest.raises(InsufficientDust) as refused:
        account.hold(41, details(Kind.HOLD, "dred_2"), now=NOW)
    assert refused.value.details == {"available": 40}
    assert (account.balance, account.held, account.version) == (100, 60, 2)


def test_a_hold_does_not_use_points_whose_expiry_is_not_posted_yet() -> None:
    account = new_account()
    account.earn(50, details(), now=NOW, expires_at=NOW + timedelta(days=1))
    with pytest.raises(InsufficientDust):
        account.hold(1, details(Kind.HOLD, "dred_1"), now=NOW + timedelta(days=1))
    assert account.balance == 0


def test_a_reversal_of_spent_dust_becomes_debt_that_the_next_earning_pays() -> None:
    account = new_account()
    account.earn(100, details(), now=NOW)
    account.overdraw(80, details(Kind.REDEEM), now=NOW)
    assert account.reverse(100, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.ALLOW) == 100
    assert (account.balance, account.debt) == (-80, 80)
    account.earn(100, details(reference="order_2"), now=NOW)
    assert (account.balance, account.debt, lots_left(account)) == (20, 0, {"order_2": 20})


def test_within_balance_takes_only_what_is_there_and_says_so() -> None:
    account = new_account()
    account.earn(100, details(), now=NOW)
    account.overdraw(60, details(Kind.REDEEM, "dred_1"), now=NOW)
    account.hold(30, details(Kind.HOLD, "dred_2"), now=NOW)
    assert account.reverse(100, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.WITHIN_BALANCE) == 40
    assert (account.balance, account.held, account.debt) == (0, 30, 30)


def test_points_on_hold_count_as_balance_and_their_release_pays() -> None:
    account = new_account()
    account.earn(1000, details(), now=NOW)
    account.hold(1000, details(Kind.HOLD, "dred_1"), now=NOW)
    reserved = {lot.id: lot.held for lot in account.lots.values()}
    assert account.reverse(1000, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.WITHIN_BALANCE) == 1000
    assert (account.balance, account.held, account.available) == (0, 1000, -1000)
    account.release(reserved, details(Kind.RELEASE, "dred_1"), now=NOW)
    assert (account.balance, account.held, account.debt) == (0, 0, 0)


def test_points_that_a_survivor_holds_count_for_the_account_that_was_merged_into_it() -> None:
    survivor, merged = Account(customer_id=CustomerId("cus_2")), new_account()
    merged.survivor = survivor
    merged.earn(100, details(), now=NOW)
    merged.merge(now=NOW)
    survivor.hold(100, details(Kind.HOLD, "dred_1"), now=NOW)
    reserved = {lot.id: lot.held for lot in survivor.lots.values() if lot.held}
    assert merged.reverse(100, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.WITHIN_BALANCE) == 100
    merged.merge(now=NOW)
    survivor.release(reserved, details(Kind.RELEASE, "dred_1"), now=NOW)
    assert (merged.balance, survivor.balance, survivor.debt) == (0, 0, 0)


def test_what_is_due_is_booked_before_anything_is_taken() -> None:
    """No sweep has run. An expired lot does not pay for a return, and a matured one does."""
    account, later = new_account(), NOW + timedelta(days=2)
    account.earn(100, details(reference="order_2"), now=NOW, expires_at=NOW + timedelta(days=1))
    account.earn(40, details(reference="order_3"), now=NOW, matures_at=NOW + timedelta(days=1))
    account.reverse(50, details(Kind.REVERSE), now=later, policy=NegativeBalance.ALLOW)
    assert (account.balance, account.pending, account.debt) == (-10, 0, 10)
    assert account.expired["order_2"] == 100


def test_a_late_spend_takes_nothing_that_has_expired() -> None:
    account, later = new_account(), NOW + timedelta(days=2)
    account.earn(100, details(), now=NOW, expires_at=NOW + timedelta(days=1))
    account.overdraw(30, details(Kind.REDEEM, "dred_1"), now=later)
    assert (account.balance, account.debt) == (-30, 30)


def test_a_correction_can_use_points_whose_maturity_is_not_posted_yet() -> None:
    account, later = new_account(), NOW + timedelta(days=2)
    account.earn(100, details(), now=NOW, matures_at=NOW + timedelta(days=1))
    account.adjust(-100, details(Kind.ADJUST, "a mistake", "adjustment"), now=later)
    assert (account.balance, account.pending) == (0, 0)


def test_what_was_taken_back_is_restored_to_the_same_lots() -> None:
    account = new_account()
    account.earn(60, details(), now=NOW, expires_at=NOW + timedelta(days=9))
    account.earn(100, details(reference="order_2"), now=NOW, expires_at=NOW + timedelta(days=90))
    lots = {lot.source_id: lot.id for lot in account.lots.values()}
    account.reverse(80, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.ALLOW)
    taken = {lots["order_1"]: 60, lots["order_2"]: 20}
    account.restore(50, taken, details(), now=NOW)
    # 30 of the 80 points stay taken, from the order's own lot.
    assert lots_left(account) == {"order_1": 30, "order_2": 100}
    assert len(account.lots) == 2


def test_restoring_pays_the_debt_that_the_reversal_made_and_opens_a_lot_for_the_rest() -> None:
    account = new_account()
    account.earn(60, details(), now=NOW)
    account.overdraw(50, details(Kind.REDEEM, "dred_1"), now=NOW)
    lot = next(iter(account.lots))
    account.reverse(60, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.ALLOW)
    account.earn(20, details(reference="order_2"), now=NOW)
    assert (account.balance, account.debt) == (-30, 30)
    expires_at = NOW + timedelta(days=30)
    account.restore(60, {lot: 10}, details(), now=NOW, expires_at=expires_at)
    assert (account.balance, account.debt) == (30, 0)
    assert [(lot.amount, lot.expires_at) for lot in account.lots.values() if lot.source_id == "order_1"] == [
        (60, None),
        (20, expires_at),
    ]


def test_a_transfer_takes_what_is_free_and_makes_no_debt() -> None:
    giver, taker = new_account(), Account(customer_id=CustomerId("cus_2"))
    soon, later = NOW + timedelta(days=9), NOW + timedelta(days=90)
    giver.earn(100, details(), now=NOW, expires_at=soon)
    giver.earn(30, details(reference="order_2"), now=NOW, expires_at=later)
    giver.overdraw(60, details(Kind.REDEEM, "dred_1"), now=NOW)
    giver.hold(20, details(Kind.HOLD, "dred_2"), now=NOW)
    parcels = giver.transfer_out(100, details(Kind.TRANSFER), now=NOW)
    taker.receive_lots(parcels, details(Kind.TRANSFER), now=NOW)
    assert (giver.balance, giver.held, giver.debt, taker.balance) == (20, 20, 0, 50)
    # At their new owner they have the order as their source, and keep their dates.
    assert {(lot.source_id, lot.remaining, lot.expires_at) for lot in taker.lots.values()} == {
        ("order_1", 20, soon),
        ("order_1", 30, later),
    }


def test_a_transfer_moves_pending_points_as_pending_ones() -> None:
    giver, taker = new_account(), Account(customer_id=CustomerId("cus_2"))
    matures_at = NOW + timedelta(days=9)
    giver.earn(100, details(), now=NOW, matures_at=matures_at)
    taker.receive_lots(giver.transfer_out(40, details(Kind.TRANSFER), now=NOW), details(Kind.TRANSFER), now=NOW)
    assert (giver.pending, taker.pending, taker.balance) == (60, 40, 0)
    taker.book_due(now=matures_at)
    assert (taker.pending, taker.balance) == (0, 40)


def test_a_transfer_of_nothing_writes_nothing() -> None:
    account = new_account()
    assert account.transfer_out(40, details(Kind.TRANSFER), now=NOW) == []
    assert account.postings == []


def test_pending_dust_is_not_spendable_and_is_taken_back_first() -> None:
    account = new_account()
    account.earn(100, details(), now=NOW, matures_at=NOW + timedelta(days=14))
    assert (account.balance, account.pending, account.available) == (0, 100, 0)
    with pytest.raises(InsufficientDust):
        account.hold(1, details(Kind.HOLD, "dred_1"), now=NOW)
    account.reverse(40, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.ALLOW)
    account.mature_due(now=NOW + timedelta(days=14))
    assert (account.balance, account.pending) == (60, 0)


def test_held_dust_outlives_its_lot_and_expires_when_released() -> None:
    account = new_account()
    account.earn(10, details(), now=NOW, expires_at=NOW + timedelta(days=1))
    account.hold(4, details(Kind.HOLD, "dred_1"), now=NOW)
    later = NOW + timedelta(days=2)
    account.expire_due(now=later)
    assert (account.balance, account.held) == (4, 4)
    lot = next(iter(account.lots))
    account.release({lot: 4}, details(Kind.RELEASE, "dred_1"), now=later)
    account.expire_due(now=later)
    assert (account.balance, account.held) == (0, 0)


@pytest.mark.parametrize("amount", [0, -1, 10**12 + 1])
def test_a_movement_of_zero_or_of_too_many_points_is_refused(amount: int) -> None:
    with pytest.raises(AssertionError):
        new_account().earn(amount, details(), now=NOW)


@given(st.sampled_from(HASHED_COLUMNS))
def test_the_hash_covers_every_column(column: str) -> None:
    row: dict[str, object] = dict.fromkeys(HASHED_COLUMNS, 1)
    assert chain_hash(GENESIS, row) != chain_hash(GENESIS, {**row, column: 2})


class AnyLife(RuleBasedStateMachine):
    """Random lives of an account; the ledger's invariants hold after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.account = new_account()
        self.now = NOW
        self.orders: dict[str, int] = {}
        self.holds: dict[str, dict[str, int]] = {}
        self.spent: dict[str, dict[str, int]] = {}
        self.dates: dict[str, object] = {}
        self.number = 0

    def name(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}_{self.number}"

    def moved(self, figure: str) -> dict[str, int]:
        """What the last posting did to each lot."""
        return {move.lot_id: getattr(move, figure) for move in self.account.postings[-1].moves if getattr(move, figure)}

    @rule(
        amount=st.integers(1, 500),
        pending_days=st.none() | st.integers(1, 30),
        expires_days=st.none() | st.integers(1, 60),
        with_lots=st.booleans(),
    )
    def earn(self, amount: int, pending_days: int | None, expires_days: int | None, with_lots: bool) -> None:
        order = self.name("order")
        lots = self.account.lots
        if not with_lots:
            # Accounts without loaded lots must get the same result of `earn`.
            self.account.lots = {}
        self.account.earn(
            amount,
            details(reference=order),
            now=self.now,
            matures_at=self.now + timedelta(days=pending_days) if pending_days else None,
            expires_at=self.now + timedelta(days=expires_days) if expires_days else None,
        )
        self.account.lots = {**lots, **self.account.lots}
        self.orders[order] = amount

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), policy=st.sampled_from(NegativeBalance))
    def reverse(self, data: st.DataObject, policy: NegativeBalance) -> None:
        order = data.draw(st.sampled_from(sorted(self.orders)))
        if not self.orders[order]:
            return
        amount = data.draw(st.integers(1, self.orders[order]))
        # A reversal posts due expiry first, so it does not take those points.
        self.account.book_due(now=self.now)
        before = self.account.balance + self.account.pending
        taken = self.account.reverse(amount, details(Kind.REVERSE, order), now=self.now, policy=policy)
        assert taken == amount if policy is NegativeBalance.ALLOW else taken <= amount
        assert before - (self.account.balance + self.account.pending) == taken
        self.orders[order] -= taken

    @rule(amount=st.integers(1, 300))
    def hold(self, amount: int) -> None:
        redemption = self.name("dred")
        try:
            self.account.hold(amount, details(Kind.HOLD, redemption), now=self.now)
        except InsufficientDust:
            assert amount > self.account.available
            return
        self.holds[redemption] = self.moved("held")

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def capture_some_and_release_the_rest(self, data: st.DataObject) -> None:
        redemption = data.draw(st.sampled_from(sorted(self.holds)))
        reserved = self.holds.pop(redemption)
        amount = data.draw(st.integers(0, sum(reserved.values())))
        if amount:
            self.account.redeem(amount, reserved, details(Kind.REDEEM, redemption), now=self.now)
            taken = self.moved("held")
            self.spent[redemption] = {lot: -figure for lot, figure in taken.items()}
            reserved = {lot: figure + taken.get(lot, 0) for lot, figure in reserved.items()}
        rest = {lot: figure for lot, figure in reserved.items() if figure}
        if rest:
            self.account.release(rest, details(Kind.RELEASE, redemption), now=self.now)

    @rule(amount=st.integers(1, 200))
    def overdraw(self, amount: int) -> None:
        redemption = self.name("dred")
        self.account.overdraw(amount, details(Kind.REDEEM, redemption), now=self.now)
        self.spent[redemption] = {lot: -figure for lot, figure in self.moved("remaining").items()}
        self.spent[redemption]["no lot"] = amount - sum(self.spent[redemption].values())

    @precondition(lambda self: any(sum(lots.values()) for lots in self.spent.values()))
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        redemption = data.draw(st.sampled_from(sorted(r for r, lots in self.spent.items() if sum(lots.values()))))
        spent = self.spent.pop(redemption)
        amount = data.draw(st.integers(1, sum(spent.values())))
        lots = {lot: figure for lot, figure in spent.items() if lot != "no lot" and figure}
        self.account.refund(amount, lots, details(Kind.REFUND, redemption), now=self.now)

    @rule(days=st.integers(1, 20))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)
        self.account.mature_due(now=self.now)
        self.account.expire_due(now=self.now)

    @invariant()
    def the_figures_fit(self) -> None:
        account = self.account
        matured = [lot for lot in account.lots.values() if lot.matured]
        assert account.balance + account.debt == sum(lot.remaining for lot in matured)
        assert account.pending == sum(lot.remaining for lot in account.lots.values() if not lot.matured)
        assert (
            account.held
            == sum(lot.held for lot in account.lots.values())
            == sum(sum(h.values()) for h in self.holds.values())
        )
        assert all(0 <= lot.held <= lot.remaining <= lot.amount for lot in account.lots.values())
        assert account.debt >= 0
        assert not (account.debt and any(lot.free for lot in matured))

    @invariant()
    def the_ledger_adds_up(self) -> None:
        rows = self.account.postings
        assert [row.version for row in rows] == list(range(1, len(rows) + 1))
        assert sum(row.amount for row in rows) == self.account.balance
        assert sum(row.held for row in rows) == self.account.held
        assert sum(row.pending for row in rows) == self.account.pending

    @invariant()
    def lots_keep_their_dates(self) -> None:
        for lot in self.account.lots.values():
            assert self.dates.setdefault(lot.id, (lot.matures_at, lot.expires_at)) == (lot.matures_at, lot.expires_at)

    @invariant()
    def only_a_reversal_or_a_late_spend_goes_below_zero(self) -> None:
        for row in self.account.postings:
            if row.balance_after < 0 and row.amount < 0:
                assert row.details.kind in {Kind.REVERSE, Kind.REDEEM}


TestAnyLife = AnyLife.TestCase
