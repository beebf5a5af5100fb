"""The transaction that reports, and the audit, are read in."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from bridge.db import transaction


@contextmanager
def reading() -> Iterator[Connection]:
    """All figures of one moment, however long that takes: a large book takes longer to read than a request may."""
    with transaction() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        yield connection
