"""Every single dust from the order to the day it expires, whatever happens in between and in whatever order.

As `test_any_sequence.py`, but time passes and the rules have dates. The model has a coin for each point of a
customer (`tests/support/ledger_model.py`). After every step the ledger's lots are what the models have, with the dates
that the coins have had from the beginning.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from sqlalchemy import Row, func, select

from bridge.clock import now
from bridge.db import transaction
from bridge.ledger.mature_and_expire import post_due_lots
from bridge.ledger.postings import Kind
from bridge.ledger.tables import dust_balance, dust_lot, dust_transaction
from bridge.medusa.client import get_medusa
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.repository import Redemption
from tests.support.any_sequence import AnySequence
from tests.support.clock import moved
from tests.support.ledger_model import AccountModel
from tests.support.medusa import FakeMedusa
from tests.support.purchases import Purchase
from tests.support.sequences import pieces, play

pytestmark = pytest.mark.system

_KINDS = {
    "earned": (Kind.EARN, Kind.MATURE),
    "reversed": (Kind.REVERSE,),
    "spent": (Kind.REDEEM,),
    "returned": (Kind.REFUND,),
    "expired": (Kind.EXPIRE,),
    "transferred": (Kind.TRANSFER,),
}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The rules apart from the rate. An order keeps those of its first settlement."""

    pending_days: int = 0
    expires_after_days: int | None = None
    within_balance: bool = False


@dataclass(kw_only=True)
class Share:
    """One customer's share of an order: the points booked, and those of them that a return did not take back."""

    booked: int = 0
    waived: int = 0
    expired: int = 0
    taken: int = 0
    """What returns took; the first that comes back, after what they waived."""

    @property
    def stands(self) -> int:
        return self.booked - self.waived - self.expired

    @property
    def lost(self) -> int:
        return self.waived + self.expired + self.taken


@dataclass(kw_only=True)
class Account:
    """What is booked for one order, by customer."""

    terms: Terms
    owner: str | None = None
    worth: int = 0
    shares: dict[str, Share] = field(default_factory=dict)


