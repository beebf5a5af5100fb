"""Retries of tasks, asked for in Flower.

Locks: none that anybody could wait for, the table is new.
"""

import sqlalchemy as sa
from alembic import op

from bridge.migrations.privileges import grant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "task_retry",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("task_name", sa.Text(), nullable=False),
        sa.Column("new_task_id", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_task_retry")),
        sa.UniqueConstraint("new_task_id", name=op.f("uq_task_retry_new_task_id")),
    )
    grant("SELECT, INSERT, UPDATE", "task_retry")


def downgrade() -> None:
    op.drop_table("task_retry")
