"""Referrals, and whether an order is paid.

Locks: `order_settlement` for a moment, as a column without a default rewrites nothing; the tables are new.
"""

import sqlalchemy as sa
from alembic import op

from bridge.migrations.privileges import grant

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order_settlement", sa.Column("paid", sa.Boolean(), nullable=True))
    op.create_table(
        "referral_code",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_referral_code")),
        sa.UniqueConstraint("code", name=op.f("uq_referral_code_code")),
    )
    figures = ("referrer_due", "referrer_booked", "referrer_waived", "referred_booked", "referred_waived")
    op.create_table(
        "referral",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("referrer_id", sa.Text(), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("stated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("qualified_at", sa.DateTime(timezone=True), nullable=True),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in figures),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("customer_id <> referrer_id", name=op.f("ck_referral_not_oneself")),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_referral")),
        sa.UniqueConstraint("id", name=op.f("uq_referral_id")),
    )
    op.create_index(op.f("ix_referral_referrer_id_qualified_at"), "referral", ["referrer_id", "qualified_at"])
    grant("SELECT, INSERT, UPDATE", "referral")
    grant("SELECT, INSERT, DELETE", "referral_code")


def downgrade() -> None:
    op.drop_table("referral")
    op.drop_table("referral_code")
    op.drop_column("order_settlement", "paid")
