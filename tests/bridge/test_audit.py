"""Each check of conservation finds a breach that is planted, and is silent without it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import open_accounts, save
from bridge.operations.audit import CHECK_NAMES, audit, find_breaches
from tests.support.ledger import spend
from tests.support.settling import WORTH, have_rules, order_of, settle

pytestmark = pytest.mark.usefixtures("settings")


class Planted(Exception):
    """Undoes the transaction that a breach was planted in."""


def details(kind: Kind) -> PostingDetails:
    return PostingDetails(
        kind=kind, reference_type="order", reference_id="order_1", description="planted", event_at=now()
    )


def new_points_for_the_new_owner(connection: Connection) -> None:
    """The new owner earns the whole order once more, and the order's row says so."""
    connection.execute(text(f"UPDATE order_settlement SET booked = booked + {WORTH}"))
    account = open_accounts(connection, [CustomerId("cus_2")])[CustomerId("cus_2")]
    account.earn(WORTH, details(Kind.EARN), now=now())
    save(connection, [account])


def a_former_owner_is_forgotten(connection: Connection) -> None:
    connection.execute(text("DELETE FROM order_former_owner"))


def a_former_owner_has_less(connection: Connection) -> None:
    connection.execute(text("UPDATE order_former_owner SET booked = booked - 1"))


def points_leave_and_arrive_nowhere(connection: Connection) -> None:
    account = open_accounts(connection, [CustomerId("cus_2")])[CustomerId("cus_2")]
    account.transfer_out(100, details(Kind.TRANSFER), now=now())
    save(connection, [account])


def points_of_an_order_that_is_not_known(connection: Connection) -> None:
    account = open_accounts(connection, [CustomerId("cus_3")])[CustomerId("cus_3")]
    account.earn(5, details(Kind.EARN), now=now(), expires_at=now() + timedelta(days=1))
    save(connection, [account])


def a_lot_loses_a_point(connection: Connection) -> None:
    connection.execute(text("UPDATE dust_lot SET remaining = remaining - 1 WHERE remaining > 0"))


def hold_of(change: str) -> Callable[[Connection], None]:
    """Points were held and spent, while their lot had the values in `change` all the time."""

    def plant(connection: Connection) -> None:
        account = open_accounts(connection, [CustomerId("cus_3")])[CustomerId("cus_3")]
        account.earn(5, details(Kind.ADJUST), now=now())
        account.hold(5, details(Kind.HOLD), now=now())
        account.redeem(5, dict.fromkeys(account.lots, 5), details(Kind.REDEEM), now=now())
        save(connection, [account])
        connection.execute(text(f"UPDATE dust_lot SET {change} WHERE customer_id = 'cus_3'"), {"now": now()})

    return plant


def spending_before_maturity(connection: Connection) -> None:
    """An order took points that were pending and matured afterwards: their row says so."""
    account = open_accounts(connection, [CustomerId("cus_3")])[CustomerId("cus_3")]
    account.earn(5, details(Kind.ADJUST), now=now(), matures_at=now() + timedelta(days=1))
    (lot,) = account.lots.values()
    lot.matured = True
    account.overdraw(2, details(Kind.REDEEM), now=now())
    lot.matured = False
    account.mature_due(now=now() + timedelta(days=1))
    save(connection, [account])


SPENT = "no_lot_is_spent_after_expiry_or_before_maturity"


@pytest.mark.parametrize(
    ("plant", "checks"),
    [
        (hold_of("matured = false, matures_at = NULL"), {SPENT}),
        (hold_of("matured = false, matures_at = :now"), {SPENT}),
        (hold_of("expires_at = :now"), {SPENT}),
        (spending_before_maturity, {SPENT}),
        (new_points_for_the_new_owner, {"no_order_gives_more_than_it_is_worth"}),
        (
            a_former_owner_is_forgotten,
            {"orders_hold_what_is_booked", "former_owners_have_what_the_order_says", "the_ledger_adds_up"},
        ),
        (
            a_former_owner_has_less,
            {"orders_hold_what_is_booked", "former_owners_have_what_the_order_says", "the_ledger_adds_up"},
        ),
        (
            points_leave_and_arrive_nowhere,
            {"orders_hold_what_is_booked", "transfers_have_two_sides", "the_ledger_adds_up"},
        ),
        (points_of_an_order_that_is_not_known, {"orders_hold_what_is_booked", "the_ledger_adds_up"}),
        (a_lot_loses_a_point, {"the_ledger_adds_up"}),
    ],
)
def test_a_planted_breach_is_found(plant: Callable[[Connection], None], checks: set[str]) -> None:
    have_rules()
    settle(order_of("cus_1", 1))
    spend(600)
    settle(order_of("cus_2", 2))
    assert checks <= set(CHECK_NAMES)
    assert audit() == []
    with suppress(Planted), transaction() as connection:
        plant(connection)
        breached = {breach.check for breach in find_breaches(connection)}
        raise Planted
    assert checks <= breached
