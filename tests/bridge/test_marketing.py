"""Marketing figures, compared with figures computed by hand."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId
from bridge.ledger.merges import merge_customers, unmerge_customer
from bridge.reports.marketing import Buyers, Figures, Money, marketing
from bridge.settlement.claims import claim_orders, claimable_orders
from bridge.settlement.tables import Proof
from tests.support import tokens
from tests.support.admin_api import FIFTH, PARCEL, SHIRTS, offer_rewards, set_dust_only
from tests.support.clock import START, moved
from tests.support.guests import EMAIL, guest
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import line, order
from tests.support.redemptions import redeem_points
from tests.support.referrals import refer, set_referral_bonus
from tests.support.settling import set_rules, settle
from tests.support.store_api import redeemed

TODAY = START.date()


def figures(first: date = TODAY - timedelta(days=30), last: date = TODAY) -> Figures:
    with transaction() as connection:
        return marketing(connection, first=first, last=last, now=now()).total


def euros(report: Figures | None = None) -> Money:
    """The figures in euros; all others must be in euros too."""
    [money] = (report or figures()).money
    assert money.currency_code == "eur"
    return money


def buy(number: int, customer_id: str, price: float, **more: Any) -> dict[str, Any]:
    """An order placed now. It earns a point for each euro."""
    document = order(f"order_{number}", customer_id=customer_id, placed=now(), lines=[line(price=price)], **more)
    settle(document)
    return document


def buy_with_points(number: int, customer_id: str, price: float, dust: int, **more: Any) -> None:
    """An order placed now with a discount for these points, at 100 points for a euro."""
    code = redeem_points(CustomerId(customer_id), dust, key=f"key_{number}").codes[0].code
    discounted = line(price=price, discount=dust / 100, code=code)
    settle(order(f"order_{number}", customer_id=customer_id, placed=now(), lines=[discounted], **more))


@pytest.mark.usefixtures("settings")
def test_a_shop_without_orders_has_zeros_and_no_rates() -> None:
    report = figures()
    assert report == Figures()
    assert (report.redemption_rate, report.redeeming_share, report.others.repeat_rate) == (None, None, None)


@pytest.mark.usefixtures("settings")
def test_one_order() -> None:
    buy(1, "cus_1", 40)
    report = figures()
    assert (report.active_members, report.redeeming_members, report.orders) == (1, 0, 1)
    assert (report.points_issued, report.points_spent, report.redemption_rate) == (40, 0, Decimal(0))
    assert (report.redeemers, report.others) == (Buyers(), Buyers(buyers=1, repeaters=0))
    money = euros(report)
    assert (money.revenue, money.others.average, money.redeemers.average) == (40, 40, None)
    assert (money.cost, money.cost_share) == (0, Decimal(0))


@pytest.mark.usefixtures("settings", "medusa")
def test_redeemers_are_compared_with_other_members() -> None:
    """Ann spends 500 of 1,000 points. Her orders are 30.00 - 5.00 and 45.00; the others' 10.00, 20.00 and 60.00."""
    give(1000, "cus_ann")
    buy_with_points(1, "cus_ann", 30, 500)
    buy(2, "cus_ann", 45)
    buy(3, "cus_bob", 10)
    buy(4, "cus_bob", 20)
    buy(5, "cus_cat", 60)
    report = figures()
    assert (report.active_members, report.redeeming_members, report.orders) == (3, 1, 5)
    assert report.redeeming_share == Decimal("0.3333")
    # 25 + 45 + 10 + 20 + 60; the 1,000 were given by hand.
    assert (report.points_issued, report.points_spent) == (160, 500)
    assert report.redemption_rate == Decimal("3.1250")
    assert (report.redeemers, report.others) == (Buyers(buyers=1, repeaters=1), Buyers(buyers=2, repeaters=1))
    assert report.others.repeat_rate == Decimal("0.5000")
    money = euros(report)
    assert money.revenue == 160
    assert (money.redeemers.average, money.others.average) == (35, 30)
    assert (money.cost, money.cost_share) == (5, Decimal("0.0313"))


