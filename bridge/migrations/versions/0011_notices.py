"""Notices: what the shop is told of its customers' dust, and what became of each attempt.

Locks: none on what is there; all tables are new.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from bridge.migrations.privileges import grant

revision = "0011"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("give_up_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'parked')", name=op.f("ck_notice_state")),
        sa.CheckConstraint(
            "(state = 'waiting') = (next_attempt_at IS NOT NULL)", name=op.f("ck_notice_waiting_is_due")
        ),
        sa.CheckConstraint("(state = 'delivered') <= (delivered_at IS NOT NULL)", name=op.f("ck_notice_says_when")),
        sa.CheckConstraint("state <> 'parked' OR reason IS NOT NULL", name=op.f("ck_notice_says_why")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        # Two updates in a row's life; with room in the page neither moves it.
        postgresql_with={"fillfactor": "85"},
    )
    op.create_index(
        "ix_notice_due", "notice", ["next_attempt_at", "seq"], postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index("ix_notice_parked", "notice", ["seq"], postgresql_where=sa.text("state = 'parked'"))
    op.create_index(op.f("ix_notice_seq"), "notice", ["seq"], unique=True)
    op.create_index(op.f("ix_notice_customer_id"), "notice", ["customer_id"])
    op.create_index(op.f("ix_notice_created_at"), "notice", ["created_at"])
    op.create_table(
        "notice_attempt",
        sa.Column("notice_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_notice_attempt_notice_id_notice"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("notice_id", "id", name=op.f("pk_notice_attempt")),
    )
    op.create_table(
        "notice_gate",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("closed_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_notice_gate")),
    )
    op.create_table(
        "expiry_notice",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("lot_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "lot_id", name=op.f("pk_expiry_notice")),
    )
    op.create_index(op.f("ix_expiry_notice_expires_at"), "expiry_notice", ["expires_at"])
    grant("SELECT, INSERT, UPDATE, DELETE", "notice", "notice_gate", "expiry_notice")
    grant("SELECT, INSERT, DELETE", "notice_attempt")


def downgrade() -> None:
    for table in ("expiry_notice", "notice_gate", "notice_attempt", "notice"):
        op.drop_table(table)
