"""Every movement of accounts, in any order: their lots are what the models of single coins have.

No database, so that a great many sequences can be played; `test_any_life.py` plays them through settlement.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from bridge.errors import Conflict
from bridge.ids import CustomerId, new_id
from bridge.ledger.account import Account, NegativeBalance
from bridge.ledger.postings import Kind, PostingDetails
from tests.support.ledger_model import AccountModel, Place
from tests.support.sequences import pieces, play

START = datetime(2026, 1, 1, tzinfo=UTC)
days = st.sampled_from([None, None, 1, 3, 8, 20])


def make_memo(kind: Kind, reference_id: str, moment: datetime) -> PostingDetails:
    what = "redemption" if reference_id.startswith("dred") else "order"
    return PostingDetails(
        kind=kind, reference_type=what, reference_id=reference_id, description="test", event_at=moment
    )


def uses(account: Account, redemption: str, figure: str) -> Counter[str]:
    """What the rows of a redemption did to each lot, as `book.reserved_lots` and `book.spent_lots` read it."""
    found: Counter[str] = Counter()
    for posting in account.postings:
        if (posting.details.reference_type, posting.details.reference_id) == ("redemption", redemption):
            for move in posting.moves:
                found[move.lot_id] += move.held if figure == "held" else -move.remaining
    return +found


def taken_for(account: Account, order: str) -> Counter[str]:
    """What reversals of an order took from each lot and was not restored, as `book.taken_lots` reads it."""
    found: Counter[str] = Counter()
    for posting in account.postings:
        if posting.details.reference_id == order and posting.details.kind in {Kind.EARN, Kind.REVERSE}:
            for move in posting.moves:
                if account.lots[move.lot_id].origin_version != posting.version:
                    found[move.lot_id] -= move.remaining
    return +found


def lots_of(accounts: Iterable[Account]) -> list[dict[Any, tuple[int, int]]]:
    found = []
    for account in accounts:
        lots: dict[Any, tuple[int, int]] = {}
        for lot in account.lots.values():
            if lot.remaining:
                key = lot.source_id, lot.matures_at, lot.expires_at
                left, held = lots.get(key, (0, 0))
                lots[key] = left + lot.remaining, held + lot.held
        found.append(lots)
    return found


class AnyAccount(RuleBasedStateMachine):
    orders = Bundle("orders")
    held = Bundle("held")
    spent = Bundle("spent")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.accounts = [Account(customer_id=CustomerId(name)) for name in ("cus_1", "cus_2")]
        self.models = [AccountModel(), AccountModel()]
        self.dates: dict[str, Any] = {}
        self.given = 0
        self.of: dict[str, int] = {}
        """Whose account a redemption is of."""
        self.booked: Counter[Any] = Counter()
        """What is booked of an order, by order and account; of a redemption what it has spent."""
        self.taken: Counter[tuple[str, int]] = Counter()

    def details(self, kind: Kind, reference_id: str) -> PostingDetails:
        self.now += timedelta(seconds=1)
        return make_memo(kind, reference_id, self.now)

    @rule(target=orders, who=st.integers(0, 1), amount=st.integers(1, 30), matures=days, expires=days)
    def earn(self, who: int, amount: int, matures: int | None, expires: int | None) -> Any:
        order = new_id("order")
        details = self.details(Kind.EARN, order)
        dates = {
            "matures_at": self.now + timedelta(days=matures) if matures else None,
            "expires_at": self.now + timedelta(days=expires) if expires else None,
        }
        self.accounts[who].earn(amount, details, now=self.now, **dates)
        self.models[who].earn(order, amount, now=self.now, **dates)
        self.booked[order, who] = amount
        self.given += amount
        return order, dates

    @rule(order=orders, who=st.integers(0, 1), part=st.integers(1, 30), within=st.booleans())
    def reverse(self, order: Any, who: int, part: int, within: bool) -> None:
        amount = min(part, self.booked[order[0], who])
        if not amount:
            return
        policy = NegativeBalance.WITHIN_BALANCE if within else NegativeBalance.ALLOW
        details = self.details(Kind.REVERSE, order[0])
        taken = self.accounts[who].reverse(amount, details, now=self.now, policy=policy)
        assert taken == self.models[who].reverse(order[0], amount, now=self.now, within_balance=within)
        self.booked[order[0], who] -= taken
        self.taken[order[0], who] += taken
        self.given -= taken

    @rule(order=orders, who=st.integers(0, 1), part=st.integers(1, 30))
    def restore(self, order: Any, who: int, part: int) -> None:
        """An order counts again."""
        if amount := min(part, self.taken[order[0], who]):
            account, details = self.accounts[who], self.details(Kind.EARN, order[0])
            taken = taken_for(account, order[0])
            account.restore(amount, taken, details, now=self.now, **order[1])
            self.models[who].restore(order[0], amount, now=self.now, **order[1])
            self.booked[order[0], who] += amount
            self.taken[order[0], who] -= amount
            self.given += amount

    @rule(order=orders, who=st.integers(0, 1), part=st.integers(1, 30))
    def transfer(self, order: Any, who: int, part: int) -> None:
        amount, other = min(part, self.booked[order[0], who]), 1 - who
        if not amount:
            return
        details = self.details(Kind.TRANSFER, order[0])
        debt = self.accounts[who].debt
        transfers = self.accounts[who].transfer_out(amount, details, now=self.now)
        if transfers:
            self.accounts[other].receive_lots(transfers, details, now=self.now)
        moved = self.models[who].give(order[0], amount, self.models[other], now=self.now)
        assert moved == sum(transfer.amount for transfer in transfers) <= amount
        assert self.accounts[who].debt <= debt
        self.booked[order[0], who] -= moved
        self.booked[order[0], other] += moved

    @rule(hours=st.integers(1, 100))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def upkeep(self) -> None:
        for account, model in zip(self.accounts, self.models, strict=True):
            account.book_due(now=self.now)
            model.due(self.now)

    @rule(target=held, who=st.integers(0, 1), amount=st.integers(1, 40))
    def hold(self, who: int, amount: int) -> Any:
        redemption = new_id("dred")
        details = self.details(Kind.HOLD, redemption)
        self.models[who].due(self.now)
        try:
            self.accounts[who].hold(amount, details, now=self.now)
        except Conflict:
            assert amount > self.models[who].available
            return multiple()
        assert amount <= self.models[who].available
        self.models[who].hold(redemption, amount, now=self.now)
        self.of[redemption] = who
        return redemption

    @rule(target=spent, redemption=consumes(held))
    def release(self, redemption: str) -> str:
        who = self.of[redemption]
        account, details = self.accounts[who], self.details(Kind.RELEASE, redemption)
        account.release(uses(account, redemption, "held"), details, now=self.now)
        self.models[who].release(redemption, now=self.now)
        return redemption

    @rule(target=spent, redemption=consumes(held), percent=st.integers(1, 100))
    def capture(self, redemption: str, percent: int) -> str:
        who = self.of[redemption]
        account, details = self.accounts[who], self.details(Kind.REDEEM, redemption)
        reserved = uses(account, redemption, "held")
        amount = max(1, reserved.total() * percent // 100)
        account.redeem(amount, reserved, details, now=self.now)
        if rest := uses(account, redemption, "held"):
            account.release(rest, make_memo(Kind.RELEASE, redemption, self.now), now=self.now)
        self.models[who].redeem(redemption, amount, now=self.now)
        self.booked[redemption] = amount
        return redemption

    @rule(redemption=spent, amount=st.integers(1, 20))
    def use_more(self, redemption: str, amount: int) -> None:
        who, details = self.of[redemption], self.details(Kind.REDEEM, redemption)
        self.accounts[who].overdraw(amount, details, now=self.now)
        self.models[who].overdraw(redemption, amount, now=self.now)
        self.booked[redemption] += amount

    @rule(redemption=spent, part=st.integers(1, 20))
    def refund(self, redemption: str, part: int) -> None:
        if amount := min(part, self.booked[redemption]):
            who, details = self.of[redemption], self.details(Kind.REFUND, redemption)
            account, waived = self.accounts[who], self.models[who].waived
            account.refund(amount, uses(account, redemption, "spent"), details, now=self.now)
            self.models[who].refund(redemption, amount, now=self.now)
            self.booked[redemption] -= amount
            self.given -= waived - self.models[who].waived

    @invariant()
    def the_lots_are_those_of_the_models(self) -> None:
        for account, model in zip(self.accounts, self.models, strict=True):
            figures = account.balance, account.held, account.pending, account.debt, account.waived
            assert figures == (model.balance, model.held, model.pending, model.debt, model.waived)
        assert lots_of(self.accounts) == [model.lots() for model in self.models]
        dates = {
            lot.id: (lot.created_at, lot.matures_at, lot.expires_at, lot.amount)
            for account in self.accounts
            for lot in account.lots.values()
        }
        assert self.dates.items() <= dates.items()
        self.dates = dates

    @invariant()
    def what_expired_is_known_by_its_source(self) -> None:
        for account, model in zip(self.accounts, self.models, strict=True):
            assert +account.expired == Counter(
                coin.source for coin in model.coins if coin.place is Place.EXPIRED
            )  # fmt: skip

    @invariant()
    def nobody_owes_who_has_some_to_spare(self) -> None:
        for model in self.models:
            assert not (model.debt and model.at(Place.FREE))

    @invariant()
    def there_is_what_orders_gave_less_what_was_spent_or_expired(self) -> None:
        there = sum(account.balance + account.pending for account in self.accounts)
        spent = sum(dust for what, dust in self.booked.items() if isinstance(what, str))
        expired = sum(account.expired.total() for account in self.accounts)
        assert there + spent + expired == self.given


@pytest.mark.system
@pieces
@pytest.mark.filterwarnings("ignore:.*seconds to run.*")
def test_lots_are_those_of_the_models(piece: int) -> None:
    play(AnyAccount, few=100)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["earn", "reverse", "restore", "transfer", "hold", "release", "capture", "use", "refund"]),
        st.integers(0, 1),
        st.integers(1, 30),
        days,
        days,
        st.integers(0, 100),
    ),
    max_size=25,
)  # fmt: skip


def play_steps(steps: list[Any], sweeps: set[int]) -> list[Account]:
    """Play the steps, with a sweep every few hours of the time that passes before those named in `sweeps`."""
    now, accounts = START, [Account(customer_id=CustomerId(name)) for name in ("cus_1", "cus_2")]
    orders: list[tuple[str, int, dict[str, datetime | None]]] = []
    redemptions: list[tuple[str, int]] = []
    for number, (what, who, amount, matures, expires, hours) in enumerate(steps):
        for _ in range(hours):
            now += timedelta(hours=1)
            if number in sweeps:
                for account in accounts:
                    account.book_due(now=now)
        account = accounts[who]
        if what == "earn":
            matures_at = now + timedelta(days=matures) if matures else None
            # As the rules have it, nothing expires before it matures.
            expires_at = (matures_at or now) + timedelta(days=expires) if expires else None
            orders.append((f"order_{number}", amount, {"matures_at": matures_at, "expires_at": expires_at}))
            details = make_memo(Kind.EARN, f"order_{number}", now)
            account.earn(amount, details, now=now, matures_at=matures_at, expires_at=expires_at)
        elif what == "hold":
            redemption = f"dred_{number}"
            try:
                account.hold(amount, make_memo(Kind.HOLD, redemption, now), now=now)
            except Conflict:
                continue
            redemptions.append((redemption, who))
        elif what in {"release", "capture", "use", "refund"} and redemptions:
            redemption, of = redemptions[amount % len(redemptions)]
            _redemption_step(what, accounts[of], redemption, amount, now)
        elif what in {"reverse", "restore", "transfer"} and orders:
            order, earned, dates = orders[amount % len(orders)]
            _order_step(what, accounts, who, order, min(amount, earned), dates, now)
    for account in accounts:
        account.book_due(now=now + timedelta(days=100))
    return accounts


def _redemption_step(what: str, account: Account, redemption: str, amount: int, now: datetime) -> None:
    reserved, spent = uses(account, redemption, "held"), uses(account, redemption, "spent")
    match what:
        case "release" if reserved:
            account.release(reserved, make_memo(Kind.RELEASE, redemption, now), now=now)
        case "capture" if reserved:
            part = min(amount, reserved.total())
            account.redeem(part, reserved, make_memo(Kind.REDEEM, redemption, now), now=now)
        case "use":
            account.overdraw(amount, make_memo(Kind.REDEEM, redemption, now), now=now)
        case "refund" if spent:
            account.refund(min(amount, spent.total()), spent, make_memo(Kind.REFUND, redemption, now), now=now)


def _order_step(
    what: str, accounts: list[Account], who: int, order: str, amount: int, dates: Any, now: datetime
) -> None:
    account = accounts[who]
    match what:
        case "reverse":
            policy = NegativeBalance.WITHIN_BALANCE if amount % 2 else NegativeBalance.ALLOW
            account.reverse(amount, make_memo(Kind.REVERSE, order, now), now=now, policy=policy)
        case "restore":
            account.restore(amount, taken_for(account, order), make_memo(Kind.EARN, order, now), now=now, **dates)
        case "transfer":
            details = make_memo(Kind.TRANSFER, order, now)
            if transfers := account.transfer_out(amount, details, now=now):
                accounts[1 - who].receive_lots(transfers, details, now=now)


@given(steps=STEPS, sweeps=st.sets(st.integers(0, 24)))
def test_when_sweeps_run_makes_no_difference(steps: list[Any], sweeps: set[int]) -> None:
    swept, not_swept = play_steps(steps, sweeps), play_steps(steps, set())
    figures = [
        [(account.balance, account.held, account.pending, account.debt) for account in accounts]
        for accounts in (swept, not_swept)
    ]
    assert figures[0] == figures[1]
    assert lots_of(swept) == lots_of(not_swept)
    assert [+account.expired for account in swept] == [+account.expired for account in not_swept]
