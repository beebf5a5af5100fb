"""The arithmetic of an account: whatever happens in whatever order, the figures fit together."""

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


def account() -> Account:
    return Account(customer_id=CustomerId("cus_1"))


def lots_left(who: Account) -> dict[str, int]:
    return {lot.source_id: lot.remaining for lot in who.lots.values() if lot.remaining}


def test_spending_takes_what_expires_soonest() -> None:
    who = account()
    who.earn(10, details(reference="never"), now=NOW)
    who.earn(10, details(reference="late"), now=NOW, expires_at=NOW + timedelta(days=90))
    who.earn(10, details(reference="soon"), now=NOW, expires_at=NOW + timedelta(days=9))
    who.hold(15, details(Kind.HOLD, "dred_1"), now=NOW)
    reserved = {lot.id: lot.held for lot in who.lots.values() if lot.held}
    who.redeem(15, reserved, details(Kind.REDEEM, "dred_1"), now=NOW)
    assert lots_left(who) == {"never": 10, "late": 5}
    assert (who.balance, who.held) == (15, 0)


def test_a_return_gives_back_to_the_same_lots_with_their_dates() -> None:
    who = account()
    who.earn(10, details(reference="late"), now=NOW, expires_at=NOW + timedelta(days=90))
    who.earn(10, details(reference="soon"), now=NOW, expires_at=NOW + timedelta(days=9))
    dates = {lot.id: lot.expires_at for lot in who.lots.values()}
    who.overdraw(15, details(Kind.REDEEM), now=NOW)
    spent = {lot.id: lot.amount - lot.remaining for lot in who.lots.values()}
    who.refund(7, spent, details(Kind.REFUND), now=NOW)
    assert lots_left(who) == {"late": 10, "soon": 2}
    assert {lot.id: lot.expires_at for lot in who.lots.values()} == dates
    assert who.balance == 12


def test_a_hold_beyond_what_is_available_is_refused_and_changes_nothing() -> None:
    who = account()
    who.earn(100, details(), now=NOW)
    who.hold(60, details(Kind.HOLD, "dred_1"), now=NOW)
    with pytest.raises(InsufficientDust) as refused:
        who.hold(41, details(Kind.HOLD, "dred_2"), now=NOW)
    assert refused.value.details == {"available": 40}
    assert (who.balance, who.held, who.version) == (100, 60, 2)


def test_a_hold_does_not_touch_dust_that_has_expired_unnoticed() -> None:
    who = account()
    who.earn(50, details(), now=NOW, expires_at=NOW + timedelta(days=1))
    with pytest.raises(InsufficientDust):
        who.hold(1, details(Kind.HOLD, "dred_1"), now=NOW + timedelta(days=1))
    assert who.balance == 0


def test_a_reversal_of_spent_dust_becomes_debt_that_the_next_earning_pays() -> None:
    who = account()
    who.earn(100, details(), now=NOW)
    who.overdraw(80, details(Kind.REDEEM), now=NOW)
    assert who.reverse(100, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.ALLOW) == 100
    assert (who.balance, who.debt) == (-80, 80)
    who.earn(100, details(reference="order_2"), now=NOW)
    assert (who.balance, who.debt, lots_left(who)) == (20, 0, {"order_2": 20})


def test_within_balance_takes_only_what_is_there_and_says_so() -> None:
    who = account()
    who.earn(100, details(), now=NOW)
    who.overdraw(60, details(Kind.REDEEM, "dred_1"), now=NOW)
    who.hold(30, details(Kind.HOLD, "dred_2"), now=NOW)
    assert who.reverse(100, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.WITHIN_BALANCE) == 40
    assert (who.balance, who.held, who.debt) == (0, 30, 30)


def test_points_on_hold_count_as_balance_and_their_release_pays() -> None:
    who = account()
    who.earn(1000, details(), now=NOW)
    who.hold(1000, details(Kind.HOLD, "dred_1"), now=NOW)
    reserved = {lot.id: lot.held for lot in who.lots.values()}
    assert who.reverse(1000, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.WITHIN_BALANCE) == 1000
    assert (who.balance, who.held, who.available) == (0, 1000, -1000)
    who.release(reserved, details(Kind.RELEASE, "dred_1"), now=NOW)
    assert (who.balance, who.held, who.debt) == (0, 0, 0)