@pytest.mark.usefixtures("settings")
def test_an_order_that_was_canceled_or_wholly_returned_does_not_count() -> None:
    buy(1, "cus_1", 10)
    for number, change in enumerate(
        ({"status": "canceled", "lines": [line(price=50)]}, {"lines": [line(price=50, returned=1)]}), start=2
    ):
        document = buy(number, f"cus_{number}", 50)
        settle(order(document["id"], customer_id=f"cus_{number}", placed=now(), version=2, **change))
    report = figures()
    assert (report.active_members, report.orders, report.points_issued) == (1, 1, 10)
    assert euros(report).revenue == 10


@pytest.mark.usefixtures("settings", "medusa")
def test_a_return_takes_its_share_of_revenue_points_and_cost() -> None:
    """Two shirts at 20.00 with 4.00 off for 400 points; one comes back."""
    give(400)
    code = redeem_points(CustomerId("cus_1"), 400, key="key").codes[0].code
    for version, returned in ((1, 0), (2, 1)):
        shirts = line(price=20, quantity=2, returned=returned, discount=4, code=code)
        settle(order(placed=now(), version=version, lines=[shirts]))
    report = figures()
    assert (report.points_issued, report.points_spent) == (18, 200)
    assert (euros(report).revenue, euros(report).cost) == (18, 2)


@pytest.mark.usefixtures("settings", "medusa")
def test_a_canceled_order_with_points_leaves_no_redeemer() -> None:
    give(500)
    code = redeem_points(CustomerId("cus_1"), 500, key="key").codes[0].code
    for version, status in ((1, "pending"), (2, "canceled")):
        lines = [line(price=30, discount=5, code=code)]
        settle(order(placed=now(), version=version, status=status, lines=lines))
    report = figures()
    assert (report.active_members, report.redeeming_members, report.points_spent, report.money) == (0, 0, 0, ())


def test_each_kind_of_reward_costs_what_it_took_off(api: TestClient, medusa: FakeMedusa) -> None:
    """A fifth of 10.00; two shirts at 10.00 and one of them returned; shipping of 5.00; one of two mugs at 15.00."""
    assert offer_rewards(api, FIFTH, PARCEL, SHIRTS).status_code == 200
    give(3000)
    medusa.add_cart(lines=[cart_line("prod_shirt", total=20, quantity=2)], shipping=5)

    def cost_with(number: int, request: dict[str, Any], **fields: Any) -> Decimal:
        code = redeemed(api, request)["code"]
        for item in fields.get("lines", ()):
            item["adjustments"][0]["code"] = code
        codes = {"shipping_code": code} if "shipping_discount" in fields else {}
        settle(order(f"order_{number}", placed=now(), **fields, **codes))
        return euros().cost

    assert cost_with(1, {"reward_id": "fifth"}, lines=[line(price=10, discount=2, code="?")]) == 2
    shirts = [line(price=10, quantity=2, returned=1, discount=20, code="?")]
    assert cost_with(2, {"reward_id": "shirts", "cart_id": "cart_1"}, lines=shirts) == 2 + 10
    assert cost_with(3, {"reward_id": "parcel", "cart_id": "cart_1"}, shipping_discount=5) == 12 + 5
    set_dust_only(api)
    mugs = [line(product_id="prod_mug", price=15, discount=15, code="?")]
    assert cost_with(4, {"items": [{"product_id": "prod_mug", "quantity": 2}]}, lines=mugs) == 17 + 15
    # The mug is bought with points alone: an order without a basket. The shirt that is left cost nothing either.
    report = figures()
    assert (report.orders, report.redeemers) == (4, Buyers(buyers=1, repeaters=1))
    assert (euros(report).redeemers.orders, euros(report).revenue) == (2, 8 + 10)


@pytest.mark.usefixtures("settings")
def test_a_guests_order_counts_once_it_is_claimed() -> None:
    settle(guest(placed=now()))
    assert figures() == Figures()
    with transaction() as connection:
        orders = claimable_orders(connection, EMAIL, now=now())
        claim_orders(connection, CustomerId("cus_1"), orders, Proof.SUPPORT, now=now())
    # The comparison with Medusa, for which the claim has scheduled it.
    settle(guest(placed=now()))
    report = figures()
    assert (report.active_members, report.orders, euros(report).revenue) == (1, 1, 10)


