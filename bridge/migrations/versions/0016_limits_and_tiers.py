"""What limits and tiers look at: an order's worth before limits, the money spent on it, the tier it met.

Locks: `order_settlement` for a moment, as columns without a default rewrite nothing. Orders settled before have nulls:
for limits their worth is what is booked, for tiers no money was spent on them until they change.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order_settlement", sa.Column("worth", sa.BigInteger(), nullable=True))
    op.add_column("order_settlement", sa.Column("spent", sa.Numeric(), nullable=True))
    op.add_column("order_settlement", sa.Column("currency_code", sa.Text(), nullable=True))
    op.add_column("order_settlement", sa.Column("tier", postgresql.JSONB(none_as_null=True), nullable=True))


def downgrade() -> None:
    for name in ("tier", "currency_code", "spent", "worth"):
        op.drop_column("order_settlement", name)
