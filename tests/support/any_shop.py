"""Whole shops with random events: no points are created from nothing, however the events reach Dust.

Each sequence is a shop of one kind. What the kind leaves out makes its oracle exact:

    ODD      everything but transfers, limits and expiry: what each customer has, from the orders as they now are
    OWNERS   orders also go to other customers: what each order gave, across customers
    LIMITS   limits and tiers, in batches and one by one: what each customer has after each batch, and each order's tier
    LOOSE    all of it, with expiry and both policies: never more than the orders are worth; and when
             sweeps run makes no difference, as the same shop without sweeps ends the same

Facts go through the inbox: lost, late, repeated, one by one or in batches. The poll finds lost events.
"""

from copy import copy
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, initialize, invariant, multiple, precondition, rule

from bridge.clock import now
from bridge.inbox.reconcile import reconcile
from bridge.medusa.client import get_medusa
from bridge.operations.audit import audit, audit_orders
from tests.support.clock import START
from tests.support.clock import advance as advance_clock
from tests.support.redemptions import release_redemption
from tests.support.shop_machine import CUSTOMERS, Books, EventDelivery, Hold, PlayedShop, Shop
from tests.support.shop_model import Sale

any_delivery = st.sampled_from(
    [
        EventDelivery.SETTLED,
        EventDelivery.SETTLED,
        EventDelivery.IN_THE_INBOX,
        EventDelivery.IN_THE_INBOX,
        EventDelivery.LATE,
        EventDelivery.LOST,
    ]
)


