"""The merchant's list of members: search, filters, sorting and paging, also for many of them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from tests.support import tokens
from tests.support.clock import advance
from tests.support.ledger import give
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order
from tests.support.settling import set_rules, settle

TIERS = {"levels": [{"name": "silver", "from": 100, "factor": "1"}, {"name": "gold", "from": 500, "factor": "2"}]}
SORTS = ("customer_id", "-customer_id", "balance", "-balance", "last_activity", "-last_activity")


def page(api: TestClient, **query: Any) -> dict[str, Any]:
    response = api.get("/admin/dust/customers", params=query, headers=tokens.admin())
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def members(api: TestClient, *, limit: int = 100, **query: Any) -> list[str]:
    """The customers of all pages."""
    customer_ids: list[str] = []
    cursor: dict[str, Any] = {}
    while True:
        answer = page(api, limit=limit, **query, **cursor)
        customer_ids += [customer["customer_id"] for customer in answer["customers"]]
        if answer["next_cursor"] is None:
            return customer_ids
        cursor = {"cursor": answer["next_cursor"]}


def have_members() -> None:
    """Four members with 300, 100, 100 and 200 points, the newest activity first: cus_b, cus_d, cus_a, cus_c."""
    for customer_id, points in (("cus_c", 300), ("cus_a", 100), ("cus_d", 100), ("cus_b", 200)):
        give(points, customer_id)
        advance(timedelta(minutes=1))


def test_a_member_has_figures_tier_and_last_activity(api: TestClient) -> None:
    set_rules(earn={"rates": {"eur": "1"}}, tiers=TIERS)
    settle(order("order_1", lines=[line(price=120)]))
    [member] = page(api)["customers"]
    assert member.pop("last_activity") is not None
    assert member == {
        "customer_id": "cus_1",
        "balance": 120,
        "available": 120,
        "held": 0,
        "pending": 0,
        "tier": "silver",
    }


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("customer_id", "abcd"),
        ("-customer_id", "dcba"),
        ("balance", "adbc"),
        ("-balance", "cbda"),
        ("last_activity", "cadb"),
        ("-last_activity", "bdac"),
    ],
)
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_members_are_sorted_and_paged(api: TestClient, sort: str, expected: str, limit: int) -> None:
    have_members()
    assert members(api, sort=sort, limit=limit) == [f"cus_{name}" for name in expected]


def test_the_newest_activity_comes_first_by_default(api: TestClient) -> None:
    have_members()
    assert members(api) == members(api, sort="-last_activity")


def test_members_are_filtered_by_tier(api: TestClient) -> None:
    set_rules(earn={"rates": {"eur": "1"}}, tiers=TIERS)
    for number, price in enumerate((120, 600, 20, 700, 150)):
        settle(order(f"order_{number}", customer_id=f"cus_{number}", lines=[line(price=price)]))
    assert members(api, tier="gold", sort="customer_id") == ["cus_1", "cus_3"]
    assert members(api, tier="silver", sort="-customer_id", limit=1) == ["cus_4", "cus_0"]
    response = api.get("/admin/dust/customers?tier=bronze", headers=tokens.admin())
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"field": "tier", "message": "is not a tier of the programme: the tiers are silver, gold"}
    ]


def test_members_who_just_reach_a_tier_by_prices_without_tax_are_in_it(api: TestClient) -> None:
    set_rules(tiers={"basis": "spent", "currency_code": "eur", "levels": [{"name": "gold", "from": 25}]})
    # 10.00 with 20 % tax inside.
    shirt = {"is_tax_inclusive": True, "total": 10, "tax_total": 1.6666666666666667, "subtotal": 8.333333333333334}
    settle(order(lines=[line(f"ordli_{number}") | shirt for number in range(3)]))
    assert members(api, tier="gold") == ["cus_1"]


def test_merged_accounts_have_the_tier_of_all_their_orders(api: TestClient) -> None:
    set_rules(earn={"rates": {"eur": "1"}}, tiers=TIERS)
    for number in (1, 2, 3):
        settle(order(f"order_{number}", customer_id=f"cus_{number}", lines=[line(price=300)]))
    api.post("/admin/dust/customers/cus_1/merge", json={"into": "cus_2"}, headers=tokens.admin())
    assert members(api, tier="gold", sort="customer_id") == ["cus_1", "cus_2"]
    assert members(api, tier="silver") == ["cus_3"]


def test_tiers_by_money_count_the_currency_of_the_programme(api: TestClient) -> None:
    by_money = {**TIERS, "basis": "spent", "currency_code": "eur"}
    set_rules(earn={"rates": {"eur": "1", "usd": "1"}}, tiers=by_money)
    settle(order("order_1", customer_id="cus_1", lines=[line(price=600)]))
    settle(order("order_2", customer_id="cus_2", lines=[line(price=600)], currency_code="usd"))
    assert members(api, tier="gold") == ["cus_1"]


def test_members_below_zero_are_found(api: TestClient) -> None:
    set_rules(earn={"rates": {"eur": "1"}}, reversal={"negative_balance": "allow"})
    settle(order("order_1", lines=[line(price=100)]))
    give(-80)
    give(50, "cus_2")
    settle(order("order_1", version=2, status="canceled", lines=[line(price=100)]))
    assert [customer["balance"] for customer in page(api, negative=True)["customers"]] == [-80]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"min_balance": 200}, "bc"),
        ({"max_balance": 100}, "ad"),
        ({"min_balance": 101, "max_balance": 299}, "b"),
        ({"min_balance": 301}, ""),
        ({"max_balance": -1}, ""),
    ],
)
def test_members_are_filtered_by_balance(api: TestClient, query: dict[str, int], expected: str) -> None:
    have_members()
    assert members(api, sort="customer_id", **query) == [f"cus_{name}" for name in expected]


def test_members_are_filtered_by_their_last_activity(api: TestClient) -> None:
    have_members()
    times = {customer["customer_id"]: customer["last_activity"] for customer in page(api)["customers"]}
    assert members(api, active_since=times["cus_d"], sort="customer_id") == ["cus_b", "cus_d"]
    assert members(api, active_until=times["cus_d"], sort="customer_id", limit=1) == ["cus_a", "cus_c"]
    assert members(api, active_since=times["cus_a"], active_until=times["cus_d"]) == ["cus_a"]


def test_a_part_of_the_id_is_searched(api: TestClient, medusa: FakeMedusa) -> None:
    have_members()
    give(1, "cus_50%_x")
    assert members(api, q="S_B") == ["cus_b"]
    assert members(api, q="%") == ["cus_50%_x"]
    assert members(api, q="nobody") == []


def test_an_email_address_is_searched_in_medusa(api: TestClient, medusa: FakeMedusa) -> None:
    have_members()
    medusa.customers = {
        customer_id: {"id": customer_id, "email": f"{name}@example.com", "has_account": True}
        for customer_id, name in (("cus_a", "ann"), ("cus_b", "bob"), ("cus_z", "annabel"))
    }
    results = page(api, q="ann@")
    assert [customer["customer_id"] for customer in results["customers"]] == ["cus_a"]
    assert results["warning"] is None
    medusa.away = True
    results = page(api, q="ann@")
    assert results["customers"] == []
    assert results["warning"].startswith("Medusa did not answer")
    assert [customer["customer_id"] for customer in page(api, q="cus_a")["customers"]] == ["cus_a"]


def test_no_call_to_medusa_without_a_search(api: TestClient, medusa: FakeMedusa) -> None:
    have_members()
    page(api)
    assert medusa.calls == []


@pytest.mark.parametrize(
    "query",
    [
        {"sort": "name"},
        {"limit": 101},
        {"limit": 0},
        {"cursor": "rubbish"},
        {"q": ""},
        {"q": "a\x00b"},
        {"negative": "maybe"},
        {"min_balance": "a few"},
        {"max_balance": 10**19},
        {"active_since": "2026-11-27"},
        {"active_until": "yesterday"},
        {"tiers": "gold"},
    ],
)
def test_a_wrong_query_is_refused(api: TestClient, query: dict[str, Any]) -> None:
    response = api.get("/admin/dust/customers", params=query, headers=tokens.admin())
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == list(query)


def test_a_cursor_belongs_to_its_sorting(api: TestClient) -> None:
    have_members()
    cursor = page(api, sort="balance", limit=1)["next_cursor"]
    response = api.get("/admin/dust/customers", params={"sort": "-balance", "cursor": cursor}, headers=tokens.admin())
    assert response.status_code == 422


def test_only_operators_see_members(api: TestClient) -> None:
    assert api.get("/admin/dust/customers").status_code == 401
    assert api.get("/admin/dust/customers", headers=tokens.customer()).status_code == 401


MANY = """
    INSERT INTO dust_balance (customer_id, balance, version, updated_at)
    SELECT 'cus_' || lpad(n::text, 5, '0'), (n * 7919) % 10007, 0,
           TIMESTAMPTZ '2026-01-01Z' + n * INTERVAL '1 minute'
    FROM generate_series(1, 5000) n;
    INSERT INTO order_settlement (order_id, customer_id, booked, placed_at, currency_code, spent)
    SELECT 'order_' || n || '_' || m, 'cus_' || lpad(n::text, 5, '0'),
           CASE WHEN n % 500 = 0 THEN 60 ELSE 5 END, '{placed}', 'eur', 5
    FROM generate_series(1, 5000) n, generate_series(1, 10) m;
    ANALYZE dust_balance; ANALYZE order_settlement
"""


@pytest.fixture
def many_members(settings: dict[str, str]) -> Iterator[None]:
    """5,000 members with ten orders each, of whom ten are gold. They have no ledger, so they go before the audit."""
    set_rules(earn={"rates": {"eur": "1"}}, tiers=TIERS)
    with psycopg.connect(settings["DUST_DATABASE_URL"], autocommit=True) as owner:
        owner.execute(MANY.format(placed=order()["created_at"]))
        yield
        owner.execute("TRUNCATE dust_balance, order_settlement")


@pytest.mark.usefixtures("many_members")
def test_5000_members_with_50000_orders_are_listed(api: TestClient, medusa: FakeMedusa) -> None:
    """How many rows each list reads: `test_large_shop.py`."""
    queries = [({"sort": sort}, 100) for sort in SORTS]
    for query, count in (*queries, ({"tier": "gold"}, 10), ({"q": "cus_0421"}, 10)):
        assert len(page(api, limit=100, **query)["customers"]) == count, query
