"""The read-only transaction for reports and the audit."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from bridge.db import transaction


@contextmanager
def reading() -> Iterator[Connection]:
    """Open a transaction that reads all figures of one moment.

    It has no timeout: reading a large ledger takes longer than the timeout for requests.
    """
    with transaction() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        yield connection
