"""How many decimals each of the shop's currencies has in Medusa.

Locks: none that anybody waits for, as the table is new.
"""

import sqlalchemy as sa
from alembic import op

from bridge.migrations.privileges import grant

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "currency",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("decimal_digits", sa.SmallInteger(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_currency")),
    )
    grant("SELECT, INSERT, UPDATE", "currency")


def downgrade() -> None:
    op.drop_table("currency")