class AnyLife(AnySequence):
    def __init__(self) -> None:
        self.time = ExitStack()
        self.terms = Terms()
        self.accounts: dict[str, Account] = {}
        self.captured: dict[str, int] = {}
        self.open: dict[str, Redemption] = {}
        self.dates: dict[str, Any] = {}
        super().__init__()
        self.models = {customer: AccountModel() for customer in self.customers}

    def earning_rules(self) -> dict[str, Any]:
        rules = super().earning_rules()
        rules["earn"] |= {
            "pending_days": self.terms.pending_days,
            "expires_after_days": self.terms.expires_after_days,
        }
        policy = "within_balance" if self.terms.within_balance else "allow"
        return rules | {"reversal": {"negative_balance": policy}}

    def moment(self) -> datetime:
        # As Medusa writes it.
        return now().replace(microsecond=0)

    def changed(self, purchase: Purchase, delivered: bool) -> None:
        # Each version of an order is a minute later than the one before, and Dust takes none that is of the future.
        self.time.enter_context(moved(timedelta(minutes=1)))
        super().changed(purchase, delivered)

    def receive(self, facts: dict[str, Any], stood: Purchase) -> bool:
        known = self.orders[facts["id"]]
        account = self.accounts.setdefault(known.id, Account(terms=self.terms))
        if not super().receive(facts, stood):
            return False
        # The facts at that time, by the rules of its first settlement.
        stood.rate, stood.waits_for_payment, stood.due = known.rate, known.waits_for_payment, known.due
        self._hand_over(known, account, stood.customer)
        worth, own = stood.earned(), account.shares[stood.customer]
        others = {customer: share for customer, share in account.shares.items() if customer != stood.customer}
        # Two customers: there is one other at most.
        for customer, share in others.items():
            if worth > account.worth:
                self._bring(known, account, customer, share.stands + min(worth - account.worth, share.lost))
            elif worth < share.stands:
                self._bring(known, account, customer, worth)
        self._bring(known, account, stood.customer, worth - sum(share.stands for share in others.values()))
        account.worth = worth
        assert own.stands >= 0
        if stood.code:
            self._learn_of_the_code(stood)
        return True

    def _hand_over(self, known: Purchase, account: Account, to: str) -> None:
        """The order and its free points go to the other customer."""
        own = account.shares.setdefault(to, Share())
        if account.owner not in {None, to}:
            share = account.shares[str(account.owner)]
            free = self.models[str(account.owner)].give(known.id, share.stands, self.models[to], now=now())
            share.booked -= free
            share.taken = 0
            own.booked += free
        account.owner = to

    def _bring(self, known: Purchase, account: Account, customer: str, stands: int) -> None:
        share, model = account.shares[customer], self.models[customer]
        change = stands - share.stands
        if change < 0:
            left = self._expired_for(known, customer)
            expired = max(0, min(-change, left, model.expired_of(known.id, now()) - share.expired))
            missing = -change - expired - model.free_for(known.id)
            expired += max(0, min(missing, left - expired))
            wanted = -change - expired
            within = account.terms.within_balance
            taken = model.reverse(known.id, wanted, now=now(), within_balance=within) if wanted else 0
            share.booked -= taken
            share.taken += taken
            share.expired += expired
            share.waived += wanted - taken
            return
        dates = dict(zip(("matures_at", "expires_at"), self._dates(known, account.terms), strict=True))
        waived = min(change, share.waived)
        restored = min(change - waived, share.taken)
        expired = min(change - waived - restored, share.expired)
        share.waived -= waived
        if waived:
            model.forgive(known.id, waived, now=now(), expires_at=dates["expires_at"])
        share.taken -= restored
        share.expired -= expired
        if restored:
            model.restore(known.id, restored, now=now(), **dates)
        if new := change - waived - restored - expired:
            model.earn(known.id, new, now=now(), **dates)
        share.booked += restored + new

    def _expired_for(self, known: Purchase, customer: str) -> int:
        """The customer's expired coins that no return of another order has counted, or can still count as its own."""
        left = 0
        for order_id, account in self.accounts.items():
            if share := account.shares.get(customer):
                over = self.models[customer].expired_of(order_id, now()) - share.expired
                left += over if order_id == known.id else over - max(0, min(over, share.stands))
        return max(0, left)

    @staticmethod
    def _dates(purchase: Purchase, terms: Terms) -> tuple[datetime | None, datetime | None]:
        matures_at = purchase.placed + timedelta(days=terms.pending_days) if terms.pending_days else None
        if not terms.expires_after_days:
            return matures_at, None
        # Good until the end of the day.
        midnight = purchase.placed.replace(hour=0, minute=0, second=0, microsecond=0)
        return matures_at, midnight + timedelta(days=terms.expires_after_days + 1) - timedelta.resolution

    def _learn_of_the_code(self, stood: Purchase) -> None:
        redemption_id = next(redemption_id for redemption_id, order in self.used_by.items() if order.id == stood.id)
        redemption = self.redemptions[redemption_id]
        used, before = stood.dust_used(redemption.dust, Fraction(redemption.value or 1)), 0
        model = self.models[redemption.customer_id]
        if redemption.id in self.open:
            del self.open[redemption.id]
            model.redeem(redemption.id, used, now=now())
        else:
            before = self.captured.get(redemption.id, 0)
            if used > before:
                model.overdraw(redemption.id, used - before, now=now())
            elif used < before:
                model.refund(redemption.id, before - used, now=now())
        self.captured[redemption.id] = used

    def spendable(self, name: int) -> int:
        model = deepcopy(self.models[self.customers[name]])
        model.due(now())
        return max(0, model.available)

    def held_for(self, redemption: Redemption) -> None:
        self.models[redemption.customer_id].hold(redemption.id, redemption.dust, now=now())
        self.open[redemption.id] = redemption

    def released(self, redemption: Redemption) -> None:
        if self.open.pop(redemption.id, None):
            model = self.models[redemption.customer_id]
            model.release(redemption.id, now=now())
            model.due(now())

    @rule(purchase=AnySequence.purchases, delivered=st.booleans())
    def transfer(self, purchase: Purchase, delivered: bool) -> None:
        """Medusa hands the order to the other customer."""
        if not purchase.canceled:
            (purchase.customer,) = set(self.customers) - {purchase.customer}
            purchase.version += 1
            self.changed(purchase, delivered)

    @rule(pending=st.sampled_from([0, 0, 3, 10]), expires=st.sampled_from([None, 5, 20, 60]), within=st.booleans())
    def change_the_dates(self, pending: int, expires: int | None, within: bool) -> None:
        if expires is not None and expires <= pending:
            pending = 0
        self.terms = Terms(pending_days=pending, expires_after_days=expires, within_balance=within)
        self.set_rules()

    @rule(days=st.sampled_from([1, 2, 4, 11, 30]))
    def time_passes(self, days: int) -> None:
        self.time.enter_context(moved(timedelta(days=days)))

    @rule()
    def upkeep(self) -> None:
        """Book what is due, and withdraw the codes of expired redemptions."""
        self.touched = True
        with transaction() as connection:
            post_due_lots(connection, now=now(), customers=200)
        for model in self.models.values():
            model.due(now())
        for redemption in sorted(self.open.values(), key=lambda open_one: open_one.id):
            if redemption.expires_at <= now():
                self._withdraw(redemption)

    def _withdraw(self, redemption: Redemption) -> None:
        orders = advance(redemption.id, get_medusa()).orders
        if not orders:
            self.released(redemption)
        for facts in orders:
            # An order whose event Dust did not receive has used it.
            self.deliver_facts(facts, self.orders[facts["id"]])

    def all_is_as_the_model_says(self) -> None:
        self.the_ledger_has_what_the_models_have()

    @invariant()
    def the_ledger_has_what_the_models_have(self) -> None:
        if not self.touched:
            return
        figures = dict.fromkeys(self.customers, (0, 0, 0, 0))
        lots: dict[str, dict[Any, tuple[int, int]]] = {customer: {} for customer in self.customers}
        dates = {}
        for row in self._read():
            customer = row.customer_id
            figures[customer] = row.balance, row.held, row.pending, row.debt
            if row.id:
                dates[row.id] = row.created_at, row.matures_at, row.expires_at, row.amount
            if row.remaining:
                key = row.source_id, row.matures_at, row.expires_at
                left, held = lots[customer].get(key, (0, 0))
                lots[customer][key] = left + row.remaining, held + row.held_of_lot
        for customer, model in self.models.items():
            model.due(now())
            assert figures[customer] == (model.balance, model.held, model.pending, model.debt)
            assert lots[customer] == model.lots()
        assert self.dates.items() <= dates.items(), "a lot is gone, or has other dates than it was given"
        self.dates = dates
        self.touched = False

    def held_is_what_open_redemptions_ask_for(self) -> None:
        """The held points equal those of the models."""

    def _read(self) -> Sequence[Row[Any]]:
        """The customers' figures, with a lot each; a customer without lots once.

        As the next sweep leaves them: an earning books nothing that is due, as it needs no other lots.
        """
        query = (
            select(dust_balance, *(column for column in dust_lot.c if column.name not in {"customer_id", "held"}))
            .add_columns(dust_lot.c.held.label("held_of_lot"))
            .outerjoin(dust_lot, dust_lot.c.customer_id == dust_balance.c.customer_id)
            .where(dust_balance.c.customer_id.in_(self.customers))
        )
        with transaction() as connection:
            swept = connection.begin_nested()
            post_due_lots(connection, now=now(), customers=200)
            rows = connection.execute(query).all()
            swept.rollback()
            return rows

    def teardown(self) -> None:
        try:
            self.time_passes(days=1)
            self.upkeep()
            super().teardown()
            # Points of an order that is only found now may have expired before.
            self.upkeep()
            self._what_moved_is_what_the_purses_say()
        finally:
            self.time.close()

    def _what_moved_is_what_the_purses_say(self) -> None:
        columns = dust_transaction.c
        query = select(columns.customer_id, columns.kind, func.sum(columns.amount)).where(
            columns.customer_id.in_(self.customers), columns.amount != 0
        )
        with transaction() as connection:
            rows = connection.execute(query.group_by(columns.customer_id, columns.kind)).all()
        moved_by_kind = {(customer, kind): abs(int(dust)) for customer, kind, dust in rows}
        for customer, model in self.models.items():
            for movement, kinds in _KINDS.items():
                assert sum(moved_by_kind.pop((customer, kind), 0) for kind in kinds) == abs(model.moved[movement]), (
                    movement
                )
        assert moved_by_kind == {}


@pieces
def test_every_dust_is_where_it_belongs_and_keeps_its_dates(piece: int, medusa: FakeMedusa) -> None:
    AnyLife.medusa = medusa
    play(AnyLife, few=25)
