"""Fewer index entries for a row of the book, and one for events that are looked for when somebody is erased.

Locks: indexes are built and dropped `CONCURRENTLY`, which stops nobody from reading or writing and waits for
transactions that are older than itself; a report that runs for an hour holds it up for an hour. Only dropping the old
constraint locks `dust_transaction`, for a moment. It may end half-way: what it has left behind is done again.
"""

from alembic import op

from bridge.migrations.locks import briefly, concurrently

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_KEYS = "uq_dust_transaction_idempotency_key"
_ALL_KEYS = "uq_dust_transaction_customer_id_idempotency_key"
_REFERENCES = "ix_dust_transaction_reference"
_ALL_REFERENCES = "ix_dust_transaction_customer_id_reference_type_reference_id"
_OF_LOTS = "ix_dust_lot_use_customer_id_lot_id"
_IGNORED = "ix_webhook_event_ignored"
_DUE = "remaining > held AND matured"


def upgrade() -> None:
    with concurrently():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_KEYS}")
        op.execute(
            f"CREATE UNIQUE INDEX CONCURRENTLY {_KEYS} ON dust_transaction (customer_id, idempotency_key)"
            " WHERE idempotency_key IS NOT NULL"
        )
        with briefly():
            op.execute(f"ALTER TABLE dust_transaction DROP CONSTRAINT IF EXISTS {_ALL_KEYS}")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_REFERENCES}")
        op.execute(
            f"CREATE INDEX CONCURRENTLY {_REFERENCES} ON dust_transaction (customer_id, reference_id)"
            " WHERE reference_type IN ('redemption', 'merge')"
        )
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_ALL_REFERENCES}")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_OF_LOTS}")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_IGNORED}")
        op.execute(f"CREATE INDEX CONCURRENTLY {_IGNORED} ON webhook_event (received_at) WHERE state = 'ignored'")
        _replace_expiring(f"{_DUE} AND expires_at IS NOT NULL")


def downgrade() -> None:
    with concurrently():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_IGNORED}")
        _replace_expiring(_DUE)
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_OF_LOTS}")
        op.execute(f"CREATE INDEX CONCURRENTLY {_OF_LOTS} ON dust_lot_use (customer_id, lot_id)")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_ALL_REFERENCES}")
        op.execute(
            f"CREATE INDEX CONCURRENTLY {_ALL_REFERENCES} ON dust_transaction"
            " (customer_id, reference_type, reference_id)"
        )
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_REFERENCES}")
        with briefly():
            op.execute(f"ALTER TABLE dust_transaction DROP CONSTRAINT IF EXISTS {_ALL_KEYS}")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_ALL_KEYS}")
        op.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {_ALL_KEYS} ON dust_transaction (customer_id, idempotency_key)")
        with briefly():
            op.execute(f"ALTER TABLE dust_transaction ADD CONSTRAINT {_ALL_KEYS} UNIQUE USING INDEX {_ALL_KEYS}")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_KEYS}")


def _replace_expiring(condition: str) -> None:
    # The old one serves until the new one is whole.
    op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_dust_lot_expiring_new")
    op.execute(f"CREATE INDEX CONCURRENTLY ix_dust_lot_expiring_new ON dust_lot (expires_at) WHERE {condition}")
    op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_dust_lot_expiring")
    with briefly():
        op.execute("ALTER INDEX ix_dust_lot_expiring_new RENAME TO ix_dust_lot_expiring")