class AnyShop(PlayedShop):
    sales = Bundle("sales")
    active = Bundle("active")
    declined = Bundle("declined")
    limits = st.booleans()
    """Whether a loose shop has limits."""

    def is_settled(self) -> None:
        if self.kind is Shop.LIMITS:
            self.limits_and_tiers_are_as_the_model_says()

    @initialize(target=sales, data=st.data(), prices=st.lists(st.integers(5, 40), min_size=2, max_size=4))
    def open_the_shop(self, data: st.DataObject, prices: list[int]) -> Any:
        self.kind = data.draw(st.sampled_from(self.kinds))
        self.worlds = ("a", "b") if self.kind is Shop.LOOSE else ("a",)
        # Without limits, the sum of all orders' worth is the maximum.
        self.limited = self.kind is Shop.LIMITS or (self.kind is Shop.LOOSE and data.draw(self.limits))
        self.set_programme(self.draw_programme(data))
        return multiple(
            *(
                self.sell(CUSTOMERS[number % 2], EventDelivery.SETTLED, price=price, quantity=2, noise=-(number % 2))
                for number, price in enumerate(prices)
            )
        )

    @rule(target=sales, customer=st.sampled_from(CUSTOMERS), price=st.integers(1, 40), quantity=st.integers(1, 4),
          noise=st.sampled_from([-1, -1, 0, 1]), gift=st.sampled_from([0, 0, 1, 2]), draft=st.booleans(),
          delivery=any_delivery)  # fmt: skip
    def buy(
        self, customer: str, price: int, quantity: int, noise: int, gift: int, draft: bool, delivery: EventDelivery
    ) -> Sale:
        """Place an order. A gift card pays nothing of it, a half or all."""
        return self.sell(
            customer,
            delivery,
            price=price,
            quantity=quantity,
            noise=noise,
            gift=price * quantity * gift // 2,
            draft=draft and self.kind is not Shop.LIMITS and not gift,
        )

    @precondition(lambda self: any(sale.draft for sale in self.all_sales.values()))
    @rule(sale=sales, delivery=any_delivery)
    def convert(self, sale: Sale, delivery: EventDelivery) -> None:
        """The draft becomes an order."""
        if sale.draft and not sale.gone:
            sale.draft = False
            self.changed(sale, delivery)

    @rule(
        sale=sales, quantity=st.integers(1, 6), delivery=any_delivery, undone=st.booleans(), undo_delivery=any_delivery
    )
    def edit(
        self, sale: Sale, quantity: int, delivery: EventDelivery, undone: bool, undo_delivery: EventDelivery
    ) -> None:
        """Medusa takes the version back when it undoes an edit for lack of stock.

        What was paid once stays unedited: that an edit raised it is for the other machines.
        """
        if (
            sale.stands
            and sale.hold is None
            and not sale.captured
            and replace(sale, quantity=quantity).total > 0 < sale.total
        ):
            before, sale.quantity = sale.quantity, quantity
            self.changed(sale, delivery)
            if undone and self.kind is not Shop.LIMITS:
                sale.quantity = before
                self.changed(sale, undo_delivery, version=-1)

    @rule(sale=sales, delivery=any_delivery)
    def take_one_back(self, sale: Sale, delivery: EventDelivery) -> None:
        if sale.stands and sale.returned < sale.quantity:
            sale.returned += 1
            self.changed(sale, delivery)

    @rule(sale=sales, part=st.integers(1, 4), delivery=any_delivery)
    def refund_without_return(self, sale: Sale, part: int, delivery: EventDelivery) -> None:
        most = int(sale.total)
        if sale.captured:
            most = min(most, sale.captured - sale.money_back) if sale.paid else 0
        if sale.stands and most > 0:
            amount = -(-most // part)
            sale.refund += amount
            sale.money_back += amount if sale.captured else 0
            self.changed(sale, delivery)

    @rule(sale=sales, part=st.sampled_from([1, 1, 2]), delivery=any_delivery)
    def pay(self, sale: Sale, part: int, delivery: EventDelivery) -> None:
        owed = -(-sale.total // 1) - sale.captured + sale.money_back
        if sale.stands and owed > 0:
            sale.captured += -(-owed // part)
            for world in self.worlds:
                self.medusa.add_payment(self.order_id(sale, world), at=now())
            self.changed(sale, delivery, version=0, moves=False)

    @rule(sale=consumes(sales), delivery=any_delivery)
    def cancel(self, sale: Sale, delivery: EventDelivery) -> None:
        if sale.stands:
            sale.canceled = True
            self.changed(sale, delivery)

    @precondition(lambda self: self.kind in {Shop.OWNERS, Shop.LOOSE})
    @rule(sale=sales, customer=st.sampled_from(CUSTOMERS), delivery=any_delivery)
    def transfer(self, sale: Sale, customer: str, delivery: EventDelivery) -> None:
        if sale.stands and sale.customer != customer:
            sale.customer = customer
            self.changed(sale, delivery)

    @rule(target=declined, sale=sales)
    def decline(self, sale: Sale) -> Any:
        """The payment is declined: Medusa deletes the order without an event, and its code can be used again."""
        if sale.version > 1 or sale.captured or not sale.stands or sale.gift:
            return multiple()
        sale.gone = True
        for world in self.worlds:
            del self.medusa.orders[self.order_id(sale, world)]
            if sale.hold is not None:
                code = self.holds[sale.hold].redemptions[world].codes[0].code
                for promotion in self.medusa.promotions.values():
                    if promotion["code"] == code:
                        promotion["used"] -= 1
        return sale

    @rule(target=sales, sale=consumes(declined), delivery=any_delivery)
    def try_another_card(self, sale: Sale, delivery: EventDelivery) -> Any:
        if sale.hold is not None and not self.is_live(self.holds[sale.hold]):
            return multiple()
        if sale.hold is not None:
            return self.order_with(self.holds[sale.hold], sale.price, delivery)
        return self.sell(sale.customer, delivery, price=sale.price, quantity=sale.quantity, noise=sale.noise)

    @rule(data=st.data(), drained=st.booleans())
    def an_event_comes_late_or_again(self, data: st.DataObject, drained: bool) -> None:
        self.deliver(data.draw(st.sampled_from(self.events[-12:])))
        if drained:
            self.drain()

    @precondition(lambda self: self.inbox)
    @rule()
    def batch(self) -> None:
        self.drain()

    @rule(data=st.data())
    def change_the_rules(self, data: st.DataObject) -> None:
        self.set_programme(self.draw_programme(data))

    @precondition(lambda self: self.kind in {Shop.LIMITS, Shop.LOOSE})
    @rule(hours=st.sampled_from([1, 7, 26, 100, 150]))
    def time_passes(self, hours: int) -> None:
        self.pass_time(timedelta(hours=hours))

    @precondition(lambda self: self.kind is Shop.LOOSE)
    @rule()
    def sweep(self) -> None:
        """Post what is due, in one of the two shops only."""
        self.touched = True
        self.book_due(self.worlds[0])

    @rule(target=active, customer=st.sampled_from(CUSTOMERS), percent=st.sampled_from([10, 50, 100, 100]))
    def redeem(self, customer: str, percent: int) -> Any:
        return self.hold_points(customer, percent) or multiple()

    @rule(target=sales, hold=consumes(active), extra=st.integers(0, 20), delivery=any_delivery)
    def order_with_the_code(self, hold: Hold, extra: int, delivery: EventDelivery) -> Any:
        return self.order_with(hold, hold.value + extra, delivery) if self.is_live(hold) else multiple()

    @rule(hold=consumes(active))
    def release(self, hold: Hold) -> None:
        self.touched = True
        self.pass_time(timedelta(seconds=1))
        for redemption in hold.redemptions.values():
            release_redemption(redemption)

    @precondition(lambda self: self.kind in {Shop.OWNERS, Shop.LOOSE})
    @rule(target=sales, owners=st.permutations(CUSTOMERS), price=st.integers(5, 40))
    def spend_all_and_hand_the_order_on(self, owners: list[str], price: int) -> Any:
        """The attack: each owner of one order spends its points before it is transferred."""
        sale = self.sell(owners[-1], EventDelivery.SETTLED, price=price, quantity=1, captured=price)
        bought = []
        for customer in owners:
            hold = self.hold_points(sale.customer, 100)
            if hold is not None:
                bought.append(self.order_with(hold, hold.value + 1, EventDelivery.SETTLED))
            self.transfer(sale, customer, EventDelivery.SETTLED)
        return multiple(sale, *bought)

    @rule(customer=st.sampled_from(CUSTOMERS), price=st.integers(5, 40))
    def cancel_what_is_on_hold(self, customer: str, price: int) -> None:
        """Hold all points, cancel the order, release the hold."""
        sale = self.sell(customer, EventDelivery.SETTLED, price=price, quantity=1, captured=price)
        hold = self.hold_points(customer, 100)
        self.cancel(sale, EventDelivery.SETTLED)
        if hold is not None:
            self.release(hold)

    @precondition(lambda self: self.kind is Shop.LOOSE)
    @rule(customer=st.sampled_from(CUSTOMERS), price=st.integers(5, 40), other=st.integers(5, 40))
    def cancel_what_is_spent_after_others_are_over(self, customer: str, price: int, other: int) -> None:
        """Spend all points, earn with another order, let those expire, cancel the first order."""
        sale = self.sell(customer, EventDelivery.SETTLED, price=price, quantity=1, captured=price)
        hold = self.hold_points(customer, 100)
        if hold is not None:
            self.order_with(hold, hold.value, EventDelivery.SETTLED)
        self.sell(customer, EventDelivery.SETTLED, price=other, quantity=1, captured=other)
        self.pass_time(timedelta(hours=150))
        self.sweep()
        self.cancel(sale, EventDelivery.SETTLED)

    @precondition(lambda self: self.kind is Shop.LIMITS)
    @rule(
        target=sales, customer=st.sampled_from(CUSTOMERS), prices=st.lists(st.integers(5, 80), min_size=2, max_size=5)
    )
    def buy_in_a_batch(self, customer: str, prices: list[int]) -> Any:
        """Orders that exceed a limit together arrive in one batch."""
        bought = [
            self.sell(customer, EventDelivery.IN_THE_INBOX, price=price, quantity=1, noise=-1, captured=price)
            for price in prices
        ]
        self.drain()
        return multiple(*bought)

    @invariant()
    def nothing_comes_from_nothing(self) -> None:
        if not self.touched:
            return
        self.touched = False
        for world in self.worlds:
            books = self.read_books(world)
            worth = {order_id: self.worth(row) for order_id, row in books.rows.items()}
            there = books.total + sum(books.spent.values()) + sum(books.expired.values()) - books.waived
            if self.limited:
                assert there <= sum(worth.values()), "points came from nothing"
            else:
                assert there == sum(worth.values()), "points came from nothing, or are lost"
            if self.kind in {Shop.ODD, Shop.OWNERS}:
                assert {o: w for o, w in worth.items() if w} == {o: p for o, p in books.orders.items() if p}
            assert all(points >= 0 for points in books.expired.values()), "expired points are counted twice"
            for name in CUSTOMERS:
                *_, waived = books.figures.get(self.customer(name, world), (0,))
                assert waived <= self.spent_by(name, world, books), f"{name} keeps points that were not spent"

    def limits_and_tiers_are_as_the_model_says(self) -> None:
        books = self.read_books("a")
        for sale in self.ranking.known.values():
            row = books.rows[self.order_id(sale, "a")]
            met = Fraction(row.tier["factor"]) if row.tier else Fraction(1)
            assert met == self.ranking.factors[sale.number], f"{row.order_id} met another tier"
        for name in CUSTOMERS:
            balance, _, pending, *_ = books.figures.get(self.customer(name, "a"), (0, 0, 0))
            earned = sum(self.ranking.shares(name).values())
            spent = sum(self.used(hold, self.ranking.known) for hold in self.holds.values() if hold.customer == name)
            assert balance + pending == earned - spent, name

    @precondition(lambda self: not self.polled)
    @rule()
    def all_is_delivered(self) -> None:
        """Poll until every lost event is found. Then compare everything with Medusa."""
        self.polled = True
        self.drain()
        if self.kind in {Shop.LIMITS, Shop.LOOSE}:
            # Lost events are settled one by one, because the sequence decides an order's rules and tier.
            rows = self.read_books("a").rows
            for sale in sorted(self.all_sales.values(), key=lambda sale: (sale.updated, sale.number)):
                if not sale.gone and not self.is_delivered(sale, rows.get(self.order_id(sale, "a"))):
                    self.deliver(copy(sale))
                    self.drain()
        for sale in self.all_sales.values():
            if not sale.draft and not sale.gone:
                self.pinned.setdefault(sale.number, self.programme)
        for _ in range(8):
            report = reconcile(get_medusa(), since=START - timedelta(days=400))
            self.drain_inbox()
            self.advance_redemptions()
            # Missing orders and young ones are compared again later.
            self.pass_time(timedelta(minutes=16))
            if not (report.drifted or report.missing or self.checks_are_due()):
                break
        else:
            raise AssertionError(f"the poll still finds changes after eight runs: {report}")
        rows = self.read_books("a").rows
        for sale in self.all_sales.values():
            if sale.gone and self.order_id(sale, "a") in rows:
                self.deleted.add(sale.number)
                self.ranking.forget(sale.number)
        for world in self.worlds:
            self.book_due(world)
        self.touched = True
        self.nothing_comes_from_nothing()
        self._all_is_as_in_medusa()

    def _all_is_as_in_medusa(self) -> None:
        books_of = {world: self.read_books(world) for world in self.worlds}
        for world, books in books_of.items():
            for sale in self.all_sales.values():
                row = books.rows.get(self.order_id(sale, world))
                if sale.gone:
                    assert row is None or row.gone, f"{row.order_id} counts though it was deleted"
                else:
                    assert row is not None, f"{sale} is not known"
                    assert self.known(row) == sale
            for hold in self.holds.values():
                used = self.used(hold, self.all_sales)
                assert books.spent.get(hold.redemptions[world].id, 0) == used, f"{hold} is spent otherwise"
            if self.kind is Shop.ODD:
                self._each_customer_has_what_the_orders_say(books)
        if self.kind is Shop.LOOSE:
            first, second = (
                {customer.removesuffix(f"_{world}"): figures for customer, figures in books.figures.items()}
                for world, books in books_of.items()
            )
            assert first == second, "when sweeps run makes a difference"

    def _each_customer_has_what_the_orders_say(self, books: Books) -> None:
        for name in CUSTOMERS:
            own = [sale for sale in self.all_sales.values() if sale.customer == name and sale.number in self.pinned]
            spent = sum(self.used(hold, self.all_sales) for hold in self.holds.values() if hold.customer == name)
            worth = {sale.number: sale.worth(self.pinned[sale.number]) for sale in own}
            waiting = sum(worth[sale.number] for sale in own if sale.unpaid(self.pinned[sale.number]))
            balance, _, pending, *_ = books.figures.get(self.customer(name, "a"), (0, 0, 0))
            assert (balance, pending) == (sum(worth.values()) - waiting - spent, waiting), name

    def teardown(self) -> None:
        try:
            if self.all_sales:
                self.all_is_delivered()
                assert audit() == []
                assert (
                    audit_orders(get_medusa(), 100)
                    == [
                        # Medusa does not have these orders, and they are settled as deleted.
                    ]
                )
        finally:
            advance_clock(-self.clock_moved)
