"""Lock timeouts of migrations."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op

# Requests for a table queue behind a migration that waits for it, even reads. So a migration waits only as long as a
# shopper may, gives up, lets the requests through, and is tried again. The timeout is half of Postgres'
# `deadlock_timeout`: in a deadlock with a request, the migration is the one that gives up.
SHORT_LOCK_TIMEOUT = "SET lock_timeout = '500ms'"
_NO_LOCK_TIMEOUT = "SET lock_timeout = 0"


@contextmanager
def concurrently() -> Iterator[None]:
    """For `CREATE INDEX CONCURRENTLY` and the like: each statement is its own transaction, without a lock timeout.

    Such a statement waits for older transactions but blocks nobody. If one fails, those before it stay done, so write
    each so that it can run again (`DROP INDEX CONCURRENTLY IF EXISTS` before `CREATE INDEX CONCURRENTLY`).
    """
    with op.get_context().autocommit_block():
        op.execute(_NO_LOCK_TIMEOUT)
        try:
            yield
        finally:
            op.execute(SHORT_LOCK_TIMEOUT)
