"""Imports of balances, row by row.

Locks: none that anybody could wait for, the tables are new.
"""

import sqlalchemy as sa
from alembic import op

from bridge.migrations.privileges import grant

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "import_batch",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("preset", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('posting', 'posted', 'undoing', 'undone')", name=op.f("ck_import_batch_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_import_batch")),
    )
    op.create_index(
        "uq_import_batch_name",
        "import_batch",
        ["name"],
        unique=True,
        postgresql_where=sa.text("state <> 'undone'"),
    )
    op.create_table(
        "import_row",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("earned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("matures_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("taken_back", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("gone", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'posted', 'refused', 'undone', 'dropped')", name=op.f("ck_import_row_state")
        ),
        sa.CheckConstraint("(state = 'refused') = (reason IS NOT NULL)", name=op.f("ck_import_row_says_why")),
        sa.CheckConstraint(
            "state = 'refused' OR (customer_id IS NOT NULL AND amount > 0)",
            name=op.f("ck_import_row_says_who_and_how_much"),
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["import_batch.id"], name=op.f("fk_import_row_batch_id_import_batch")),
        sa.PrimaryKeyConstraint("batch_id", "line", name=op.f("pk_import_row")),
    )
    op.create_index(
        "ix_import_row_waiting", "import_row", ["batch_id", "line"], postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index(
        "ix_import_row_posted", "import_row", ["batch_id", "customer_id"], postgresql_where=sa.text("state = 'posted'")
    )
    op.create_index(op.f("ix_import_row_customer_id"), "import_row", ["customer_id"])
    grant("SELECT, INSERT, UPDATE", "import_batch", "import_row")


def downgrade() -> None:
    op.drop_table("import_row")
    op.drop_table("import_batch")
