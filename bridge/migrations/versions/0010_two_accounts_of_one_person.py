"""Two accounts of one person.

Locks: none that anybody could wait for, the table is new.
"""

import sqlalchemy as sa
from alembic import op

from bridge.migrations.privileges import grant

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customer_merge",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("survivor_id", sa.Text(), nullable=False),
        sa.Column("merged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("merged_by", sa.Text(), nullable=False),
        sa.Column("unmerged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unmerged_by", sa.Text(), nullable=True),
        sa.CheckConstraint("customer_id <> survivor_id", name=op.f("ck_customer_merge_two_customers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_merge")),
    )
    op.create_index(op.f("ix_customer_merge_survivor_id"), "customer_merge", ["survivor_id"])
    op.create_index(
        "uq_customer_merge_active",
        "customer_merge",
        ["customer_id"],
        unique=True,
        postgresql_where=sa.text("unmerged_at IS NULL"),
    )
    grant("SELECT, INSERT, UPDATE", "customer_merge")


def downgrade() -> None:
    op.drop_table("customer_merge")
