"""Every movement of an account, in any order: its lots are what lies in a purse of single coins.

No database, so that a great many sequences can be played; `test_any_life.py` plays them along the whole road.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from bridge.errors import Conflict
from bridge.ids import CustomerId, new_id
from bridge.ledger.account import Account, Kind, Memo, NegativeBalance
from tests.support.purses import Place, Purse
from tests.support.sequences import pieces, play

START = datetime(2026, 1, 1, tzinfo=UTC)
days = st.sampled_from([None, None, 1, 3, 8, 20])


class AnyPurse(RuleBasedStateMachine):
    orders = Bundle("orders")
    held = Bundle("held")
    spent = Bundle("spent")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.account = Account(customer_id=CustomerId("cus_1"))
        self.purse = Purse()
        self.dates: dict[str, Any] = {}
        self.booked: Counter[str] = Counter()

    def memo(self, kind: Kind, reference_id: str) -> Memo:
        self.now += timedelta(seconds=1)
        what = "redemption" if reference_id.startswith("dred") else "order"
        return Memo(
            kind=kind, reference_type=what, reference_id=reference_id, description="test", event_at=self.now
        )  # fmt: skip

    def uses(self, redemption: str, figure: str) -> Counter[str]:
        """What the rows of a redemption did to each lot, as `book.reserved_lots` and `book.spent_lots` read it."""
        found: Counter[str] = Counter()
        for posting in self.account.postings:
            if posting.memo.reference_id == redemption:
                for move in posting.moves:
                    found[move.lot_id] += move.held if figure == "held" else -move.remaining
        return +found

    @rule(target=orders, amount=st.integers(1, 30), matures=days, expires=days)
    def earn(self, amount: int, matures: int | None, expires: int | None) -> str:
        order = new_id("order")
        memo = self.memo(Kind.EARN, order)
        dates = {
            "matures_at": self.now + timedelta(days=matures) if matures else None,
            "expires_at": self.now + timedelta(days=expires) if expires else None,
        }
        self.account.earn(amount, memo, now=self.now, **dates)
        self.purse.earn(order, amount, now=self.now, **dates)
        self.booked[order] = amount
        return order

    @rule(order=orders, part=st.integers(1, 30), within=st.booleans())
    def take_back(self, order: str, part: int, within: bool) -> None:
        amount = min(part, self.booked[order])
        if not amount:
            return
        policy = NegativeBalance.WITHIN_BALANCE if within else NegativeBalance.ALLOW
        memo = self.memo(Kind.REVERSE, order)
        taken = self.account.take_back(amount, memo, now=self.now, policy=policy)
        assert taken == self.purse.take_back(order, amount, within_balance=within)
        self.booked[order] -= taken

    @rule(hours=st.integers(1, 100))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def upkeep(self) -> None:
        self.account.mature_due(now=self.now)
        self.account.expire_due(now=self.now)
        self.purse.mature(self.now)
        self.purse.expire(self.now)

    @rule(target=held, amount=st.integers(1, 40))
    def hold(self, amount: int) -> Any:
        redemption = new_id("dred")
        memo = self.memo(Kind.HOLD, redemption)
        self.upkeep()
        try:
            self.account.hold(amount, memo, now=self.now)
        except Conflict:
            assert amount > self.purse.available
            return multiple()
        assert amount <= self.purse.available
        self.purse.hold(redemption, amount)
        return redemption

    @rule(target=spent, redemption=consumes(held))
    def release(self, redemption: str) -> str:
        self.account.release(self.uses(redemption, "held"), self.memo(Kind.RELEASE, redemption), now=self.now)
        self.purse.release(redemption)
        return redemption

    @rule(target=spent, redemption=consumes(held), percent=st.integers(1, 100))
    def capture(self, redemption: str, percent: int) -> str:
        reserved = self.uses(redemption, "held")
        amount = max(1, reserved.total() * percent // 100)
        self.account.capture(amount, reserved, self.memo(Kind.REDEEM, redemption), now=self.now)
        if rest := self.uses(redemption, "held"):
            self.account.release(rest, self.memo(Kind.RELEASE, redemption), now=self.now)
        self.purse.capture(redemption, amount)
        self.booked[redemption] = amount
        return redemption

    @rule(redemption=spent, amount=st.integers(1, 20))
    def use_more(self, redemption: str, amount: int) -> None:
        self.account.spend_anyway(amount, self.memo(Kind.REDEEM, redemption), now=self.now)
        self.purse.spend_anyway(redemption, amount)
        self.booked[redemption] += amount

    @rule(redemption=spent, part=st.integers(1, 20))
    def give_back(self, redemption: str, part: int) -> None:
        if amount := min(part, self.booked[redemption]):
            spent = self.uses(redemption, "spent")
            self.account.give_back(amount, spent, self.memo(Kind.REFUND, redemption), now=self.now)
            self.purse.give_back(redemption, amount, now=self.now)
            self.booked[redemption] -= amount

    @invariant()
    def its_lots_are_what_lies_in_the_purse(self) -> None:
        account, purse = self.account, self.purse
        figures = account.balance, account.held, account.pending, account.debt
        assert figures == (purse.balance, purse.held, purse.pending, purse.debt)
        lots = {
            (lot.source_id, lot.matures_at, lot.expires_at): (lot.remaining, lot.held)
            for lot in account.lots.values()
            if lot.remaining
        }
        assert lots == purse.lots()
        dates = {lot.id: (lot.created_at, lot.matures_at, lot.expires_at, lot.amount) for lot in account.lots.values()}
        assert self.dates.items() <= dates.items()
        self.dates = dates

    @invariant()
    def nobody_owes_who_has_some_to_spare(self) -> None:
        assert not (self.purse.debt and self.purse.at(Place.FREE))


@pieces
@pytest.mark.filterwarnings("ignore:.*seconds to run.*")
def test_lots_are_what_lies_in_a_purse(piece: int) -> None:
    play(AnyPurse, few=100)
