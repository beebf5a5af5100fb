"""Alembic's way in. `dust migrate` calls it with an open connection; models come from the rooms' `tables.py`."""

from alembic import context
from sqlalchemy import Connection

from bridge.db import metadata
from bridge.migrations import import_tables

import_tables()


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, compare_type=True, compare_server_default=False)
    with context.begin_transaction():
        # A migration that waits for a lock blocks everybody behind it; better that it gives up and is tried again.
        connection.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        context.run_migrations()


_migrate(context.config.attributes["connection"])
