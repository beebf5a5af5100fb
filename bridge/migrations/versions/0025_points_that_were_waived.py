"""What reversals left with a customer under `within_balance`, so that a refund of the spend pays for it.

Locks: `dust_balance` for a moment, as a column with a constant default rewrites nothing. Old rows, which all have 0,
are checked without that lock.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_FIGURES = "held >= 0 AND pending >= 0 AND debt >= 0"


def upgrade() -> None:
    op.add_column("dust_balance", sa.Column("waived", sa.BigInteger(), server_default="0", nullable=False))
    _replace_check(f"{_FIGURES} AND waived >= 0")


def downgrade() -> None:
    _replace_check(_FIGURES)
    op.drop_column("dust_balance", "waived")


def _replace_check(condition: str) -> None:
    name = op.f("ck_dust_balance_figures")
    op.drop_constraint(name, "dust_balance")
    op.create_check_constraint(name, "dust_balance", condition, postgresql_not_valid=True)
    op.execute(f"ALTER TABLE dust_balance VALIDATE CONSTRAINT {name}")
