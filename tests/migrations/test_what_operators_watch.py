"""Migration 0004 goes down and up again, and the totals start from what is booked."""

from fastapi.testclient import TestClient

from bridge import db, migrations
from bridge.db import transaction
from bridge.inbox.process_batch import process_batch
from bridge.ledger.totals import KindTotal, read_totals
from tests.support.deliveries import deliver
from tests.support.orders import line, order, order_event


def test_down_and_up_adds_up_what_is_booked(api: TestClient, database: str) -> None:
    for number in range(3):
        deliver(api, order_event(order(f"order_{number}", lines=[line(price=100)])))
    deliver(api, order_event(order("order_0", status="canceled", version=2), "order.canceled"))
    process_batch()
    with transaction() as connection:
        before = read_totals(connection)
    # Of the first order the batch met only the newest facts: canceled.
    assert before == [KindTotal(kind="earn", postings=2, credited=200, debited=0, held=0, pending=0)]
    migrations.downgrade(database, "0003")
    migrations.upgrade(database)
    db.forget_engine()
    with transaction() as connection:
        assert read_totals(connection) == before


def test_the_tables_are_as_the_code_says(database: str) -> None:
    assert migrations.differences(database) == []