def test_points_that_a_survivor_holds_count_for_the_account_that_was_merged_into_it() -> None:
    survivor, merged = Account(customer_id=CustomerId("cus_2")), account()
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
    """Nothing was swept: a lot that has expired pays for no return, and one that has matured does."""
    who, later = account(), NOW + timedelta(days=2)
    who.earn(100, details(reference="order_2"), now=NOW, expires_at=NOW + timedelta(days=1))
    who.earn(40, details(reference="order_3"), now=NOW, matures_at=NOW + timedelta(days=1))
    who.reverse(50, details(Kind.REVERSE), now=later, policy=NegativeBalance.ALLOW)
    assert (who.balance, who.pending, who.debt) == (-10, 0, 10)
    assert who.expired["order_2"] == 100


def test_a_late_spend_takes_nothing_that_has_expired() -> None:
    who, later = account(), NOW + timedelta(days=2)
    who.earn(100, details(), now=NOW, expires_at=NOW + timedelta(days=1))
    who.overdraw(30, details(Kind.REDEEM, "dred_1"), now=later)
    assert (who.balance, who.debt) == (-30, 30)


def test_a_correction_may_take_what_has_matured_unnoticed() -> None:
    who, later = account(), NOW + timedelta(days=2)
    who.earn(100, details(), now=NOW, matures_at=NOW + timedelta(days=1))
    who.adjust(-100, details(Kind.ADJUST, "a mistake", "adjustment"), now=later)
    assert (who.balance, who.pending) == (0, 0)


def test_what_was_taken_back_is_restored_to_the_same_lots() -> None:
    who = account()
    who.earn(60, details(), now=NOW, expires_at=NOW + timedelta(days=9))
    who.earn(100, details(reference="order_2"), now=NOW, expires_at=NOW + timedelta(days=90))
    lots = {lot.source_id: lot.id for lot in who.lots.values()}
    who.reverse(80, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.ALLOW)
    taken = {lots["order_1"]: 60, lots["order_2"]: 20}
    who.restore(50, taken, details(), now=NOW)
    # Of 80 that were taken 30 stay taken, and those are the order's own.
    assert lots_left(who) == {"order_1": 30, "order_2": 100}
    assert len(who.lots) == 2


def test_restoring_pays_the_debt_that_the_reversal_made_and_opens_a_lot_for_the_rest() -> None:
    who = account()
    who.earn(60, details(), now=NOW)
    who.overdraw(50, details(Kind.REDEEM, "dred_1"), now=NOW)
    lot = next(iter(who.lots))
    who.reverse(60, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.ALLOW)
    who.earn(20, details(reference="order_2"), now=NOW)
    assert (who.balance, who.debt) == (-30, 30)
    expires_at = NOW + timedelta(days=30)
    who.restore(60, {lot: 10}, details(), now=NOW, expires_at=expires_at)
    assert (who.balance, who.debt) == (30, 0)
    assert [(lot.amount, lot.expires_at) for lot in who.lots.values() if lot.source_id == "order_1"] == [
        (60, None),
        (20, expires_at),
    ]


def test_a_transfer_takes_what_is_free_and_makes_no_debt() -> None:
    giver, taker = account(), Account(customer_id=CustomerId("cus_2"))
    soon, later = NOW + timedelta(days=9), NOW + timedelta(days=90)
    giver.earn(100, details(), now=NOW, expires_at=soon)
    giver.earn(30, details(reference="order_2"), now=NOW, expires_at=later)
    giver.overdraw(60, details(Kind.REDEEM, "dred_1"), now=NOW)
    giver.hold(20, details(Kind.HOLD, "dred_2"), now=NOW)
    parcels = giver.transfer_out(100, details(Kind.TRANSFER), now=NOW)
    taker.receive_lots(parcels, details(Kind.TRANSFER), now=NOW)
    assert (giver.balance, giver.held, giver.debt, taker.balance) == (20, 20, 0, 50)
    # They stand for the order at their new owner, and keep their dates.
    assert {(lot.source_id, lot.remaining, lot.expires_at) for lot in taker.lots.values()} == {
        ("order_1", 20, soon),
        ("order_1", 30, later),
    }


