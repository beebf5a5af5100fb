"""Whatever happens in whatever order, with facts lost, doubled and late: the ledger ends where a small model says.

The model knows nothing of lots, versions or holds. It keeps, for each order, what is true of it now and which rules it
first met, and adds up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.audit import audit
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Conflict
from bridge.ids import CustomerId, new_id
from bridge.inbox.drain import drain_once
from bridge.inbox.reconcile import reconcile
from bridge.ledger.statements import Balance, read_balance
from bridge.medusa.client import get_medusa
from bridge.medusa.orders import read_order
from bridge.programme.rules import Programme
from bridge.programme.versions import add_version, current_version
from bridge.redemptions.advance import advance
from bridge.redemptions.promises import Redemption, Request, ask_for_release, list_redemptions, promise
from bridge.redemptions.tables import State
from bridge.redemptions.terms import discount_terms
from bridge.settlement.settle import settle_orders
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order

CUSTOMERS = ("cus_1", "cus_2")


@dataclass(kw_only=True)
class Purchase:
    """What is true of an order now, and the facts that tell it."""

    id: str
    customer: str
    price: int
    quantity: int
    returned: int = 0
    credit: int = 0
    canceled: bool = False
    code: str | None = None
    discount: int = 0
    version: int = 1
    paid: bool = False
    rate: int | None = None
    """The earning rate that was in force when it was first settled."""
    waits_for_payment: bool = False
    """Whether the rules of then let an order earn once it is paid only."""
    seen: int = 0
    """The newest version that Dust was told of."""
    due: bool = False
    """Whether it was paid, or had nothing to pay, in anything that Dust was told while it was news."""

    def share_that_stands(self) -> Fraction:
        return Fraction(self.quantity - self.returned, self.quantity)

    def total(self) -> Fraction:
        return (self.price * self.quantity - self.discount) * self.share_that_stands()

    def earned(self) -> int:
        if self.canceled or self.rate is None or not self.total() or (self.waits_for_payment and not self.due):
            return 0
        kept = max(Fraction(0), (self.total() - self.credit) / self.total()) if self.credit else Fraction(1)
        return floor(self.rate * self.total() * kept)

    def discount_used(self) -> Fraction:
        return Fraction(0) if self.canceled else self.discount * self.share_that_stands()

    def facts(self) -> dict[str, Any]:
        return order(
            self.id,
            customer_id=self.customer,
            version=self.version,
            status="canceled" if self.canceled else "pending",
            payment_status="captured" if self.paid else "authorized",
            credit=self.credit,
            lines=[
                line(
                    f"line_{self.id}",
                    price=self.price,
                    quantity=self.quantity,
                    returned=self.returned,
                    discount=self.discount,
                    code=self.code,
                )
            ],
        )


class AnySequence(RuleBasedStateMachine):
    purchases = Bundle("purchases")
    active = Bundle("active")
    medusa: FakeMedusa

    def __init__(self) -> None:
        super().__init__()
        self.rate = 1
        with transaction() as connection:
            self.first_version = current_version(connection).number
        self.tag = new_id("t")
        self.orders: dict[str, Purchase] = {}
        self.heard: list[dict[str, Any]] = []
        self.redemptions: dict[str, Redemption] = {}
        self.used_by: dict[str, Purchase] = {}
        self.held: dict[str, int] = dict.fromkeys(CUSTOMERS, 0)
        self._set_rules(1, waits=False)

    def who(self, name: str) -> CustomerId:
        return CustomerId(f"{name}_{self.tag}")

    def _set_rules(self, rate: int, *, waits: bool) -> None:
        self.rate, self.waits = rate, waits
        when = "payment.captured" if waits else "order.placed"
        rules = {"earn": {"rates": {"eur": str(rate)}, "when": when}, "redeem": {"rates": {"eur": "10"}}}
        with transaction() as connection:
            add_version(connection, Programme.model_validate(rules), author="test", now=now())

    def _tell(self, facts: dict[str, Any]) -> None:
        self._note(facts)
        with transaction() as connection:
            settle_orders(connection, [read_order(facts)], now=now())

    def _note(self, facts: dict[str, Any]) -> None:
        """What Dust is about to be told: the first of it fixes the rules, and what is not old news counts."""
        purchase = self.orders[facts["id"]]
        if purchase.rate is None:
            purchase.rate, purchase.waits_for_payment = self.rate, self.waits
        if facts["version"] >= purchase.seen:
            purchase.seen = facts["version"]
            purchase.due |= facts["payment_status"] == "captured" or facts["total"] == 0

    def _changed(self, purchase: Purchase, told: bool) -> None:
        """The order is different now in Medusa; Dust is told, or the event is lost or late."""
        purchase.version += 1
        facts = purchase.facts()
        self.medusa.orders[purchase.id] = facts
        self.heard.append(facts)
        if told:
            self._tell(facts)

    @rule(target=purchases, name=st.sampled_from(CUSTOMERS), price=st.integers(1, 40), quantity=st.integers(1, 5),
          told=st.booleans())  # fmt: skip
    def buy(self, name: str, price: int, quantity: int, told: bool) -> Purchase:
        purchase = Purchase(id=new_id("order"), customer=self.who(name), price=price, quantity=quantity, version=0)
        self.orders[purchase.id] = purchase
        self._changed(purchase, told)
        return purchase

    @rule(purchase=purchases, quantity=st.integers(1, 8), told=st.booleans())
    def edit(self, purchase: Purchase, quantity: int, told: bool) -> None:
        if not purchase.canceled and quantity > purchase.returned and not purchase.code:
            purchase.quantity = quantity
            self._changed(purchase, told)

    @rule(purchase=purchases, told=st.booleans())
    def take_one_back(self, purchase: Purchase, told: bool) -> None:
        if not purchase.canceled and purchase.returned < purchase.quantity and not purchase.credit:
            purchase.returned += 1
            self._changed(purchase, told)

    @rule(purchase=purchases, credit=st.integers(1, 20), told=st.booleans())
    def refund_without_return(self, purchase: Purchase, credit: int, told: bool) -> None:
        if not purchase.canceled and purchase.credit + credit <= purchase.total():
            purchase.credit += credit
            self._changed(purchase, told)

    @rule(purchase=consumes(purchases), told=st.booleans())
    def cancel(self, purchase: Purchase, told: bool) -> None:
        purchase.canceled = True
        self._changed(purchase, told)

    @rule(purchase=purchases, told=st.booleans())
    def pay(self, purchase: Purchase, told: bool) -> None:
        if not purchase.canceled and not purchase.paid:
            purchase.paid = True
            self._changed(purchase, told)

    @rule(rate=st.integers(1, 9), waits=st.booleans())
    def change_the_rules(self, rate: int, waits: bool) -> None:
        self._set_rules(rate, waits=waits)

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def old_news_again(self, data: st.DataObject) -> None:
        facts = data.draw(st.sampled_from(self.heard[-12:]))
        self._tell(facts)

    @rule(target=active, name=st.sampled_from(CUSTOMERS), dust=st.integers(1, 120))
    def redeem(self, name: str, dust: int) -> Any:
        request = Request(
            customer_id=self.who(name), idempotency_key=new_id("key"), request_hash="same", cart_id=None
        )  # fmt: skip
        made: list[Redemption] = []
        try:
            with transaction() as connection:
                version = current_version(connection)
                promise(
                    connection,
                    request,
                    terms_for=lambda available: discount_terms(
                        version.programme.redeem, dust=dust, currency_code="eur", available=available, basket=None
                    ),
                    answer_for=lambda redemption: (made.append(redemption), {})[1],
                    version=version,
                    now=now(),
                )
        except Conflict:
            assert dust > max(0, self._balance(name).available)
            return None
        advance(made[0].id, get_medusa())
        self.redemptions[made[0].id] = made[0]
        return made[0]

    @rule(redemption=consumes(active), price=st.integers(1, 30), told=st.booleans())
    def order_with_the_code(self, redemption: Redemption | None, price: int, told: bool) -> None:
        if redemption is None or redemption.value is None:
            return
        discount = min(price, floor(redemption.value))
        if discount < 1:
            return
        code = redemption.codes[0].code
        purchase = Purchase(
            id=new_id("order"), customer=redemption.customer_id, price=price, quantity=1, code=code, discount=discount,
            version=0,
        )  # fmt: skip
        self.medusa.use_code(code)
        self.orders[purchase.id] = purchase
        self.used_by[redemption.id] = purchase
        self._changed(purchase, told)

    @rule(redemption=consumes(active))
    def release(self, redemption: Redemption | None) -> None:
        if redemption is None:
            return
        with transaction() as connection:
            ask_for_release(connection, redemption.customer_id, redemption.id, now=now())
        assert advance(redemption.id, get_medusa()).redemption.state is State.RELEASED

    @rule()
    def sweep(self) -> None:
        """Reconcile finds everything that Dust was not told, and then all is as the model says."""
        for purchase in self.orders.values():
            self._note(purchase.facts())
        reconcile(get_medusa(), since=now() - timedelta(days=3650))
        while drain_once().taken:
            pass
        for name in CUSTOMERS:
            assert self._balance(name).balance == self._expected(name)
        assert reconcile(get_medusa(), since=now() - timedelta(days=3650), dry_run=True).drifted == []

    def _expected(self, name: str) -> int:
        earned = sum(order.earned() for order in self.orders.values() if order.customer == self.who(name))
        spent = 0
        for redemption_id, purchase in self.used_by.items():
            redemption = self.redemptions[redemption_id]
            if redemption.customer_id == self.who(name) and redemption.value:
                used = purchase.discount_used() / Fraction(redemption.value) * redemption.dust
                spent += min(redemption.dust, ceil(used))
        return earned - spent

    def _balance(self, name: str) -> Balance:
        with transaction() as connection:
            return read_balance(connection, self.who(name))

    @invariant()
    def held_is_what_open_redemptions_ask_for(self) -> None:
        for name in CUSTOMERS:
            with transaction() as connection:
                found = list_redemptions(connection, customer_id=self.who(name), limit=1000)
            assert self._balance(name).held == sum(each.dust for each in found if each.open)

    def teardown(self) -> None:
        self.sweep()
        assert audit() == []


@pytest.fixture
def stand_in(medusa: FakeMedusa) -> Iterator[FakeMedusa]:
    AnySequence.medusa = medusa
    return medusa


@pytest.mark.usefixtures("stand_in")
def test_any_sequence_ends_where_the_model_says() -> None:
    run_state_machine_as_test(
        AnySequence,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
