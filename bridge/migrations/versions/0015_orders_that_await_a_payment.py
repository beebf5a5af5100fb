"""Orders in which something that a claim or an exchange added is not paid yet.

Locks: `order_settlement` for a moment, as a column with a constant default rewrites nothing; the index reads the table
once, and writers wait for that.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "order_settlement",
        sa.Column("awaits_payment", sa.Boolean(), server_default="false", nullable=False),
    )
    op.create_index(
        "ix_order_settlement_waiting",
        "order_settlement",
        ["order_id"],
        postgresql_where=sa.text("awaits_payment OR NOT earning_due"),
    )


def downgrade() -> None:
    op.drop_index("ix_order_settlement_waiting", table_name="order_settlement")
    op.drop_column("order_settlement", "awaits_payment")
