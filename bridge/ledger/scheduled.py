"""What time alone brings: pending dust matures, dust past its date expires."""

from datetime import datetime

from sqlalchemy import Connection

from bridge.ledger.store import customers_with_due_lots, open_accounts, save


def book_due_lots(connection: Connection, *, now: datetime, customers: int) -> int:
    """Post what has become due, for up to so many customers; for how many it was."""
    due = customers_with_due_lots(connection, now, customers)
    accounts = open_accounts(connection, due)
    for account in accounts.values():
        account.book_due(now=now)
    save(connection, accounts.values())
    return len(due)
