"""Medusa's lists, read by pages: rows of one millisecond are read once each, sorted by time."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from bridge.development.demo.people import Merchant, Storefront
from bridge.development.demo.seed import ShopKeys
from bridge.development.stack.postgres import create_database
from bridge.medusa import pages
from bridge.medusa.client import Medusa

pytestmark = pytest.mark.live

Walk = Callable[[Medusa, datetime], Iterator[list[dict[str, Any]]]]


def changed_orders(medusa: Medusa, since: datetime) -> Iterator[list[dict[str, Any]]]:
    return (page.rows for page in medusa.updated_orders(pages.Place(since=since)))


def changed_payments(medusa: Medusa, since: datetime) -> Iterator[list[dict[str, Any]]]:
    return (page.rows for page in medusa.updated_payments(pages.Place(since=since)))


@pytest.mark.parametrize(
    ("table", "field", "walk"),
    [
        ("order", "created_at", Medusa.orders_placed_since),
        ("order", "updated_at", changed_orders),
        ("customer", "created_at", Medusa.customers_created_since),
        ("payment", "updated_at", changed_payments),
    ],
)
def test_rows_of_one_millisecond_are_seen_once_each(
    monkeypatch: pytest.MonkeyPatch,
    storefront: Storefront,
    merchant: Merchant,
    keys: ShopKeys,
    database_url: str,
    table: str,
    field: str,
    walk: Walk,
) -> None:
    monkeypatch.setattr(pages, "PAGE_SIZE", 3)
    for _ in range(2):
        merchant.capture(storefront.buy((keys.shirt, 1)))
    with psycopg.connect(create_database(database_url, "medusa"), autocommit=True) as connection:
        names = {"table": sql.Identifier(table), "field": sql.Identifier(field)}
        # The first three fifths are in one millisecond, at other microseconds of it; the others follow one by one.
        update = sql.SQL(
            "WITH numbered AS ("
            "  SELECT id, row_number() OVER (ORDER BY random()) AS n, count(*) OVER () AS size FROM {table}"
            "  WHERE deleted_at IS NULL"
            ")"
            " UPDATE {table} AS t SET {field} = date_trunc('second', now()) - interval '100 days'"
            "  + CASE WHEN n <= greatest(3, size * 0.6)"
            " THEN n * interval '1 microsecond' ELSE n * interval '1 second' END"
            " FROM numbered WHERE numbered.id = t.id RETURNING t.id, t.{field}"
        ).format(**names)
        rows = connection.execute(update).fetchall()
    medusa = Medusa(keys.url, keys.api_key, keys.publishable_key, timeout_seconds=30)

    seen = [row for page in walk(medusa, min(at for _, at in rows) - timedelta(hours=1)) for row in page]

    assert Counter(row["id"] for row in seen) == Counter(row_id for row_id, _ in rows)
    times = [row[field] for row in seen]
    assert times == sorted(times)
    assert medusa.date is not None
    medusa.close()
