"""Alembic's environment. `dust migrate` calls it with an open connection; models come from the packages' tables."""

from alembic import context
from sqlalchemy import Connection

from bridge.db import metadata
from bridge.db.migrations.all_tables import import_tables
from bridge.db.migrations.locks import SHORT_LOCK_TIMEOUT

import_tables()


def _migrate(connection: Connection) -> None:
    connection.exec_driver_sql(SHORT_LOCK_TIMEOUT)
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        compare_server_default=False,
        # Each migration ends with its own locks, and one that has to wait does not undo those before it.
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_migrate(context.config.attributes["connection"])
