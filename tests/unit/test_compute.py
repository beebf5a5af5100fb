"""`compute` decides what orders earn without a database, and gives the same result each time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from bridge.ids import CustomerId
from bridge.ledger.merges import Person
from bridge.medusa.orders import Order, read_order
from bridge.programme.rules import Programme
from bridge.programme.versions import Version
from bridge.settlement.compute import OrderPlan, compute
from bridge.settlement.earning_limits import LimitHistory
from bridge.settlement.escrow import open_escrow
from bridge.settlement.lines import terms_of_lines
from bridge.settlement.load import Loaded, LoadedOrder
from bridge.settlement.referrals import Referral, ReferralHistory
from bridge.settlement.repository import SettlementRow
from bridge.settlement.shares import Share, Shares
from bridge.settlement.tier_history import TierHistory
from tests.support.clock import START
from tests.support.orders import PLACED, line, order

CUSTOMER = CustomerId("cus_1")
REFERRER = CustomerId("cus_2")
PERSON = Person(merged_at={CUSTOMER: None})
NO_REFERRALS = ReferralHistory(versions={}, recent_bonuses={})


def version(**rules: Any) -> Version:
    earn = {"rates": {"eur": "1"}, **rules.pop("earn", {})}
    return Version(
        number=1, programme=Programme.model_validate({"earn": earn, **rules}), author="test", created_at=START
    )


def loaded_order(order: Order, version: Version, **changes: Any) -> LoadedOrder:
    escrow = open_escrow(order, None, version, now=START)
    return LoadedOrder(
        order=order,
        row=SettlementRow(order_id=order.id),
        version=version,
        dust_only_lines=frozenset(),
        known_lines={},
        terms=terms_of_lines(order, {}, version.programme.earn),
        known_escrow=None,
        escrow=escrow,
        shares=Shares(own=Share(customer_id=None if order.is_guest else order.customer_id)),
        **changes,
    )


def plans(loaded: Loaded) -> list[OrderPlan]:
    plan = compute(loaded, now=START)
    assert compute(loaded, now=START) == plan
    return list(plan.orders)


def an_order(order_id: str, amount: float, **changes: Any) -> Order:
    return read_order(order(order_id, lines=[line(price=amount)], **changes))


def test_an_order_earns_by_the_rules() -> None:
    loaded = Loaded(orders=(loaded_order(an_order("order_1", 25), version()),), referrals=NO_REFERRALS)
    [plan] = plans(loaded)
    assert (plan.target, plan.worth_for_owner, plan.escrowed) == (25, 25, 0)


def test_a_guests_order_goes_into_escrow() -> None:
    loaded = Loaded(orders=(loaded_order(an_order("order_1", 25, guest=True), version()),), referrals=NO_REFERRALS)
    [plan] = plans(loaded)
    assert (plan.target, plan.escrowed) == (0, 25)


def test_points_that_a_former_owner_keeps_are_not_earned_again() -> None:
    moved = loaded_order(an_order("order_1", 1000), version())
    first = Share(customer_id=CustomerId("cus_0"), booked=600, first=True)
    shares = replace(moved.shares, former=(first,), worth_before=1000)
    [plan] = plans(Loaded(orders=(replace(moved, shares=shares),), referrals=NO_REFERRALS))
    assert plan.target == 400


def test_the_tier_that_an_order_gives_counts_for_the_next_one_of_the_batch() -> None:
    rules = version(tiers={"basis": "earned", "levels": [{"name": "gold", "from": "100", "factor": "2"}]})
    orders = [an_order("order_1", 100, placed=PLACED), an_order("order_2", 10, placed=PLACED + timedelta(hours=1))]
    history = TierHistory(
        tiers={1: rules.programme.tiers}, persons={CUSTOMER: PERSON}, contributions={1: {CUSTOMER: []}}
    )
    loaded = Loaded(orders=tuple(loaded_order(order, rules) for order in orders), tiers=history, referrals=NO_REFERRALS)
    assert [plan.target for plan in plans(loaded)] == [100, 20]


def test_a_limit_for_a_day_counts_the_orders_of_the_batch_and_those_before() -> None:
    rules = version(earn={"limits": {"per_day": 500}})
    before = SettlementRow(
        order_id=an_order("order_0", 1).id,
        stored=True,
        customer_id=CUSTOMER,
        facts_version=1,
        programme_version=1,
        placed_at=PLACED - timedelta(hours=1),
        booked=50,
        worth=50,
    )
    orders = [an_order("order_1", 400, placed=PLACED), an_order("order_2", 300, placed=PLACED + timedelta(hours=1))]
    history = LimitHistory(
        persons={CUSTOMER: PERSON},
        since={CUSTOMER: PLACED},
        orders=(before,),
        versions={1: rules},
    )
    loaded = Loaded(
        orders=tuple(loaded_order(order, rules) for order in orders), limits=history, referrals=NO_REFERRALS
    )
    assert [plan.target for plan in plans(loaded)] == [400, 50]


def test_a_later_order_gives_back_what_a_late_earlier_one_takes_of_the_limit() -> None:
    rules = version(earn={"limits": {"per_day": 500}})
    later = SettlementRow(
        order_id=an_order("order_2", 1).id,
        stored=True,
        customer_id=CUSTOMER,
        facts_version=1,
        programme_version=1,
        placed_at=PLACED + timedelta(hours=1),
        booked=300,
        worth=300,
    )
    history = LimitHistory(
        persons={CUSTOMER: PERSON},
        since={CUSTOMER: PLACED},
        orders=(later,),
        versions={1: rules},
    )
    first = loaded_order(an_order("order_1", 400, placed=PLACED), rules)
    plan = compute(Loaded(orders=(first,), limits=history, referrals=NO_REFERRALS), now=START)
    assert [(limited.row.order_id, limited.allowed.dust) for limited in plan.limited] == [("order_2", 100)]


def test_a_paid_order_qualifies_the_referral_of_its_customer() -> None:
    rules = version(bonuses={"referral": {"referrer": 50, "referred": 20}})
    referral = Referral(
        id="dref_1",
        customer_id=CUSTOMER,
        referrer_id=REFERRER,
        programme_version=1,
        stated_at=PLACED,
        order_id=None,
        qualified_at=None,
        referrer_due=0,
        referrer_booked=0,
        referrer_not_taken=0,
        referrer_expired=0,
        referrer_taken_back=0,
        referred_booked=0,
        referred_not_taken=0,
        referred_expired=0,
        referred_taken_back=0,
        note=None,
    )
    referrers = {REFERRER: Person(merged_at={REFERRER: None})}
    history = ReferralHistory(referrals=(referral,), versions={1: rules}, recent_bonuses={}, referrers=referrers)
    paid = loaded_order(replace(an_order("order_1", 25), paid=True), rules)
    [due] = compute(Loaded(orders=(paid,), referrals=history), now=START).referrals
    assert (due.order_id, due.referrer_target, due.referred_target) == ("order_1", 50, 20)
    unpaid = replace(paid, order=replace(paid.order, paid=False))
    assert not compute(Loaded(orders=(unpaid,), referrals=history), now=START).referrals
