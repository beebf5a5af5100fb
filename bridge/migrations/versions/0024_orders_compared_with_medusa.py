"""When an order is compared with Medusa, whether it was deleted there, and what tells old facts from new ones.

Locks: `order_settlement` and `dust_redemption_code` for a moment, as columns with constant defaults rewrite nothing.
The indexes are built `CONCURRENTLY`. It may end half-way: what is there already is passed over or built again.
"""

from alembic import op

from bridge.migrations.locks import concurrently

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_COLUMNS = (
    ("facts_canceled", "boolean DEFAULT false NOT NULL"),
    ("gone", "boolean DEFAULT false NOT NULL"),
    ("revision", "integer DEFAULT 0 NOT NULL"),
    ("check_at", "timestamptz"),
    ("missing_since", "timestamptz"),
)
_INDEXES = (
    ("ix_order_settlement_check_at", "order_settlement", "check_at"),
    ("ix_dust_redemption_code_also_order_id", "dust_redemption_code", "also_order_id"),
)


def upgrade() -> None:
    columns = ", ".join(f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in _COLUMNS)
    op.execute(f"ALTER TABLE order_settlement {columns}")
    op.execute("ALTER TABLE dust_redemption_code ADD COLUMN IF NOT EXISTS also_order_id text")
    with concurrently():
        for name, table, column in _INDEXES:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} ({column}) WHERE {column} IS NOT NULL")


def downgrade() -> None:
    # With their columns go the indexes.
    op.execute("ALTER TABLE dust_redemption_code DROP COLUMN IF EXISTS also_order_id")
    op.execute(f"ALTER TABLE order_settlement {', '.join(f'DROP COLUMN IF EXISTS {name}' for name, _ in _COLUMNS)}")
