"""Reversals of referrals, imports and orders take each other's points: expired points are not taken a second time."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.imports.batches import post_some
from bridge.imports.undo import undo_some
from bridge.reports.breakage import breakage
from tests.support.clock import moved
from tests.support.ledger import capture, end_of_day, hold, lots, post_due, refund
from tests.support.orders import PLACED, line, order
from tests.support.referrals import bought, refer
from tests.support.settling import balance, set_rules, settle

# Referrals compare mailboxes, which are read from Medusa. It has none of these customers.
pytestmark = pytest.mark.usefixtures("settings", "medusa")

DAYS = 30
POLICIES = ("allow", "within_balance")
CUSTOMER = "cus_old"


@pytest.fixture(params=[True, False], ids=["swept", "not swept"])
def swept(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def have_rules(policy: str) -> None:
    set_rules(
        earn={"rates": {"eur": "100"}, "expires_after_days": DAYS},
        bonuses={"referral": {"referrer": 200, "referred": 0}},
        reversal={"negative_balance": policy},
    )


def own_order(version: int = 1, *, after: timedelta = timedelta(), **more: Any) -> dict[str, Any]:
    """An order of the referrer that earns 200."""
    placed = PLACED + after
    return order("order_own", version=version, customer_id=CUSTOMER, placed=placed, lines=[line(price=2)], **more)


def referral_canceled() -> None:
    settle(bought(version=2, status="canceled"))


def own_order_canceled(after: timedelta = timedelta()) -> None:
    settle(own_order(2, after=after, status="canceled"))


def bring(dust: int = 200) -> None:
    """Import points that expire like those of orders."""
    with transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO import_batch (id, name, preset, file_name, file_sha256, description, state, actor,"
                " created_at) VALUES ('dimp_1', 'a', 'dust', 'f', 'a', 'import', 'posting', 'test', :now)"
            ),
            {"now": now()},
        )
        connection.execute(
            text(
                "INSERT INTO import_row (batch_id, line, customer_id, state, amount, expires_at)"
                " VALUES ('dimp_1', 2, :who, 'waiting', :dust, :expires_at)"
            ),
            {"who": CUSTOMER, "dust": dust, "expires_at": now() + timedelta(days=DAYS)},
        )
    with transaction() as connection:
        post_some(connection, "dimp_1", now=now())


def import_undone() -> None:
    with transaction() as connection:
        undo_some(connection, "dimp_1", actor="test", now=now())


def spend(dust: int) -> None:
    hold(dust, CUSTOMER)
    capture(dust, CUSTOMER)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("other", ["referral", "import"])
@pytest.mark.parametrize("order_first", [True, False])
def test_points_that_were_taken_for_another_source_and_expire_are_not_taken_again(
    api: TestClient, policy: str, other: str, order_first: bool, swept: bool
) -> None:
    have_rules(policy)
    placed = timedelta(days=0 if order_first else 2)
    steps = [lambda: own_order_canceled(placed), referral_canceled if other == "referral" else import_undone]

    def other_comes() -> None:
        if other == "referral":
            refer(api)
            settle(bought())
        else:
            bring()

    # What expires first is spent first. When it is reversed, the other's points are taken.
    settle(own_order(after=placed))
    other_comes()
    first, second = steps if order_first else reversed(steps)
    spend(200)
    with moved(timedelta(days=3)):
        first()
        assert balance(CUSTOMER).balance == 0
        # Its own points come back, and replace those taken from the other source.
        refund(200, CUSTOMER)
        assert balance(CUSTOMER).balance == 200
    with moved(timedelta(days=DAYS + 10)):
        if swept:
            post_due()
        second()
        post_due()
        assert balance(CUSTOMER).balance == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_a_restored_bonus_returns_to_its_lots(api: TestClient, policy: str, swept: bool) -> None:
    have_rules(policy)
    refer(api)
    settle(bought())
    spend(200)
    with moved(timedelta(days=20)):
        settle(own_order(after=timedelta(days=20)))
        kept = lots(CUSTOMER)
    with moved(timedelta(days=25)):
        referral_canceled()
        assert balance(CUSTOMER).balance == 0
        settle(bought(2))
        assert lots(CUSTOMER) == kept
    with moved(timedelta(days=20 + DAYS + 2)):
        if swept:
            post_due()
        own_order_canceled(timedelta(days=20))
        post_due()
        assert balance(CUSTOMER).balance == 0


def test_a_restored_bonus_has_its_old_dates(api: TestClient) -> None:
    have_rules("allow")
    refer(api)
    settle(bought())
    given = lots(CUSTOMER)
    with moved(timedelta(days=25)):
        referral_canceled()
        settle(bought(2))
        assert lots(CUSTOMER) == given
    with moved(timedelta(days=DAYS + 2)):
        post_due()
        settle(bought(2, version=2, status="canceled"), bought(3))
        assert balance(CUSTOMER).balance == 0


def test_a_bonus_that_a_later_order_gives_has_new_dates(api: TestClient) -> None:
    have_rules("allow")
    refer(api)
    settle(bought())
    referral_canceled()
    with moved(timedelta(days=DAYS + 10)):
        settle(bought(24 * (DAYS + 10)))
        post_due()
        assert lots(CUSTOMER) == [(200, None, end_of_day(now(), DAYS))]
        settle(bought(24 * (DAYS + 10), version=2, status="canceled"))
        assert balance(CUSTOMER).balance == 0


def test_a_restored_bonus_does_not_count_as_taken_back(api: TestClient) -> None:
    have_rules("allow")
    refer(api)
    settle(bought())
    referral_canceled()
    settle(bought(2))
    with transaction() as connection:
        [month] = breakage(connection)
    # Two orders of 1,000, of which one is canceled, and the bonus.
    assert (month.issued, month.taken_back, month.remaining, month.other) == (2200, 1000, 1200, 0)


def test_a_waived_bonus_comes_back_although_other_points_of_it_expired(api: TestClient) -> None:
    have_rules("within_balance")
    refer(api)
    settle(bought())
    with moved(timedelta(days=20)):
        spend(150)
    with moved(timedelta(days=DAYS + 2)):
        # 50 have expired, 150 are spent.
        referral_canceled()
        settle(bought(2))
        refund(150, CUSTOMER)
        post_due()
        assert balance(CUSTOMER).balance == 0
        settle(order("order_own", customer_id=CUSTOMER, placed=now(), lines=[line(price=2)]))
        assert balance(CUSTOMER).balance == 200
