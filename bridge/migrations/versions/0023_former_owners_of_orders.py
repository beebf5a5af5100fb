"""What former owners of an order keep, and what reversals took.

Locks: `order_settlement` for a moment, as columns that may be null or have a constant default rewrite nothing. The
table is new.
"""

import sqlalchemy as sa
from alembic import op

from bridge.migrations.privileges import grant

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("expired", "taken_back"):
        op.add_column("order_settlement", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("order_settlement", sa.Column("former_share", sa.BigInteger(), nullable=True))
    figures = ("booked", "waived", "expired", "taken_back", "unearned")
    op.create_table(
        "order_former_owner",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("first", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in figures),
        sa.CheckConstraint(
            "expired >= 0 AND waived >= expired AND booked >= waived AND taken_back >= 0 AND unearned >= 0",
            name=op.f("ck_order_former_owner_figures"),
        ),
        sa.PrimaryKeyConstraint("order_id", "customer_id", name=op.f("pk_order_former_owner")),
    )
    op.create_index(op.f("ix_order_former_owner_customer_id"), "order_former_owner", ["customer_id"])
    grant("SELECT, INSERT, UPDATE, DELETE", "order_former_owner")


def downgrade() -> None:
    op.drop_table("order_former_owner")
    for name in ("former_share", "taken_back", "expired"):
        op.drop_column("order_settlement", name)
