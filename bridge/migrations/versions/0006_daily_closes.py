"""What was owed at the end of each day, kept for good.

Locks: none on tables that are there already.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from bridge.migrations.privileges import grant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FIGURES = ("outstanding", "owed_by_customers", "held", "pending", "escrow", "customers")


def upgrade() -> None:
    op.create_table(
        "daily_close",
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _FIGURES),
        sa.Column("movements", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "outstanding >= 0 AND owed_by_customers >= 0 AND held >= 0 AND pending >= 0",
            name=op.f("ck_daily_close_figures"),
        ),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_daily_close")),
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON daily_close "
        "FOR EACH ROW EXECUTE FUNCTION dust_forbid_change()"
    )
    op.execute(
        "CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON daily_close "
        "FOR EACH STATEMENT EXECUTE FUNCTION dust_forbid_change()"
    )
    grant("SELECT, INSERT", "daily_close")


def downgrade() -> None:
    op.drop_table("daily_close")
