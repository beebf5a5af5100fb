"""How long a migration waits for a table, so that nobody has to wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op

# Whoever comes after a migration that waits for a table waits behind it, for reading too: so it waits no longer than a
# shopper may, gives up, lets everybody through, and is tried again. Half of Postgres' `deadlock_timeout`: where it and
# a request wait for each other, it is the one that gives way.
BRIEF = "SET lock_timeout = '500ms'"
_ENDLESS = "SET lock_timeout = 0"


@contextmanager
def concurrently() -> Iterator[None]:
    """For statements with `CONCURRENTLY`, each a transaction of its own: waiting for older transactions, they are in
    nobody's way, so they may take their time. What is done when one fails stays done, and is met again."""
    with op.get_context().autocommit_block():
        op.execute(_ENDLESS)
        try:
            yield
        finally:
            op.execute(BRIEF)


@contextmanager
def briefly() -> Iterator[None]:
    """In such a block, for the statement that locks a table all the same."""
    op.execute(BRIEF)
    try:
        yield
    finally:
        op.execute(_ENDLESS)
