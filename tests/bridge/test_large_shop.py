"""The admin API in a shop with 5,000 members and 50,000 orders: a page reads its own rows, not whole tables."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from bridge.clock import now
from bridge.db import get_engine, transaction
from tests.support import tokens
from tests.support.large_shop import MEMBERS, ORDERS_EACH, clear, fill
from tests.support.medusa import FakeMedusa
from tests.support.settling import set_rules

pytestmark = pytest.mark.system

TIERS = {
    "window_days": 365,
    "levels": [
        {"name": "silver", "from": 200, "factor": "1"},
        {"name": "gold", "from": 400, "factor": "1"},
    ],
}
ORDERS = MEMBERS * ORDERS_EACH
ONE = "cus_000010"
# A page of 20, with what belongs to each of its rows.
PAGE = 500
# More than one reading of all orders, with the redemptions and balances that belong to them.
ALL_ORDERS = 2 * ORDERS


@pytest.fixture
def large_shop(settings: dict[str, str]) -> Iterator[None]:
    set_rules(earn={"rates": {"eur": "1", "usd": "1"}}, tiers=TIERS)
    with psycopg.connect(settings["DUST_DATABASE_URL"], autocommit=True) as owner:
        fill(owner, moment=now())
        yield
        clear(owner)


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """The queries that Dust runs in the block, with their values."""
    seen: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, values: Any, _context: object, _many: bool) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            seen.append((statement, values))

    event.listen(get_engine(), "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(get_engine(), "before_cursor_execute", note)


def rows_read(statement: str, values: Any) -> int:
    """The number of rows that a query reads, in all tables and indexes."""
    with transaction() as connection:
        [plan] = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", values).one()
    plans = plan if isinstance(plan, list) else json.loads(plan)
    return _rows(plans[0]["Plan"])


def _rows(node: dict[str, Any]) -> int:
    below = sum(_rows(child) for child in node.get("Plans", ()))
    if "Scan" not in node["Node Type"] or "Relation Name" not in node:
        return below
    looked_at = sum(node.get(name, 0) for name in ("Actual Rows", "Rows Removed by Filter"))
    return below + round(looked_at * node["Actual Loops"])


PATHS = {
    "/overview": 4 * MEMBERS,
    "/customers": MEMBERS + PAGE,
    "/customers?sort=customer_id": PAGE,
    "/customers?sort=-customer_id": PAGE,
    "/customers?sort=balance": MEMBERS + PAGE,
    "/customers?sort=-last_activity&negative=true": MEMBERS + PAGE,
    "/customers?q=cus_0042": MEMBERS + PAGE,
    "/customers?tier=gold": ALL_ORDERS,
    "/customers?tier=silver&sort=-balance": ALL_ORDERS,
    f"/customers/{ONE}": PAGE,
    f"/customers/{ONE}/transactions?memos=true": PAGE,
    f"/customers/{ONE}/explain": PAGE,
    f"/customers/{ONE}/export": PAGE,
    f"/customers/{ONE}/merges": PAGE,
    "/orders/order_000010_005": PAGE,
    "/redemptions": PAGE,
    f"/redemptions?customer_id={ONE}": PAGE,
    "/redemptions?state=captured": PAGE,
    "/events": PAGE,
    "/events?state=failed": PAGE,
    "/events?state=pending": PAGE,
    "/events?subject=order_000010_005": PAGE,
    "/events/causes": PAGE,
    "/events/msg_order_000010_005": PAGE,
    "/outgoing-webhooks": PAGE,
    f"/outgoing-webhooks?customer_id={ONE}": PAGE,
    # It also says how many points are in escrow in all.
    "/escrow": MEMBERS + PAGE,
    "/products": PAGE,
    "/programme": PAGE,
    "/programme/versions": PAGE,
    # Reports read the whole ledger: each posting a few times, and not once for each member or month.
    "/reports/liability": 6 * ORDERS,
    "/reports/movements?by=month": 4 * ORDERS,
    "/reports/expiring": 2 * ORDERS,
    "/reports/breakage": 5 * ORDERS,
    "/reports/closes": PAGE,
    "/reports/forecasts": 2 * MEMBERS,
    "/reports/marketing": 6 * ORDERS,
}


@pytest.mark.usefixtures("large_shop")
def test_no_page_of_a_merchant_reads_more_than_it_needs(api: TestClient, medusa: FakeMedusa) -> None:
    too_many = {}
    for path, most in PATHS.items():
        with statements() as seen:
            response = api.get(f"/admin/dust{path}", headers=tokens.admin())
        assert response.status_code == 200, (path, response.text)
        assert seen, path
        if (rows := sum(rows_read(*plan) for plan in seen)) > most:
            too_many[path] = (rows, most)
    assert too_many == {}


@pytest.mark.usefixtures("large_shop")
def test_marketing_figures_of_the_large_shop_add_up(api: TestClient) -> None:
    """Every member has ordered in the last 70 days, as in each 70 days before."""
    answer = api.get("/admin/dust/reports/marketing?from=2024-06-01", headers=tokens.admin()).json()
    total, months = answer["total"], answer["months"]
    assert (total["active_members"], total["orders"]) == (MEMBERS, ORDERS)
    assert (total["redeeming_members"], total["redeemers"]["buyers"]) == (MEMBERS // 2, MEMBERS // 2)
    for name in ("orders", "points_issued", "points_spent", "referral_orders"):
        assert sum(month[name] for month in months) == total[name] > 0, name
    for name in ("revenue", "cost", "referral_revenue"):
        by_month = [float(money[name]) for month in months for money in month["money"]]
        assert sum(by_month) == pytest.approx(sum(float(money[name]) for money in total["money"])), name
