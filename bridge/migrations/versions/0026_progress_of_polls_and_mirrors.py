"""How far a poll has come that was not finished, and when a product's settings are sent to Medusa again.

Locks: `reconcile_cursor` and `dust_product` for a moment; columns without a default, or with a constant one, rewrite
nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reconcile_cursor", sa.Column("started_at", sa.DateTime(timezone=True)))
    op.add_column("reconcile_cursor", sa.Column("place_at", sa.DateTime(timezone=True)))
    op.add_column("reconcile_cursor", sa.Column("place_after", sa.Text()))
    op.add_column("dust_product", sa.Column("mirror_attempts", sa.Integer(), server_default="0", nullable=False))
    op.add_column("dust_product", sa.Column("mirror_retry_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("dust_product", "mirror_retry_at")
    op.drop_column("dust_product", "mirror_attempts")
    op.drop_column("reconcile_cursor", "place_after")
    op.drop_column("reconcile_cursor", "place_at")
    op.drop_column("reconcile_cursor", "started_at")
