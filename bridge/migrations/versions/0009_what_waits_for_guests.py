"""What waits for guests.

Locks: `order_settlement` for a moment, as columns without or with a constant default rewrite nothing; the new index
covers no row yet, but reads the table once, and writers wait for that. The other tables are new.
"""

import sqlalchemy as sa
from alembic import op

from bridge.migrations.privileges import grant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("order_settlement", sa.Column("buyer_id", sa.Text(), nullable=True))
    op.add_column("order_settlement", sa.Column("escrowed", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index(
        "ix_order_settlement_buyer_id",
        "order_settlement",
        ["buyer_id"],
        postgresql_where=sa.text("buyer_id IS NOT NULL"),
    )
    op.create_table(
        "guest_escrow",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("email_hash", sa.LargeBinary(), nullable=True),
        sa.Column("forgotten", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("dust", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'claimed', 'expired')", name=op.f("ck_guest_escrow_state")),
        sa.CheckConstraint(
            "dust >= 0 AND (state = 'waiting' OR dust = 0)", name=op.f("ck_guest_escrow_only_waiting_dust")
        ),
        sa.CheckConstraint(
            "(state = 'claimed') = (customer_id IS NOT NULL)", name=op.f("ck_guest_escrow_claimed_by_somebody")
        ),
        sa.CheckConstraint(
            "state = 'waiting' OR email_hash IS NULL", name=op.f("ck_guest_escrow_no_hash_without_need")
        ),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_guest_escrow")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "ix_guest_escrow_email_hash",
        "guest_escrow",
        ["email_hash"],
        postgresql_where=sa.text("email_hash IS NOT NULL"),
    )
    op.create_index(
        "ix_guest_escrow_due", "guest_escrow", ["expires_at"], postgresql_where=sa.text("state = 'waiting'")
    )  # fmt: skip
    op.create_index(op.f("ix_guest_escrow_customer_id"), "guest_escrow", ["customer_id"])
    op.create_table(
        "guest_escrow_entry",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_guest_escrow_entry_amount")),
        sa.CheckConstraint(
            "kind IN ('set_aside', 'taken_back', 'claimed', 'expired')", name=op.f("ck_guest_escrow_entry_kind")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guest_escrow_entry")),
    )
    op.create_index(op.f("ix_guest_escrow_entry_order_id"), "guest_escrow_entry", ["order_id"])
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON guest_escrow_entry "
        "FOR EACH ROW EXECUTE FUNCTION dust_forbid_change()"
    )
    op.execute(
        "CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON guest_escrow_entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION dust_forbid_change()"
    )
    op.create_table(
        "proved_email",
        sa.Column("email_hash", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("email_hash", name=op.f("pk_proved_email")),
    )
    op.create_index(op.f("ix_proved_email_customer_id"), "proved_email", ["customer_id"])
    op.create_table(
        "email_key",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_email_key_only_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_key")),
    )
    grant("SELECT, INSERT, UPDATE", "guest_escrow")
    grant("SELECT, INSERT", "guest_escrow_entry")
    grant("SELECT, INSERT, UPDATE, DELETE", "proved_email")
    grant("SELECT, INSERT, DELETE", "email_key")


def downgrade() -> None:
    op.drop_table("email_key")
    op.drop_table("proved_email")
    op.drop_table("guest_escrow_entry")
    op.drop_table("guest_escrow")
    op.drop_index("ix_order_settlement_buyer_id", table_name="order_settlement")
    op.drop_column("order_settlement", "escrowed")
    op.drop_column("order_settlement", "buyer_id")
