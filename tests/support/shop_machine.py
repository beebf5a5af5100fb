"""A shop for random sequences: its orders in Medusa, the delivery of events to Dust, and Dust's results.

The rules of the game are in `any_shop.py`, what orders are worth is in `shop_model.py`.
"""

from copy import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.inbox.events import read_event
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, process_event
from bridge.inbox.receive import receive
from bridge.inbox.reconcile import store_orders
from bridge.ledger.store import open_accounts, save
from bridge.medusa.client import get_medusa
from bridge.programme.rules import Programme
from bridge.programme.versions import add_version
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.repository import Redemption, claim_due
from tests.support.clock import advance as advance_clock
from tests.support.medusa import FakeMedusa
from tests.support.orders import order_event
from tests.support.redemptions import redeem_points
from tests.support.sequences import empty_database
from tests.support.shop_model import REDEEM_RATE, Ranking, Rules, Sale

CUSTOMERS = ("ada", "bob", "cy")


class Shop(StrEnum):
    ODD = "odd"
    OWNERS = "owners"
    LIMITS = "limits"
    LOOSE = "loose"


class EventDelivery(StrEnum):
    """Whether and when the event of a change is delivered, and how far Dust processes it."""

    SETTLED = "settled"
    IN_THE_INBOX = "in the inbox"
    """The event waits in the inbox for the next batch."""
    LATE = "late"
    LOST = "lost"


def _mostly(values: st.SearchStrategy[int]) -> st.SearchStrategy[int | None]:
    return st.one_of(values, values, values, st.none())


@dataclass(kw_only=True)
class Hold:
    """A redemption, in each world."""

    number: int
    customer: str
    dust: int
    value: int
    redemptions: dict[str, Redemption]
    sales: list[int] = field(default_factory=list)
    """Orders with its code: more than one when Medusa deleted the others."""


@dataclass(frozen=True, kw_only=True)
class Books:
    """Dust's results in one world."""

    figures: dict[str, tuple[int, int, int, int, int]]
    """By customer: balance, held, pending, debt, waived."""
    orders: dict[str, int]
    """What the ledgers of all customers have of each order."""
    spent: dict[str, int]
    """By redemption."""
    expired: dict[str, int]
    """By customer: what has expired, less what orders count as expired of what they lost."""
    rows: dict[str, Any]

    @property
    def total(self) -> int:
        return sum(balance + pending for balance, _, pending, *_ in self.figures.values())

    @property
    def waived(self) -> int:
        """What returns left with customers because it is spent."""
        return sum(waived for *_, waived in self.figures.values())