def test_a_transfer_moves_pending_points_as_pending_ones() -> None:
    giver, taker = account(), Account(customer_id=CustomerId("cus_2"))
    matures_at = NOW + timedelta(days=9)
    giver.earn(100, details(), now=NOW, matures_at=matures_at)
    taker.receive_lots(giver.transfer_out(40, details(Kind.TRANSFER), now=NOW), details(Kind.TRANSFER), now=NOW)
    assert (giver.pending, taker.pending, taker.balance) == (60, 40, 0)
    taker.book_due(now=matures_at)
    assert (taker.pending, taker.balance) == (0, 40)


def test_a_transfer_of_nothing_writes_nothing() -> None:
    who = account()
    assert who.transfer_out(40, details(Kind.TRANSFER), now=NOW) == []
    assert who.postings == []


def test_pending_dust_is_not_spendable_and_is_taken_back_first() -> None:
    who = account()
    who.earn(100, details(), now=NOW, matures_at=NOW + timedelta(days=14))
    assert (who.balance, who.pending, who.available) == (0, 100, 0)
    with pytest.raises(InsufficientDust):
        who.hold(1, details(Kind.HOLD, "dred_1"), now=NOW)
    who.reverse(40, details(Kind.REVERSE), now=NOW, policy=NegativeBalance.ALLOW)
    who.mature_due(now=NOW + timedelta(days=14))
    assert (who.balance, who.pending) == (60, 0)


def test_held_dust_outlives_its_lot_and_expires_when_released() -> None:
    who = account()
    who.earn(10, details(), now=NOW, expires_at=NOW + timedelta(days=1))
    who.hold(4, details(Kind.HOLD, "dred_1"), now=NOW)
    later = NOW + timedelta(days=2)
    who.expire_due(now=later)
    assert (who.balance, who.held) == (4, 4)
    lot = next(iter(who.lots))
    who.release({lot: 4}, details(Kind.RELEASE, "dred_1"), now=later)
    who.expire_due(now=later)
    assert (who.balance, who.held) == (0, 0)


@pytest.mark.parametrize("amount", [0, -1, 10**12 + 1])
def test_no_movement_of_nothing_or_of_too_much(amount: int) -> None:
    with pytest.raises(AssertionError):
        account().earn(amount, details(), now=NOW)


@given(st.sampled_from(HASHED_COLUMNS))
def test_the_hash_covers_every_column(column: str) -> None:
    row: dict[str, object] = dict.fromkeys(HASHED_COLUMNS, 1)
    assert chain_hash(GENESIS, row) != chain_hash(GENESIS, {**row, column: 2})


