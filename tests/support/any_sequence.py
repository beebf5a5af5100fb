"""Random sequences of changes, with lost, repeated and late events: the ledger must end like a small model.

The model knows nothing of lots, versions or holds. It keeps, for each order, what is true of it now and which rules it
first met, and adds up. (`test_any_life.py` lets time pass as well, and follows every single dust.)
"""

from copy import copy
from datetime import datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from sqlalchemy import func, select

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Conflict
from bridge.ids import CustomerId, new_id
from bridge.inbox.process_batch import process_batch
from bridge.inbox.reconcile import reconcile
from bridge.ledger.queries import Balance, read_balances
from bridge.ledger.tables import dust_balance
from bridge.medusa.client import get_medusa
from bridge.medusa.orders import read_order
from bridge.operations.audit import audit
from bridge.programme.rules import Programme
from bridge.programme.versions import add_version
from bridge.redemptions.repository import Redemption
from bridge.redemptions.tables import OPEN_STATES, RedemptionState, dust_redemption
from bridge.settlement.settle import settle_orders
from tests.support.medusa import FakeMedusa
from tests.support.orders import PLACED
from tests.support.purchases import Purchase
from tests.support.redemptions import redeem_points, release_redemption
from tests.support.sequences import empty_database

CUSTOMERS = ("cus_1", "cus_2")


