"""Fewer index entries for a row of the book, and none that nobody looks for.

Locks: indexes are built and dropped `CONCURRENTLY`, which stops nobody from reading or writing and waits for
transactions that are older than itself; a report that runs for an hour holds it up for an hour. Only dropping the old
constraint locks `dust_transaction`, for a moment. It may end half-way: what it has left behind is done again.
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_KEYS = "uq_dust_transaction_idempotency_key"
_ALL_KEYS = "uq_dust_transaction_customer_id_idempotency_key"
_OF_LOTS = "ix_dust_lot_use_customer_id_lot_id"
_DUE = "remaining > held AND matured"
# What is done concurrently waits for others and lets nobody wait; everything else gives up soon and is tried again.
_WITH_TIME, _AT_ONCE = "SET lock_timeout = 0", "SET lock_timeout = '500ms'"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(_WITH_TIME)
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_KEYS}")
        op.execute(
            f"CREATE UNIQUE INDEX CONCURRENTLY {_KEYS} ON dust_transaction (customer_id, idempotency_key)"
            " WHERE idempotency_key IS NOT NULL"
        )
        op.execute(_AT_ONCE)
        op.execute(f"ALTER TABLE dust_transaction DROP CONSTRAINT IF EXISTS {_ALL_KEYS}")
        op.execute(_WITH_TIME)
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_OF_LOTS}")
        _replace_expiring(f"{_DUE} AND expires_at IS NOT NULL")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(_WITH_TIME)
        _replace_expiring(_DUE)
        op.execute(f"ALTER TABLE dust_transaction DROP CONSTRAINT IF EXISTS {_ALL_KEYS}")
        op.execute(_WITH_TIME)
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_OF_LOTS}")
        op.execute(f"CREATE INDEX CONCURRENTLY {_OF_LOTS} ON dust_lot_use (customer_id, lot_id)")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_ALL_KEYS}")
        op.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {_ALL_KEYS} ON dust_transaction (customer_id, idempotency_key)")
        op.execute(_AT_ONCE)
        op.execute(f"ALTER TABLE dust_transaction ADD CONSTRAINT {_ALL_KEYS} UNIQUE USING INDEX {_ALL_KEYS}")
        op.execute(_WITH_TIME)
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_KEYS}")
        op.execute(_AT_ONCE)


def _replace_expiring(condition: str) -> None:
    # The old one serves until the new one is whole.
    op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_dust_lot_expiring_new")
    op.execute(f"CREATE INDEX CONCURRENTLY ix_dust_lot_expiring_new ON dust_lot (expires_at) WHERE {condition}")
    op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_dust_lot_expiring")
    op.execute(_AT_ONCE)
    op.execute("ALTER INDEX ix_dust_lot_expiring_new RENAME TO ix_dust_lot_expiring")