class PlayedShop(RuleBasedStateMachine):
    """The same shop in one world or two. The second is there to compare: no sweeps run in it."""

    medusa: FakeMedusa
    kinds: tuple[Shop, ...] = tuple(Shop)

    def __init__(self) -> None:
        super().__init__()
        self.medusa.forget()
        empty_database()
        # `teardown` undoes moves of the clock.
        self.clock_moved = timedelta()
        self.kind = Shop.ODD
        self.worlds: tuple[str, ...] = ("a",)
        self.programme = Rules()
        self.limited = False
        self.all_sales: dict[int, Sale] = {}
        self.pinned: dict[int, Rules] = {}
        self.holds: dict[int, Hold] = {}
        self.inbox: list[Sale] = []
        self.events: list[Sale] = []
        self.documents: dict[tuple[str, int, Any, int], Sale] = {}
        self.ranking = Ranking()
        self.deleted: set[int] = set()
        """Orders that Dust knows to be deleted: their events count no more."""
        self.touched = False
        self.received = 0
        self.polled = False
        """Whether all events were delivered once already, which is slow."""

    def pass_time(self, by: timedelta) -> None:
        # `teardown` moves it back.
        advance_clock(by)
        self.clock_moved += by

    def draw_programme(self, data: st.DataObject) -> Rules:
        draw = data.draw
        when = draw(st.sampled_from(["placed", "placed", "pending until paid", "captured"]))
        rules = Rules(
            rate=draw(st.integers(1, 9)), waits=when == "captured", pending_until_paid=when == "pending until paid"
        )
        rules = replace(rules, include_credit=draw(st.booleans()))
        if self.limited:
            rules = replace(
                rules,
                per_order=draw(st.none() | st.integers(30, 200)),
                per_day=draw(_mostly(st.integers(30, 150))),
                window=draw(st.none() | st.tuples(st.integers(50, 400), st.integers(1, 3))),
            )
        if self.kind is Shop.LIMITS:
            levels = ((50, Fraction(3, 2)), (200, Fraction(2)))
            rules = replace(
                rules,
                levels=draw(st.sampled_from([levels, levels, levels[1:], ()])),
                tier_by_money=draw(st.sampled_from([False, False, True])),
                tier_days=draw(st.integers(1, 3)),
            )
        if self.kind is Shop.LOOSE:
            rules = replace(
                rules,
                within_balance=draw(st.sampled_from([True, True, False])),
                expires_after_days=draw(st.sampled_from([None, 5, 5, 5, 20])),
                pending_days=draw(st.sampled_from([0, 0, 0, 3])),
            )
        return rules

    def set_programme(self, rules: Rules) -> None:
        self.programme = rules
        with transaction() as connection:
            add_version(connection, Programme.model_validate(rules.document()), author="test", now=now())

    def customer(self, name: str, world: str) -> CustomerId:
        return CustomerId(f"cus_{name}_{world}")

    def order_id(self, sale: Sale, world: str) -> str:
        return f"order_{sale.number:03}_{world}"

    def document(self, sale: Sale, world: str) -> dict[str, Any]:
        code = self.holds[sale.hold].redemptions[world].codes[0].code if sale.hold is not None else None
        return sale.facts(self.order_id(sale, world), self.customer(sale.customer, world), code)

    def changed(self, sale: Sale, delivery: EventDelivery, *, version: int = 1, moves: bool = True) -> None:
        """The order has changed. A payment changes neither its version nor its time."""
        self.pass_time(timedelta(seconds=1))
        sale.version += version
        if moves:
            sale.updated = now()
        snapshot = copy(sale)
        for world in self.worlds:
            document = self.document(sale, world)
            self.medusa.orders[document["id"]] = document
            self.documents[document["id"], sale.version, sale.updated, sale.money_moved] = snapshot
        if delivery is EventDelivery.LOST:
            return
        self.events.append(snapshot)
        if delivery is not EventDelivery.LATE:
            self.deliver(snapshot)
        if delivery is EventDelivery.SETTLED:
            self.drain()

    def deliver(self, snapshot: Sale) -> None:
        """The event arrives."""
        for world in self.worlds:
            self.received += 1
            # Whole seconds: Medusa writes milliseconds, and a clock of floats has no exact ones.
            self.pass_time(timedelta(seconds=1))
            kind = "order.updated" if snapshot.draft or snapshot.version > 1 else "order.placed"
            body = order_event(self.document(snapshot, world), kind)
            with transaction() as connection:
                receive(connection, f"evt_{self.received}", read_event(body), body, now=now())
        self.inbox.append(snapshot)

    def drain(self) -> None:
        """Settle the events of the inbox in one batch."""
        self.touched = True
        batch, self.inbox = self.inbox, []
        for snapshot in batch:
            if not snapshot.draft and snapshot.number not in self.deleted:
                rules = self.pinned.setdefault(snapshot.number, self.programme)
                self.ranking.receive(snapshot, rules)
        self.drain_inbox()
        self.is_settled()

    def is_settled(self) -> None:
        """A batch was settled."""

    @staticmethod
    def drain_inbox() -> None:
        while True:
            drained = process_batch()
            for event_id in drained.split_off:
                try:
                    process_event(event_id)
                except EventFailed:
                    # Medusa has deleted the order.
                    continue
            if not drained.more:
                return

    def sell(self, customer: str, delivery: EventDelivery, **more: Any) -> Sale:
        sale = Sale(number=len(self.all_sales), customer=customer, created=now(), updated=now(), **more)
        self.all_sales[sale.number] = sale
        self.pass_time(timedelta(seconds=1))
        sale.created = now() + timedelta(seconds=1)
        self.changed(sale, delivery, version=0)
        return sale

    def book_due(self, world: str) -> None:
        with transaction() as connection:
            accounts = open_accounts(connection, [self.customer(name, world) for name in CUSTOMERS])
            for account in accounts.values():
                account.book_due(now=now())
            save(connection, accounts.values())

    def hold_points(self, customer: str, percent: int) -> Hold | None:
        self.touched = True
        spendable = {world: self._spendable(customer, world) for world in self.worlds}
        assert len(set(spendable.values())) == 1, "sweeps make a difference to what may be spent"
        # Points that buy whole euros.
        dust = spendable["a"] * percent // 100 // REDEEM_RATE * REDEEM_RATE
        if dust <= 0:
            return None
        number = len(self.holds)
        redemptions = {
            world: redeem_points(self.customer(customer, world), dust, key=f"key_{number}_{world}")
            for world in self.worlds
        }
        self.holds[number] = Hold(
            number=number, customer=customer, dust=dust, value=dust // REDEEM_RATE, redemptions=redemptions
        )
        return self.holds[number]

    def _spendable(self, customer: str, world: str) -> int:
        with transaction() as connection:
            # Due points count, whether or not a sweep has booked them.
            account = open_accounts(connection, [self.customer(customer, world)])[self.customer(customer, world)]
            account.book_due(now=now())
            return account.available

    def is_live(self, hold: Hold) -> bool:
        return all(redemption.codes[0].code in self.medusa.live_codes() for redemption in hold.redemptions.values())

    def order_with(self, hold: Hold, price: int, delivery: EventDelivery) -> Sale:
        for redemption in hold.redemptions.values():
            self.medusa.use_code(redemption.codes[0].code)
        hold.sales.append(len(self.all_sales))
        return self.sell(
            hold.customer,
            delivery,
            price=price,
            quantity=1,
            noise=-1,
            hold=hold.number,
            discount=min(price, hold.value),
        )

    def read_books(self, world: str) -> Books:
        with transaction() as connection:
            figures = connection.execute(
                text(
                    "SELECT customer_id, balance, held, pending, debt, waived FROM dust_balance"
                    " WHERE customer_id LIKE :who"
                ),
                {"who": f"%\\_{world}"},
            ).all()
            orders = connection.execute(
                text(
                    "SELECT reference_id, sum(amount + pending) FROM dust_transaction WHERE reference_type = 'order'"
                    " AND kind IN ('earn', 'reverse', 'transfer') AND customer_id LIKE :who GROUP BY 1"
                ),
                {"who": f"%\\_{world}"},
            ).all()
            spent = connection.execute(
                text(
                    "SELECT reference_id, -sum(amount) FROM dust_transaction WHERE reference_type = 'redemption'"
                    " AND kind IN ('redeem', 'refund') AND customer_id LIKE :who GROUP BY 1"
                ),
                {"who": f"%\\_{world}"},
            ).all()
            expired = connection.execute(
                text(
                    "SELECT customer_id, sum(points) FROM ("
                    " SELECT customer_id, -amount AS points FROM dust_transaction WHERE kind = 'expire'"
                    " UNION ALL SELECT customer_id, -expired FROM order_settlement"
                    " UNION ALL SELECT customer_id, -expired FROM order_former_owner"
                    ") each WHERE customer_id LIKE :who GROUP BY 1"
                ),
                {"who": f"%\\_{world}"},
            ).all()
            rows = connection.execute(
                text("SELECT * FROM order_settlement WHERE order_id LIKE :who"), {"who": f"%\\_{world}"}
            ).all()
        return Books(
            figures={row[0]: tuple(row[1:]) for row in figures},
            orders={order_id: int(points) for order_id, points in orders},
            spent={redemption: int(points) for redemption, points in spent},
            expired={customer: int(points) for customer, points in expired},
            rows={row.order_id: row for row in rows},
        )

    def spent_by(self, name: str, world: str, books: Books) -> int:
        own = [hold.redemptions[world].id for hold in self.holds.values() if hold.customer == name]
        return sum(books.spent.get(redemption_id, 0) for redemption_id in own)

    def known(self, row: Any) -> Sale | None:
        """The order as it was when these were its facts; None when Dust has learned that it was deleted."""
        sale = self.documents[row.order_id, row.facts_version, row.facts_updated_at, int(row.facts_money)]
        if not row.gone:
            return sale
        assert self.all_sales[sale.number].gone, f"{row.order_id} was not deleted"
        return None

    def worth(self, row: Any) -> int:
        sale = self.known(row)
        if sale is None or sale.draft:
            return 0
        return sale.worth(self.pinned[sale.number], self.ranking.factors.get(sale.number, Fraction(1)))

    def used(self, hold: Hold, sales: dict[int, Sale]) -> int:
        return sum(sales[number].uses(hold.dust, hold.value) for number in hold.sales if number in sales)

    @staticmethod
    def is_delivered(sale: Sale, row: Any) -> bool:
        marks = (row.facts_version, row.facts_updated_at, int(row.facts_money)) if row else None
        return marks == (sale.version, sale.updated, sale.money_moved)

    @staticmethod
    def checks_are_due() -> bool:
        with transaction() as connection:
            return bool(connection.scalar(text("SELECT count(*) FROM order_settlement WHERE check_at IS NOT NULL")))

    def advance_redemptions(self) -> None:
        with transaction() as connection:
            due = claim_due(connection, now=now(), limit=100)
        for redemption_id in sorted(due):
            store_orders(advance(redemption_id, get_medusa()).orders)
        self.drain_inbox()
