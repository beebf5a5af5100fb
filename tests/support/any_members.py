"""Random sequences of everything that can happen to members and their accounts: points exist once.

Merges and their undo, guests who claim, transfers, referrals, imports, corrections, erasure and declined payments,
beside orders and redemptions. There is no expiry and no limit here, so the sums are exact. After each step:

    what all accounts have + escrow + what orders have used - what was waived
        = what orders are worth + imports + corrections + bonuses + referrals

In the end everything is undone: no order and no import is left, and all have what the shop gave by hand.
"""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Conflict
from bridge.ids import CustomerId, new_id
from bridge.imports.batches import post_some
from bridge.imports.undo import undo_some
from bridge.inbox.erasure import erase_customer
from bridge.ledger.adjust import adjust_balance
from bridge.ledger.merges import merge_customers, unmerge_customer
from bridge.medusa.client import get_medusa
from bridge.medusa.orders import Order
from bridge.operations.audit import audit
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.repository import Redemption, claim_due
from bridge.settlement.claims import claim_orders
from bridge.settlement.facts import read_revisions
from bridge.settlement.manual_bonuses import NewBonus, give_bonus
from bridge.settlement.referral_codes import own_code, state_code
from bridge.settlement.referrals import settle_referrals
from bridge.settlement.settle import settle_orders
from bridge.settlement.tables import Proof
from tests.support.clock import advance as advance_clock
from tests.support.medusa import FakeMedusa
from tests.support.member_orders import GUEST, Bought
from tests.support.redemptions import redeem_points, release_redemption
from tests.support.sequences import empty_database
from tests.support.settling import set_rules

ACCOUNTS = tuple(CustomerId(f"cus_{name}") for name in ("ada", "bob", "cy"))
# 10 points take 1.00 off.
RATE = 10
NET_OF_REFERRALS = (
    "SELECT sum(referrer_booked - referrer_not_taken + referred_booked - referred_not_taken) FROM referral"
)

anybody = st.sampled_from(ACCOUNTS)


class _PointsAreSpent(Exception):
    """The survivor of a merge has spent points that were carried over."""