class AnySequence(RuleBasedStateMachine):
    purchases = Bundle("purchases")
    active = Bundle("active")
    withdrawn = Bundle("withdrawn")
    medusa: FakeMedusa

    def __init__(self) -> None:
        super().__init__()
        self.medusa.forget()
        empty_database()
        self.tag = new_id("t")
        self.customers = [CustomerId(f"{name}_{self.tag}") for name in CUSTOMERS]
        self.orders: dict[str, Purchase] = {}
        self.heard: list[tuple[dict[str, Any], Purchase]] = []
        self.redemptions: dict[str, Redemption] = {}
        self.used_by: dict[str, Purchase] = {}
        self.touched = True
        """Whether Dust did anything since the ledger was last compared."""
        self.change_the_rules(rate=1, waits=False)

    def earning_rules(self) -> dict[str, Any]:
        when = "payment.captured" if self.waits else "order.placed"
        return {"earn": {"rates": {"eur": str(self.rate)}, "when": when}, "redeem": {"rates": {"eur": "10"}}}

    def moment(self) -> datetime:
        """The time at which the next order is placed."""
        return PLACED

    def set_rules(self) -> None:
        with transaction() as connection:
            add_version(connection, Programme.model_validate(self.earning_rules()), author="test", now=now())

    def deliver_facts(self, facts: dict[str, Any], stood: Purchase) -> None:
        """Dust receives the facts; `stood` is how the order was when these were its facts."""
        self.receive(facts, stood)
        self.touched = True
        with transaction() as connection:
            settle_orders(connection, [read_order(facts)], now=now())

    def receive(self, facts: dict[str, Any], stood: Purchase) -> bool:
        """The model receives the facts; False if they are not new."""
        return self.orders[facts["id"]].receive(facts, rate=self.rate, waits=self.waits)

    def changed(self, purchase: Purchase, delivered: bool) -> None:
        """The order has changed in Medusa. Its event is delivered, lost or late."""
        facts, stood = purchase.facts(), copy(purchase)
        self.medusa.orders[purchase.id] = facts
        self.heard.append((facts, stood))
        if delivered:
            self.deliver_facts(facts, stood)

    def place(self, purchase: Purchase, delivered: bool) -> Purchase:
        self.orders[purchase.id] = purchase
        self.changed(purchase, delivered)
        return purchase

    @initialize(target=purchases, prices=st.lists(st.integers(5, 40), min_size=1, max_size=3))
    def have_bought(self, prices: list[int]) -> Any:
        """Place the first orders."""
        return multiple(*(self.buy(number % 2, price, 2, delivered=True) for number, price in enumerate(prices)))

    @rule(target=purchases, name=st.sampled_from(range(len(CUSTOMERS))), price=st.integers(1, 40),
          quantity=st.integers(1, 5), delivered=st.booleans())  # fmt: skip
    def buy(self, name: int, price: int, quantity: int, delivered: bool) -> Purchase:
        customer = self.customers[name]
        bought = Purchase(id=new_id("order"), customer=customer, price=price, quantity=quantity, placed=self.moment())
        return self.place(bought, delivered)

    @rule(purchase=purchases, quantity=st.integers(1, 8), delivered=st.booleans())
    def edit(self, purchase: Purchase, quantity: int, delivered: bool) -> None:
        if not purchase.canceled and quantity > purchase.returned and not purchase.code:
            purchase.quantity = quantity
            purchase.version += 1
            self.changed(purchase, delivered)

    @rule(purchase=purchases, delivered=st.booleans())
    def take_one_back(self, purchase: Purchase, delivered: bool) -> None:
        if not purchase.canceled and purchase.returned < purchase.quantity and not purchase.credit:
            purchase.returned += 1
            purchase.version += 1
            self.changed(purchase, delivered)

    @rule(purchase=purchases, price=st.integers(1, 60), delivered=st.booleans())
    def exchange(self, purchase: Purchase, price: int, delivered: bool) -> None:
        """Another item is put on the order at once. What it replaces comes back later (`take_one_back`), or never; the
        difference is paid later, or never."""
        if not purchase.canceled and not purchase.swapped and purchase.returned < purchase.quantity:
            purchase.swapped = price
            purchase.version += 1
            self.changed(purchase, delivered)

    @rule(purchase=purchases, credit=st.integers(1, 20), delivered=st.booleans())
    def refund_without_return(self, purchase: Purchase, credit: int, delivered: bool) -> None:
        if not purchase.canceled and credit <= purchase.total():
            purchase.credit += credit
            purchase.refunded += min(credit, purchase.captured - purchase.refunded)
            purchase.version += 1
            self.changed(purchase, delivered)

    @rule(purchase=consumes(purchases), delivered=st.booleans())
    def cancel(self, purchase: Purchase, delivered: bool) -> None:
        purchase.canceled = True
        purchase.version += 1
        self.changed(purchase, delivered)

    @rule(purchase=purchases, part=st.sampled_from([1, 1, 2]), delivered=st.booleans())
    def pay(self, purchase: Purchase, part: int, delivered: bool) -> None:
        """Capture all that is due, or a part. Only the order's payments show that."""
        owed = (int(purchase.total()) - purchase.captured + purchase.refunded) // part
        if not purchase.canceled and owed > 0:
            purchase.captured += owed
            self.medusa.add_payment(purchase.id, at=now())
            self.changed(purchase, delivered)

    @rule(rate=st.integers(1, 9), waits=st.booleans())
    def change_the_rules(self, rate: int, waits: bool) -> None:
        self.rate, self.waits = rate, waits
        self.set_rules()

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def old_facts_again(self, data: st.DataObject) -> None:
        self.deliver_facts(*data.draw(st.sampled_from(self.heard[-12:])))

    @rule(target=active, name=st.sampled_from(range(len(CUSTOMERS))), percent=st.integers(1, 110))
    def redeem(self, name: int, percent: int) -> Any:
        """Redeem a part of the available points, or a little more than all."""
        spendable = self.spendable(name)
        dust = 1 + spendable * percent // 100
        self.touched = True
        try:
            redemption = redeem_points(self.customers[name], dust, key=new_id("key"))
        except Conflict:
            assert dust > spendable
            return multiple()
        assert dust <= spendable
        self.redemptions[redemption.id] = redemption
        self.held_for(redemption)
        return redemption

    def spendable(self, name: int) -> int:
        return self.balances()[name].available

    def held_for(self, redemption: Redemption) -> None:
        """Hold points in the model."""

    @rule(redemption=consumes(active), price=st.integers(1, 30), delivered=st.booleans())
    def order_with_the_code(self, redemption: Redemption, price: int, delivered: bool) -> None:
        # Otherwise it expired and was withdrawn.
        if redemption.codes[0].code in self.medusa.live_codes():
            self.medusa.use_code(redemption.codes[0].code)
        self._order_with(redemption, price, delivered)

    @rule(redemption=consumes(withdrawn), price=st.integers(1, 30), delivered=st.booleans())
    def order_with_a_withdrawn_code(self, redemption: Redemption, price: int, delivered: bool) -> None:
        """An operator created the promotion again, for example: the points that the shopper used are booked anyway."""
        self._order_with(redemption, price, delivered)

    def _order_with(self, redemption: Redemption, price: int, delivered: bool) -> None:
        assert redemption.value is not None
        purchase = Purchase(
            id=new_id("order"),
            customer=redemption.customer_id,
            price=price,
            quantity=1,
            code=redemption.codes[0].code,
            discount=min(price, floor(redemption.value)),
            placed=self.moment(),
        )
        if purchase.discount:
            self.used_by[redemption.id] = purchase
            self.place(purchase, delivered)

    @rule(target=withdrawn, redemption=consumes(active))
    def release(self, redemption: Redemption) -> Redemption:
        self.touched = True
        assert release_redemption(redemption).state is RedemptionState.RELEASED
        self.released(redemption)
        return redemption

    def released(self, redemption: Redemption) -> None:
        """Release the hold in the model."""

    @precondition(lambda self: any(order.seen != order.age for order in self.orders.values()))
    @rule()
    def sweep(self) -> None:
        """Reconcile finds every event that Dust did not receive, and then all is as the model says."""
        self.touched = True
        for _, purchase in sorted(self.orders.items()):
            self.receive(purchase.facts(), purchase)
        reconcile(get_medusa(), since=now() - timedelta(days=3650))
        while process_batch().taken:
            pass
        self.all_is_as_the_model_says()

    def all_is_as_the_model_says(self) -> None:
        assert [balance.balance for balance in self.balances()] == [
            self._expected(customer) for customer in self.customers
        ]

    def _expected(self, customer: str) -> int:
        earned = sum(order.earned() for order in self.orders.values() if order.customer == customer)
        spent = 0
        for redemption_id, purchase in self.used_by.items():
            redemption = self.redemptions[redemption_id]
            if redemption.customer_id == customer and redemption.value:
                spent += purchase.dust_used(redemption.dust, Fraction(redemption.value))
        return earned - spent

    def balances(self) -> list[Balance]:
        with transaction() as connection:
            return read_balances(connection, self.customers)

    @invariant()
    def held_is_what_open_redemptions_ask_for(self) -> None:
        if not self.touched:
            return
        asks, has = dust_redemption.c, dust_balance.c
        asked = select(func.coalesce(func.sum(asks.dust), 0)).where(
            asks.customer_id == has.customer_id, asks.state.in_(OPEN_STATES)
        )
        query = select(has.customer_id).where(has.customer_id.in_(self.customers), has.held != asked.scalar_subquery())
        with transaction() as connection:
            assert connection.scalars(query).all() == []
        self.touched = False

    def teardown(self) -> None:
        self.sweep()
        # The second poll reads payments of orders that the first one found to wait for a payment.
        drifted = [reconcile(get_medusa(), since=now() - timedelta(days=3650)).drifted for _ in range(2)]
        assert drifted[-1] == []
        while process_batch().taken:
            pass
        self.touched = True
        self.all_is_as_the_model_says()
        assert audit() == []