class AnyLife(RuleBasedStateMachine):
    """Random lives of an account; the ledger's invariants hold after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.who = account()
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
        return {move.lot_id: getattr(move, figure) for move in self.who.postings[-1].moves if getattr(move, figure)}

    @rule(
        amount=st.integers(1, 500),
        pending_days=st.none() | st.integers(1, 30),
        expires_days=st.none() | st.integers(1, 60),
        with_lots=st.booleans(),
    )
    def earn(self, amount: int, pending_days: int | None, expires_days: int | None, with_lots: bool) -> None:
        order = self.name("order")
        lots = self.who.lots
        if not with_lots:
            # `earn` is called on accounts that were opened without their lots, and must come to the same.
            self.who.lots = {}
        self.who.earn(
            amount,
            details(reference=order),
            now=self.now,
            matures_at=self.now + timedelta(days=pending_days) if pending_days else None,
            expires_at=self.now + timedelta(days=expires_days) if expires_days else None,
        )
        self.who.lots = {**lots, **self.who.lots}
        self.orders[order] = amount

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), policy=st.sampled_from(NegativeBalance))
    def reverse(self, data: st.DataObject, policy: NegativeBalance) -> None:
        order = data.draw(st.sampled_from(sorted(self.orders)))
        if not self.orders[order]:
            return
        amount = data.draw(st.integers(1, self.orders[order]))
        # A reversal books what is due first, so what expires by that is not taken.
        self.who.book_due(now=self.now)
        before = self.who.balance + self.who.pending
        taken = self.who.reverse(amount, details(Kind.REVERSE, order), now=self.now, policy=policy)
        assert taken == amount if policy is NegativeBalance.ALLOW else taken <= amount
        assert before - (self.who.balance + self.who.pending) == taken
        self.orders[order] -= taken

    @rule(amount=st.integers(1, 300))
    def hold(self, amount: int) -> None:
        redemption = self.name("dred")
        try:
            self.who.hold(amount, details(Kind.HOLD, redemption), now=self.now)
        except InsufficientDust:
            assert amount > self.who.available
            return
        self.holds[redemption] = self.moved("held")

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def capture_some_and_release_the_rest(self, data: st.DataObject) -> None:
        redemption = data.draw(st.sampled_from(sorted(self.holds)))
        reserved = self.holds.pop(redemption)
        amount = data.draw(st.integers(0, sum(reserved.values())))
        if amount:
            self.who.redeem(amount, reserved, details(Kind.REDEEM, redemption), now=self.now)
            taken = self.moved("held")
            self.spent[redemption] = {lot: -figure for lot, figure in taken.items()}
            reserved = {lot: figure + taken.get(lot, 0) for lot, figure in reserved.items()}
        rest = {lot: figure for lot, figure in reserved.items() if figure}
        if rest:
            self.who.release(rest, details(Kind.RELEASE, redemption), now=self.now)

    @rule(amount=st.integers(1, 200))
    def overdraw(self, amount: int) -> None:
        redemption = self.name("dred")
        self.who.overdraw(amount, details(Kind.REDEEM, redemption), now=self.now)
        self.spent[redemption] = {lot: -figure for lot, figure in self.moved("remaining").items()}
        self.spent[redemption]["no lot"] = amount - sum(self.spent[redemption].values())

    @precondition(lambda self: any(sum(lots.values()) for lots in self.spent.values()))
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        redemption = data.draw(st.sampled_from(sorted(r for r, lots in self.spent.items() if sum(lots.values()))))
        spent = self.spent.pop(redemption)
        amount = data.draw(st.integers(1, sum(spent.values())))
        lots = {lot: figure for lot, figure in spent.items() if lot != "no lot" and figure}
        self.who.refund(amount, lots, details(Kind.REFUND, redemption), now=self.now)

    @rule(days=st.integers(1, 20))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)
        self.who.mature_due(now=self.now)
        self.who.expire_due(now=self.now)

    @invariant()
    def the_figures_fit(self) -> None:
        who = self.who
        matured = [lot for lot in who.lots.values() if lot.matured]
        assert who.balance + who.debt == sum(lot.remaining for lot in matured)
        assert who.pending == sum(lot.remaining for lot in who.lots.values() if not lot.matured)
        assert (
            who.held == sum(lot.held for lot in who.lots.values()) == sum(sum(h.values()) for h in self.holds.values())
        )
        assert all(0 <= lot.held <= lot.remaining <= lot.amount for lot in who.lots.values())
        assert who.debt >= 0
        assert not (who.debt and any(lot.free for lot in matured))

    @invariant()
    def the_ledger_adds_up(self) -> None:
        rows = self.who.postings
        assert [row.version for row in rows] == list(range(1, len(rows) + 1))
        assert sum(row.amount for row in rows) == self.who.balance
        assert sum(row.held for row in rows) == self.who.held
        assert sum(row.pending for row in rows) == self.who.pending

    @invariant()
    def lots_keep_their_dates(self) -> None:
        for lot in self.who.lots.values():
            assert self.dates.setdefault(lot.id, (lot.matures_at, lot.expires_at)) == (lot.matures_at, lot.expires_at)

    @invariant()
    def only_a_reversal_or_a_late_spend_goes_below_zero(self) -> None:
        for row in self.who.postings:
            if row.balance_after < 0 and row.amount < 0:
                assert row.details.kind in {Kind.REVERSE, Kind.REDEEM}


TestAnyLife = AnyLife.TestCase
