"""Periodic job: mature pending points, expire points past their date."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from bridge.ids import CustomerId
from bridge.ledger.store import customers_with_due_lots, open_accounts, save


def post_due_lots(connection: Connection, *, now: datetime, customers: int) -> int:
    """Post what is due, for up to `customers` customers; return for how many."""
    due = customers_with_due_lots(connection, now, customers)
    post_due_lots_of(connection, due, now=now)
    return len(due)


def post_due_lots_of(connection: Connection, customer_ids: Collection[CustomerId], *, now: datetime) -> None:
    """Post what is due for these customers."""
    accounts = open_accounts(connection, customer_ids)
    for account in accounts.values():
        account.book_due(now=now)
    save(connection, accounts.values())