class AnyMembers(RuleBasedStateMachine):
    orders = Bundle("orders")
    active = Bundle("active")
    imports = Bundle("imports")
    medusa: FakeMedusa

    def __init__(self) -> None:
        super().__init__()
        self.medusa.forget()
        empty_database()
        self.clock_moved = timedelta()
        self.bought: list[Bought] = []
        self.holds: list[Redemption] = []
        self.heard: list[Order] = []
        self.imported: dict[str, int] = {}
        self.given = 0
        self.debited = 0

    def _pass(self, by: timedelta) -> None:
        advance_clock(by)
        self.clock_moved += by

    @initialize(within=st.booleans(), unpaid=st.booleans(), days=st.sampled_from([0, 0, 3]))
    def open_the_shop(self, within: bool, unpaid: bool, days: int) -> None:
        self.change_the_rules(within, unpaid, days)

    @rule(within=st.booleans(), unpaid=st.booleans(), days=st.sampled_from([0, 0, 3]))
    def change_the_rules(self, within: bool, unpaid: bool, days: int) -> None:
        set_rules(
            earn={"pending_until_paid": unpaid, "pending_days": days},
            redeem={"rates": {"eur": str(RATE)}, "code_ttl_minutes": 100_000},
            reversal={"negative_balance": "within_balance" if within else "allow"},
            bonuses={"referral": {"referrer": 20, "referred": 5, "min_earned": 2}},
        )

    def _settle(self, *bought: Bought) -> None:
        self._pass(timedelta(minutes=1))
        facts = [order.facts() for order in bought]
        self.heard += [fact for fact in facts if not fact.gone]
        with transaction() as connection:
            asked = read_revisions(connection, [fact.id for fact in facts if fact.gone])
            settle_orders(connection, facts, now=now(), asked=asked)

    def _changed(self, bought: Bought) -> None:
        bought.version += 1
        self._settle(bought)

    def _buy(self, customer: CustomerId, price: int, quantity: int, **more: Any) -> Bought:
        new = Bought(
            id=f"order_{len(self.bought):03}", customer=customer, price=price, quantity=quantity,
            placed=now().replace(microsecond=0), **more,
        )  # fmt: skip
        self.bought.append(new)
        self._settle(new)
        return new

    @rule(target=orders, customer=anybody, price=st.integers(1, 30), quantity=st.integers(1, 3), paid=st.booleans())
    def buy(self, customer: CustomerId, price: int, quantity: int, paid: bool) -> Bought:
        return self._buy(customer, price, quantity, paid=paid)

    @rule(target=orders, price=st.integers(1, 30), paid=st.booleans())
    def buy_as_guest(self, price: int, paid: bool) -> Bought:
        return self._buy(GUEST, price, 1, paid=paid)

    @rule(bought=orders)
    def pay(self, bought: Bought) -> None:
        if bought.stands:
            bought.paid = True
            self._changed(bought)

    @rule(bought=orders)
    def take_one_back(self, bought: Bought) -> None:
        if bought.stands and bought.returned < bought.quantity:
            bought.returned += 1
            self._changed(bought)

    @rule(bought=orders)
    def cancel(self, bought: Bought) -> None:
        if bought.stands:
            bought.canceled = True
            self._changed(bought)

    @rule(bought=orders)
    def decline(self, bought: Bought) -> None:
        """Medusa deletes the order, and its code can be used again."""
        if bought.stands and bought.version == 1:
            bought.gone = True
            for promotion in self.medusa.promotions.values():
                if promotion["code"] == bought.code:
                    promotion["used"] -= 1
            self._settle(bought)

    @rule(bought=orders, customer=anybody)
    def transfer(self, bought: Bought, customer: CustomerId) -> None:
        if bought.stands and bought.customer != customer:
            bought.customer = customer
            self._changed(bought)

    @rule(bought=orders)
    def transfer_to_a_guest(self, bought: Bought) -> None:
        if bought.stands and bought.customer != GUEST and not bought.claimed:
            bought.customer = GUEST
            self._changed(bought)

    @rule(customer=anybody, number=st.integers(1, 3))
    def claim(self, customer: CustomerId, number: int) -> None:
        mine = [order for order in self.bought if order.customer == GUEST and not order.claimed and not order.gone][
            :number
        ]
        with transaction() as connection:
            claimed = claim_orders(connection, customer, [order.id for order in mine], Proof.SUPPORT, now=now())
        for order in mine:
            order.claimed = order.id in claimed.orders

    @rule(data=st.data())
    def old_facts_again(self, data: st.DataObject) -> None:
        if self.heard:
            facts = data.draw(st.sampled_from(self.heard[-8:]))
            with transaction() as connection:
                settle_orders(connection, [facts], now=now())

    @rule(target=active, customer=anybody, percent=st.sampled_from([30, 100, 100]))
    def redeem(self, customer: CustomerId, percent: int) -> Any:
        dust = self._figures()[customer][0] * percent // 100 // RATE * RATE if customer in self._figures() else 0
        if dust <= 0:
            return multiple()
        try:
            redemption = redeem_points(customer, dust, key=new_id("key"))
        except Conflict:
            return multiple()
        self.holds.append(redemption)
        return redemption

    @rule(target=orders, redemption=active, extra=st.integers(0, 20))
    def order_with_the_code(self, redemption: Redemption, extra: int) -> Any:
        code = redemption.codes[0].code
        if code not in self.medusa.live_codes():
            return multiple()
        self.medusa.use_code(code)
        value = redemption.dust // RATE
        return self._buy(redemption.customer_id, value + extra, 1, code=code, discount=value, paid=True)

    @rule(target=orders, customer=anybody)
    def spend_all(self, customer: CustomerId) -> Any:
        redemption = self.redeem(customer, 100)
        return self.order_with_the_code(redemption, 0) if isinstance(redemption, Redemption) else multiple()

    @rule(redemption=consumes(active))
    def release(self, redemption: Redemption) -> None:
        try:
            release_redemption(redemption)
        except Conflict:
            return

    @rule(customer=anybody, into=anybody)
    def merge(self, customer: CustomerId, into: CustomerId) -> None:
        if customer == into:
            return
        try:
            with transaction() as connection:
                merge_customers(connection, customer, into, actor="test", now=now())
        except Conflict:
            return
        self._settle_referrals(customer, into)

    @rule(customer=anybody)
    def unmerge(self, customer: CustomerId) -> None:
        """Only while the survivor still has all points that were carried over.

        Otherwise the survivor may keep points although their order is canceled: see decision 27.
        """
        try:
            with transaction() as connection:
                done = unmerge_customer(connection, customer, actor="test", now=now())
                if done.returned < done.brought:
                    raise _PointsAreSpent
        except (Conflict, _PointsAreSpent):
            return
        self._settle_referrals(customer, done.merge.survivor_id)

    def _settle_referrals(self, *customers: CustomerId) -> None:
        with transaction() as connection:
            settle_referrals(connection, customers, now=now())

    @rule(customer=anybody, by=anybody)
    def refer(self, customer: CustomerId, by: CustomerId) -> None:
        try:
            with transaction() as connection:
                state_code(connection, customer, own_code(connection, by, now=now()), accounts=None, now=now())
        except Conflict:
            return

    @rule(customer=anybody, amount=st.integers(-30, 30).filter(bool))
    def correct(self, customer: CustomerId, amount: int) -> None:
        try:
            with transaction() as connection:
                adjust_balance(
                    connection, customer, amount, reason="test", idempotency_key=new_id("key"), actor="test", now=now()
                )
        except Conflict:
            return
        self.given += amount
        self.debited += max(0, -amount)

    @rule(customers=st.lists(anybody, min_size=1, max_size=3))
    def bonus(self, customers: list[CustomerId]) -> None:
        new = NewBonus(customer_ids=tuple(customers), amount=7, reason="test", description="")
        with transaction() as connection:
            given = give_bonus(connection, new, idempotency_key=new_id("key"), actor="test", now=now())
        self.given += 7 * len(given.transactions)

    @rule(target=imports, customers=st.lists(anybody, min_size=1, max_size=3), amount=st.integers(1, 40))
    def bring(self, customers: list[CustomerId], amount: int) -> str:
        """An import from another programme."""
        batch = new_id("dimp")
        with transaction() as connection:
            connection.execute(
                text(
                    "INSERT INTO import_batch (id, name, preset, file_name, file_sha256, description, state, actor,"
                    " created_at) VALUES (:id, :id, 'dust', 'f', :id, 'import', 'posting', 'test', :now)"
                ),
                {"id": batch, "now": now()},
            )
            for number, customer in enumerate(customers):
                connection.execute(
                    text(
                        "INSERT INTO import_row (batch_id, line, customer_id, state, amount)"
                        " VALUES (:id, :line, :who, 'waiting', :amount)"
                    ),
                    {"id": batch, "line": number + 1, "who": customer, "amount": amount},
                )
        for _ in range(2):
            with transaction() as connection:
                post_some(connection, batch, now=now())
        self.imported[batch] = amount * len(customers)
        return batch

    @rule(batch=consumes(imports))
    def undo(self, batch: str) -> None:
        for _ in range(2):
            with transaction() as connection:
                undo_some(connection, batch, actor="test", now=now())
        self.imported.pop(batch)

    @rule(customer=anybody)
    def erase(self, customer: CustomerId) -> None:
        with transaction() as connection:
            erase_customer(connection, customer, actor="test", now=now())
        self.advance_redemptions()

    @rule(days=st.sampled_from([1, 4]))
    def time_passes(self, days: int) -> None:
        self._pass(timedelta(days=days))

    @rule()
    def advance_redemptions(self) -> None:
        with transaction() as connection:
            due = claim_due(connection, now=now(), limit=50)
        for redemption in due:
            advance(redemption, get_medusa())

    def _figures(self) -> dict[str, tuple[int, int, int, int]]:
        """By customer: available, balance, pending, waived."""
        with transaction() as connection:
            rows = connection.execute(
                text("SELECT customer_id, balance - held, balance, pending, waived FROM dust_balance")
            ).all()
        return {row[0]: tuple(row[1:]) for row in rows}  # type: ignore[misc]

    def _read(self, sql: str) -> int:
        with transaction() as connection:
            return int(connection.scalar(text(sql)) or 0)

    def _spent(self) -> dict[str, int]:
        """Points used by orders, by person. Merged accounts count for their survivor."""
        with transaction() as connection:
            rows = connection.execute(
                text(
                    "SELECT coalesce(survivor_id, t.customer_id), -sum(amount) FROM dust_transaction t"
                    " LEFT JOIN customer_merge m ON m.customer_id = t.customer_id AND unmerged_at IS NULL"
                    " WHERE kind IN ('redeem', 'refund') GROUP BY 1"
                )
            ).all()
        return {row[0]: int(row[1]) for row in rows}

    @invariant()
    def points_exist_once(self) -> None:
        figures, spent = self._figures(), self._spent()
        there = sum(balance + pending - waived for _, balance, pending, waived in figures.values())
        referrals = self._read(NET_OF_REFERRALS)
        escrowed = self._read("SELECT sum(dust) FROM guest_escrow")
        worth = sum(bought.worth() for bought in self.bought)
        issued = worth + referrals + self.given + sum(self.imported.values())
        assert there + escrowed + sum(spent.values()) == issued, "points came from nothing, or are lost"
        for customer, (*_, waived) in figures.items():
            assert waived >= 0
            if not self.debited:
                assert waived <= spent.get(customer, 0), f"{customer} keeps points that were not spent"

    def teardown(self) -> None:
        try:
            for bought in self.bought:
                self.cancel(bought)
                self.points_exist_once()
            for batch in list(self.imported):
                self.undo(batch)
            self.points_exist_once()
            for redemption in self.holds:
                self.release(redemption)
            assert self._read(NET_OF_REFERRALS) == 0
            assert sum(self._spent().values()) == 0
            assert audit() == []
        finally:
            advance_clock(-self.clock_moved)