@pytest.mark.usefixtures("settings")
def test_an_order_counts_once_the_rules_count_it() -> None:
    set_rules(earn={"rates": {"eur": "1"}, "when": "payment.captured"})
    buy(1, "cus_1", 10)
    assert figures() == Figures()
    settle(order("order_1", placed=now(), payment_status="captured"))
    assert figures().orders == 1
    set_rules(earn={"rates": {"eur": "1"}, "pending_until_paid": True})
    buy(2, "cus_2", 20)
    assert figures().orders == 1
    settle(order("order_2", customer_id="cus_2", placed=now(), payment_status="captured", lines=[line(price=20)]))
    assert (figures().orders, euros().revenue) == (2, 30)


@pytest.mark.usefixtures("settings", "medusa")
def test_each_currency_has_its_own_money() -> None:
    set_rules(earn={"rates": {"eur": "1", "jpy": "0.01"}}, redeem={"rates": {"eur": "100"}})
    give(500)
    buy_with_points(1, "cus_1", 30, 500)
    buy(2, "cus_1", 4000, currency_code="jpy")
    buy(3, "cus_2", 1001, currency_code="jpy")
    euro, yen = figures().money
    assert (euro.currency_code, euro.revenue, euro.cost) == ("eur", 25, 5)
    assert (yen.currency_code, yen.revenue, yen.cost, yen.cost_share) == ("jpy", 5001, 0, Decimal(0))
    assert (yen.redeemers.average, yen.others.average) == (4000, 1001)


@pytest.mark.usefixtures("settings")
def test_merged_accounts_are_one_member() -> None:
    buy(1, "cus_old", 10)
    buy(2, "cus_new", 20)
    assert figures().others == Buyers(buyers=2, repeaters=0)
    with transaction() as connection:
        merge_customers(connection, CustomerId("cus_old"), CustomerId("cus_new"), actor="test", now=now())
    report = figures()
    assert (report.active_members, report.others) == (1, Buyers(buyers=1, repeaters=1))
    assert (report.points_issued, euros(report).revenue) == (30, 30)


def test_a_merged_member_with_a_redemption_is_two_members_after_the_undo(medusa: FakeMedusa) -> None:
    buy(1, "cus_old", 20)
    buy_with_points(2, "cus_old", 10, 10)
    buy(3, "cus_new", 20)
    apart = figures()
    assert (apart.redeemers, apart.others) == (Buyers(buyers=1, repeaters=1), Buyers(buyers=1, repeaters=0))
    with transaction() as connection:
        merge_customers(connection, CustomerId("cus_old"), CustomerId("cus_new"), actor="test", now=now())
    report = figures()
    assert (report.active_members, report.redeeming_members) == (1, 1)
    assert (report.redeemers, report.others) == (Buyers(buyers=1, repeaters=1), Buyers())
    with transaction() as connection:
        unmerge_customer(connection, CustomerId("cus_old"), actor="test", now=now())
    report = figures()
    assert (report.active_members, report.redeemers, report.others) == (2, apart.redeemers, apart.others)


def test_an_erased_customer_still_counts(api: TestClient) -> None:
    buy(1, "cus_1", 10)
    before = figures()
    api.post("/admin/dust/customers/cus_1/erase", headers=tokens.admin())
    assert figures() == before
    assert before.active_members == 1


def test_orders_of_referred_customers_are_referral_revenue(api: TestClient, medusa: FakeMedusa) -> None:
    """cus_new orders twice after stating the code. Another order of theirs was placed before that and found later."""
    set_referral_bonus()
    refer(api)
    settle(order("order_0", customer_id="cus_new", placed=now() - timedelta(days=2), lines=[line(price=70)]))
    with moved(timedelta(minutes=5)):
        buy(1, "cus_new", 30)
        buy(2, "cus_new", 20)
        buy(3, "cus_old", 100)
        report = figures()
        assert (report.referred_customers, report.referral_orders) == (1, 2)
        money = euros(report)
        assert (money.referral_orders, money.referral_revenue, money.revenue) == (2, 50, 220)
        # A person who has referred themselves has referred nobody.
        with transaction() as connection:
            merge_customers(connection, CustomerId("cus_old"), CustomerId("cus_new"), actor="test", now=now())
        assert figures().referral_orders == 0


