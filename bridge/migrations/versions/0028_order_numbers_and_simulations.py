"""The number of an order, which shoppers know it by, and simulations that a merchant requested.

Locks: `order_settlement` for a moment, as a nullable column rewrites nothing. The table is new.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from bridge.migrations.privileges import grant

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order_settlement", sa.Column("order_number", sa.Text()))
    op.create_table(
        "programme_simulation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("document", JSONB(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("result", JSONB()),
        sa.Column("reason", sa.Text()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_programme_simulation")),
        sa.CheckConstraint(
            "state IN ('pending', 'running', 'done', 'failed')", name=op.f("ck_programme_simulation_state")
        ),
        sa.CheckConstraint("(state = 'done') = (result IS NOT NULL)", name=op.f("ck_programme_simulation_result")),
    )
    op.create_index(
        "ix_programme_simulation_open",
        "programme_simulation",
        ["created_at"],
        postgresql_where=sa.text("state IN ('pending', 'running')"),
    )
    grant("SELECT, INSERT, UPDATE, DELETE", "programme_simulation")


def downgrade() -> None:
    op.drop_table("programme_simulation")
    op.drop_column("order_settlement", "order_number")
