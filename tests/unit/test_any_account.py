"""Operations on accounts in any sequence: their lots equal those of models with single coins.

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


def make_details(kind: Kind, reference_id: str, moment: datetime) -> PostingDetails:
    reference_type = "redemption" if reference_id.startswith("dred") else "order"
    return PostingDetails(
        kind=kind, reference_type=reference_type, reference_id=reference_id, description="test", event_at=moment
    )


def uses(account: Account, redemption: str, figure: str) -> Counter[str]:
    """What the rows of a redemption changed in each lot, as `store.reserved_lots` and `store.spent_lots` read it."""
    moved: Counter[str] = Counter()
    for posting in account.postings:
        if (posting.details.reference_type, posting.details.reference_id) == ("redemption", redemption):
            for move in posting.moves:
                moved[move.lot_id] += move.held if figure == "held" else -move.remaining
    return +moved


def taken_for(account: Account, order: str) -> Counter[str]:
    """What reversals of an order took from each lot and was not restored, as `store.taken_lots` reads it."""
    taken: Counter[str] = Counter()
    for posting in account.postings:
        if posting.details.reference_id == order and posting.details.kind in {Kind.EARN, Kind.REVERSE}:
            for move in posting.moves:
                if account.lots[move.lot_id].origin_version != posting.version:
                    taken[move.lot_id] -= move.remaining
    return +taken


def lots_of(accounts: Iterable[Account]) -> list[dict[Any, tuple[int, int]]]:
    lots_of_accounts = []
    for account in accounts:
        lots: dict[Any, tuple[int, int]] = {}
        for lot in account.lots.values():
            if lot.remaining:
                key = lot.source_id, lot.matures_at, lot.expires_at
                left, held = lots.get(key, (0, 0))
                lots[key] = left + lot.remaining, held + lot.held
        lots_of_accounts.append(lots)
    return lots_of_accounts


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
        self.owner_of: dict[str, int] = {}
        """The account of each redemption."""
        self.booked: Counter[Any] = Counter()
        """Booked points by order and account, and spent points by redemption."""
        self.taken: Counter[tuple[str, int]] = Counter()

    def details(self, kind: Kind, reference_id: str) -> PostingDetails:
        self.now += timedelta(seconds=1)
        return make_details(kind, reference_id, self.now)

    @rule(target=orders, owner=st.integers(0, 1), amount=st.integers(1, 30), matures=days, expires=days)
    def earn(self, owner: int, amount: int, matures: int | None, expires: int | None) -> Any:
        order = new_id("order")
        details = self.details(Kind.EARN, order)
        dates = {
            "matures_at": self.now + timedelta(days=matures) if matures else None,
            "expires_at": self.now + timedelta(days=expires) if expires else None,
        }
        self.accounts[owner].earn(amount, details, now=self.now, **dates)
        self.models[owner].earn(order, amount, now=self.now, **dates)
        self.booked[order, owner] = amount
        self.given += amount
        return order, dates

    @rule(order=orders, owner=st.integers(0, 1), part=st.integers(1, 30), within=st.booleans())
    def reverse(self, order: Any, owner: int, part: int, within: bool) -> None:
        amount = min(part, self.booked[order[0], owner])
        if not amount:
            return
        policy = NegativeBalance.WITHIN_BALANCE if within else NegativeBalance.ALLOW
        details = self.details(Kind.REVERSE, order[0])
        taken = self.accounts[owner].reverse(amount, details, now=self.now, policy=policy)
        assert taken == self.models[owner].reverse(order[0], amount, now=self.now, within_balance=within)
        self.booked[order[0], owner] -= taken
        self.taken[order[0], owner] += taken
        self.given -= taken

    @rule(order=orders, owner=st.integers(0, 1), part=st.integers(1, 30))
    def restore(self, order: Any, owner: int, part: int) -> None:
        """An order counts again."""
        if amount := min(part, self.taken[order[0], owner]):
            account, details = self.accounts[owner], self.details(Kind.EARN, order[0])
            taken = taken_for(account, order[0])
            account.restore(amount, taken, details, now=self.now, **order[1])
            self.models[owner].restore(order[0], amount, now=self.now, **order[1])
            self.booked[order[0], owner] += amount
            self.taken[order[0], owner] -= amount
            self.given += amount

    @rule(order=orders, owner=st.integers(0, 1), part=st.integers(1, 30))
    def transfer(self, order: Any, owner: int, part: int) -> None:
        amount, other = min(part, self.booked[order[0], owner]), 1 - owner
        if not amount:
            return
        details = self.details(Kind.TRANSFER, order[0])
        debt = self.accounts[owner].debt
        transfers = self.accounts[owner].transfer_out(amount, details, now=self.now)
        if transfers:
            self.accounts[other].receive_lots(transfers, details, now=self.now)
        moved = self.models[owner].give(order[0], amount, self.models[other], now=self.now)
        assert moved == sum(transfer.amount for transfer in transfers) <= amount
        assert self.accounts[owner].debt <= debt
        self.booked[order[0], owner] -= moved
        self.booked[order[0], other] += moved

    @rule(hours=st.integers(1, 100))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def upkeep(self) -> None:
        for account, model in zip(self.accounts, self.models, strict=True):
            account.book_due(now=self.now)
            model.due(self.now)

    @rule(target=held, owner=st.integers(0, 1), amount=st.integers(1, 40))
    def hold(self, owner: int, amount: int) -> Any:
        redemption = new_id("dred")
        details = self.details(Kind.HOLD, redemption)
        self.models[owner].due(self.now)
        try:
            self.accounts[owner].hold(amount, details, now=self.now)
        except Conflict:
            assert amount > self.models[owner].available
            return multiple()
        assert amount <= self.models[owner].available
        self.models[owner].hold(redemption, amount, now=self.now)
        self.owner_of[redemption] = owner
        return redemption

    @rule(target=spent, redemption=consumes(held))
    def release(self, redemption: str) -> str:
        owner = self.owner_of[redemption]
        account, details = self.accounts[owner], self.details(Kind.RELEASE, redemption)
        account.release(uses(account, redemption, "held"), details, now=self.now)
        self.models[owner].release(redemption, now=self.now)
        return redemption

    @rule(target=spent, redemption=consumes(held), percent=st.integers(1, 100))
    def capture(self, redemption: str, percent: int) -> str:
        owner = self.owner_of[redemption]
        account, details = self.accounts[owner], self.details(Kind.REDEEM, redemption)
        reserved = uses(account, redemption, "held")
        amount = max(1, reserved.total() * percent // 100)
        account.redeem(amount, reserved, details, now=self.now)
        if rest := uses(account, redemption, "held"):
            account.release(rest, make_details(Kind.RELEASE, redemption, self.now), now=self.now)
        self.models[owner].redeem(redemption, amount, now=self.now)
        self.booked[redemption] = amount
        return redemption

    @rule(redemption=spent, amount=st.integers(1, 20))
    def use_more(self, redemption: str, amount: int) -> None:
        owner, details = self.owner_of[redemption], self.details(Kind.REDEEM, redemption)
        self.accounts[owner].overdraw(amount, details, now=self.now)
        self.models[owner].overdraw(redemption, amount, now=self.now)
        self.booked[redemption] += amount

    @rule(redemption=spent, part=st.integers(1, 20))
    def refund(self, redemption: str, part: int) -> None:
        if amount := min(part, self.booked[redemption]):
            owner, details = self.owner_of[redemption], self.details(Kind.REFUND, redemption)
            account, waived = self.accounts[owner], self.models[owner].waived
            account.refund(amount, uses(account, redemption, "spent"), details, now=self.now)
            self.models[owner].refund(redemption, amount, now=self.now)
            self.booked[redemption] -= amount
            self.given -= waived - self.models[owner].waived

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
        spent = sum(dust for source, dust in self.booked.items() if isinstance(source, str))
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
    for number, (step, owner, amount, matures, expires, hours) in enumerate(steps):
        for _ in range(hours):
            now += timedelta(hours=1)
            if number in sweeps:
                for account in accounts:
                    account.book_due(now=now)
        account = accounts[owner]
        if step == "earn":
            matures_at = now + timedelta(days=matures) if matures else None
            # By the rules, nothing expires before it matures.
            expires_at = (matures_at or now) + timedelta(days=expires) if expires else None
            orders.append((f"order_{number}", amount, {"matures_at": matures_at, "expires_at": expires_at}))
            details = make_details(Kind.EARN, f"order_{number}", now)
            account.earn(amount, details, now=now, matures_at=matures_at, expires_at=expires_at)
        elif step == "hold":
            redemption = f"dred_{number}"
            try:
                account.hold(amount, make_details(Kind.HOLD, redemption, now), now=now)
            except Conflict:
                continue
            redemptions.append((redemption, owner))
        elif step in {"release", "capture", "use", "refund"} and redemptions:
            redemption, of = redemptions[amount % len(redemptions)]
            _redemption_step(step, accounts[of], redemption, amount, now)
        elif step in {"reverse", "restore", "transfer"} and orders:
            order, earned, dates = orders[amount % len(orders)]
            _order_step(step, accounts, owner, order, min(amount, earned), dates, now)
    for account in accounts:
        account.book_due(now=now + timedelta(days=100))
    return accounts


def _redemption_step(step: str, account: Account, redemption: str, amount: int, now: datetime) -> None:
    reserved, spent = uses(account, redemption, "held"), uses(account, redemption, "spent")
    match step:
        case "release" if reserved:
            account.release(reserved, make_details(Kind.RELEASE, redemption, now), now=now)
        case "capture" if reserved:
            part = min(amount, reserved.total())
            account.redeem(part, reserved, make_details(Kind.REDEEM, redemption, now), now=now)
        case "use":
            account.overdraw(amount, make_details(Kind.REDEEM, redemption, now), now=now)
        case "refund" if spent:
            account.refund(min(amount, spent.total()), spent, make_details(Kind.REFUND, redemption, now), now=now)


def _order_step(
    step: str, accounts: list[Account], owner: int, order: str, amount: int, dates: Any, now: datetime
) -> None:
    account = accounts[owner]
    match step:
        case "reverse":
            policy = NegativeBalance.WITHIN_BALANCE if amount % 2 else NegativeBalance.ALLOW
            account.reverse(amount, make_details(Kind.REVERSE, order, now), now=now, policy=policy)
        case "restore":
            account.restore(amount, taken_for(account, order), make_details(Kind.EARN, order, now), now=now, **dates)
        case "transfer":
            details = make_details(Kind.TRANSFER, order, now)
            if transfers := account.transfer_out(amount, details, now=now):
                accounts[1 - owner].receive_lots(transfers, details, now=now)


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
