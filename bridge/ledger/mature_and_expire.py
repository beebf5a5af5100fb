"""Periodic job: mature pending points, expire points past their date."""

from datetime import datetime

from sqlalchemy import Connection

from bridge.ledger.store import customers_with_due_lots, open_accounts, save


def post_due_lots(connection: Connection, *, now: datetime, customers: int) -> int:
    """Post what is due, for up to `customers` customers; return for how many."""
    due = customers_with_due_lots(connection, now, customers)
    accounts = open_accounts(connection, due)
    for account in accounts.values():
        account.book_due(now=now)
    save(connection, accounts.values())
    return len(due)
