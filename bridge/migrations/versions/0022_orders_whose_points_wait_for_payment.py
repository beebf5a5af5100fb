"""Orders whose points are pending until they are paid.

Locks: `order_settlement` for a moment, as a column with a constant default rewrites nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order_settlement", sa.Column("unpaid", sa.Boolean(), server_default="false", nullable=False))


def downgrade() -> None:
    op.drop_column("order_settlement", "unpaid")
