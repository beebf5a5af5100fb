"""Backfills: how far each has come.

Locks: none that anybody could wait for, the table is new.
"""

import sqlalchemy as sa
from alembic import op

from bridge.migrations.privileges import grant

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backfill_run",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=True),
        sa.Column("with_signup", sa.Boolean(), nullable=False),
        sa.Column("seen_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("orders", sa.Integer(), server_default="0", nullable=False),
        sa.Column("kept", sa.Integer(), server_default="0", nullable=False),
        sa.Column("customers", sa.Integer(), server_default="0", nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('running', 'done', 'forgotten')", name=op.f("ck_backfill_run_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill_run")),
    )
    op.create_index(
        "uq_backfill_run_running",
        "backfill_run",
        ["state"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )
    grant("SELECT, INSERT, UPDATE", "backfill_run")


def downgrade() -> None:
    op.drop_table("backfill_run")
