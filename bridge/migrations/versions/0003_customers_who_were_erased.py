"""Customers who were erased.

Locks: none that anybody could wait for, the table is new.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APP_ROLE = "dust_app"


def upgrade() -> None:
    op.create_table(
        "customer_erasure",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_erasure")),
    )
    # The role is not there where the migrating user may not make roles; see the first migration.
    op.execute(
        f"""
        DO $$
        BEGIN
            GRANT SELECT, INSERT ON customer_erasure TO {APP_ROLE};
        EXCEPTION
            WHEN undefined_object OR insufficient_privilege THEN
                RAISE NOTICE 'role {APP_ROLE} has no part in customer_erasure: %', SQLERRM;
        END $$
        """
    )


def downgrade() -> None:
    op.drop_table("customer_erasure")
