"""Orders with products for dust alone that dust has not paid.

Locks: `order_settlement` for a moment, as a column with a constant default rewrites nothing; the index covers no row
yet, but reads the table once, and writers wait for that.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "order_settlement",
        sa.Column("unpaid_dust_only", sa.Boolean(), server_default="false", nullable=False),
    )
    op.create_index(
        "ix_order_settlement_unpaid",
        "order_settlement",
        ["order_id"],
        postgresql_where=sa.text("unpaid_dust_only"),
    )


def downgrade() -> None:
    op.drop_index("ix_order_settlement_unpaid", table_name="order_settlement")
    op.drop_column("order_settlement", "unpaid_dust_only")
