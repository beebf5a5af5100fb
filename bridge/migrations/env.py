"""Alembic's way in. `dust migrate` calls it with an open connection; models come from the packages' `tables.py`."""

from alembic import context
from sqlalchemy import Connection

from bridge.db import metadata
from bridge.migrations import import_tables
from bridge.migrations.locks import BRIEF

import_tables()


def _migrate(connection: Connection) -> None:
    connection.exec_driver_sql(BRIEF)
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=False,
        # Each on its own: its locks end with it, and what has to wait for a lock undoes nothing of those before.
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_migrate(context.config.attributes["connection"])
