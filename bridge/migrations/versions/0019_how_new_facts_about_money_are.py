"""How much money had moved in the newest facts of an order: a payment moves nothing else of it.

Locks: `order_settlement` for a moment, as a column with a constant default rewrites nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order_settlement", sa.Column("facts_money", sa.Numeric(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("order_settlement", "facts_money")