@pytest.mark.usefixtures("settings")
def test_months_are_those_of_the_programmes_time_zone() -> None:
    """1 May begins in Berlin at 22:00 UTC: the order a minute before belongs to April."""
    set_rules(earn={"rates": {"eur": "1"}}, time_zone="Europe/Berlin")
    midnight = START.replace(month=4, day=30, hour=22)
    for number, placed in enumerate((midnight - timedelta(minutes=1), midnight, START)):
        settle(order(f"order_{number}", customer_id="cus_1", placed=placed, lines=[line(price=10)]))
    with transaction() as connection:
        report = marketing(connection, first=date(2027, 3, 15), last=TODAY, now=now())
        only_april = marketing(connection, first=date(2027, 4, 1), last=date(2027, 4, 30), now=now())
        only_may = marketing(connection, first=date(2027, 5, 1), last=TODAY, now=now())
    assert [(month, figures.orders, figures.points_issued) for month, figures in report.months.items()] == [
        (date(2027, 3, 1), 0, 0),
        (date(2027, 4, 1), 1, 10),
        (date(2027, 5, 1), 2, 20),
    ]
    assert report.total.others == Buyers(buyers=1, repeaters=1)
    assert report.months[date(2027, 4, 1)].others == Buyers(buyers=1, repeaters=0)
    assert only_april.total == report.months[date(2027, 4, 1)]
    assert only_may.total == report.months[date(2027, 5, 1)]


def test_marketing_is_served_as_json_and_as_csv(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    buy_with_points(1, "cus_1", 30, 500)
    buy(2, "cus_2", 10)
    path = "/admin/dust/reports/marketing"
    answer = api.get(path, headers=tokens.admin()).json()
    assert (answer["from"], answer["to"], answer["time_zone"]) == ("2026-06-01", "2027-05-12", "UTC")
    assert "not what the programme has caused" in answer["note"]
    assert [month["month"] for month in answer["months"]][::11] == ["2026-06-01", "2027-05-01"]
    assert answer["total"]["money"] == [
        {
            "currency_code": "eur",
            "revenue": "35.00",
            "basket_redeemers": "25.00",
            "basket_others": "10.00",
            "referral_orders": 0,
            "referral_revenue": "0.00",
            "cost": "5.00",
            "cost_share": "0.1429",
        }
    ]
    assert answer["total"]["redeemers"] == {"buyers": 1, "repeaters": 0, "repeat_rate": "0.0000"}
    assert answer["months"][0]["redeeming_share"] is None
    sheet = api.get(f"{path}?format=csv&from=2027-04-01", headers=tokens.admin())
    assert sheet.headers["content-disposition"] == 'attachment; filename="dust-marketing.csv"'
    april, may, total = csv.DictReader(io.StringIO(sheet.text))
    assert [row["month"] for row in (april, may, total)] == ["2027-04", "2027-05", "total"]
    assert (april["active_members"], april["revenue_eur"]) == ("0", "")
    assert (total["active_members"], total["basket_others_eur"], total["cost_share_eur"]) == ("2", "10.00", "0.1429")
    assert {**may, "month": "total"} == total


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ("from=2027-05-02&to=2027-05-01", "to"),
        ("from=2022-05-01", "from"),
        ("from=0001-01-01&to=0001-01-02", "to"),
        ("from=0001-01-01", "from"),
        ("from=2999-12-31&to=9999-12-31", "to"),
        ("to=1980-01-01", "to"),
        ("to=0001-01-01", "to"),
        ("from=2999-12-31&to=2999-12-30", "to"),
        ("from=today", "from"),
    ],
)
def test_a_wrong_period_is_named(api: TestClient, question: str, field: str) -> None:
    response = api.get(f"/admin/dust/reports/marketing?{question}", headers=tokens.admin())
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
