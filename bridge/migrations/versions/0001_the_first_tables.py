"""The first tables.

Locks: none that anybody could wait for, everything is new.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


APP_ROLE = "dust_app"
APPEND_ONLY = ("dust_transaction", "dust_lot_use", "programme_version")
CHANGING = (
    "dust_balance",
    "dust_lot",
    "dust_product",
    "dust_redemption",
    "dust_redemption_code",
    "order_settlement",
    "reconcile_cursor",
    "webhook_event",
)


def upgrade() -> None:
    create_tables()
    forbid_changes()
    grant_least_privilege()


def downgrade() -> None:
    drop_tables()
    op.execute("DROP FUNCTION dust_forbid_change()")
    # The role stays: other databases of this server may use it, and without the tables it may do nothing here.


def forbid_changes() -> None:
    """The book is only ever added to: no update, delete or truncate, whoever asks, the owner included."""
    op.execute(
        """
        CREATE FUNCTION dust_forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: post a correction instead', TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation';
        END $$
        """
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION dust_forbid_change()"
        )
        op.execute(
            f"CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION dust_forbid_change()"
        )


def grant_least_privilege() -> None:
    """A role that can do what Dust does all day and nothing more; connections step down to it.

    Where the migrating user may not make roles, connections go on as that user, and the triggers hold all the same.
    """
    op.execute(
        f"""
        DO $$
        BEGIN
            -- Another database of this server may be migrated at the same moment, and share the role.
            BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
                    CREATE ROLE {APP_ROLE} NOLOGIN;
                END IF;
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL;
            END;
            BEGIN
                IF NOT pg_has_role(current_user, '{APP_ROLE}', 'MEMBER') THEN
                    EXECUTE format('GRANT {APP_ROLE} TO %I', current_user);
                END IF;
            EXCEPTION
                WHEN unique_violation OR internal_error THEN NULL;
            END;
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO {APP_ROLE}', current_schema());
            GRANT SELECT, INSERT ON {", ".join(APPEND_ONLY)} TO {APP_ROLE};
            GRANT SELECT, INSERT, UPDATE ON {", ".join(CHANGING)} TO {APP_ROLE};
            GRANT DELETE ON dust_product TO {APP_ROLE};
            GRANT SELECT ON alembic_version TO {APP_ROLE};
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'role {APP_ROLE} not set up: %', SQLERRM;
        END $$
        """  # noqa: S608 - names of our own, no input
    )


def create_tables() -> None:
    op.create_table(
        "dust_balance",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("balance", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("held", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pending", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("debt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("head", sa.LargeBinary(), server_default=sa.text("decode(repeat('00', 32), 'hex')"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("held <= balance + debt", name=op.f("ck_dust_balance_overdraft")),
        sa.CheckConstraint("held >= 0 AND pending >= 0 AND debt >= 0", name=op.f("ck_dust_balance_figures")),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_dust_balance")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_table(
        "dust_lot",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("origin_version", sa.BigInteger(), nullable=False),
        sa.Column("source_type", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("matured", sa.Boolean(), nullable=False),
        sa.Column("matures_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("0 <= held AND held <= remaining AND remaining <= amount", name=op.f("ck_dust_lot_figures")),
        sa.CheckConstraint("matured OR held = 0", name=op.f("ck_dust_lot_only_matured_is_held")),
        sa.PrimaryKeyConstraint("customer_id", "id", name=op.f("pk_dust_lot")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "ix_dust_lot_expiring",
        "dust_lot",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("remaining > held AND matured"),
    )
    op.create_index(
        "ix_dust_lot_maturing",
        "dust_lot",
        ["matures_at"],
        unique=False,
        postgresql_where=sa.text("remaining > 0 AND NOT matured"),
    )
    op.create_index(
        "ix_dust_lot_open", "dust_lot", ["customer_id"], unique=False, postgresql_where=sa.text("remaining > 0")
    )
    op.create_table(
        "dust_lot_use",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("lot_id", sa.Text(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "version", "lot_id", name=op.f("pk_dust_lot_use")),
    )
    op.create_index(op.f("ix_dust_lot_use_customer_id_lot_id"), "dust_lot_use", ["customer_id", "lot_id"], unique=False)
    op.create_table(
        "dust_product",
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("dust_only", sa.Boolean(), nullable=False),
        sa.Column("dust_price", sa.BigInteger(), nullable=True),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("mirrored_version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("mirror_error", sa.Text(), nullable=True),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("NOT dust_only OR dust_price IS NOT NULL", name=op.f("ck_dust_product_dust_only_has_price")),
        sa.CheckConstraint("dust_price > 0", name=op.f("ck_dust_product_price")),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_dust_product")),
    )
    op.create_table(
        "dust_redemption",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("dust", sa.BigInteger(), nullable=False),
        sa.Column("dust_captured", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("value", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("currency_code", sa.Text(), nullable=True),
        sa.Column("cart_id", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("programme_version", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("first_answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("release_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'active', 'captured', 'released', 'failed')", name=op.f("ck_dust_redemption_state")
        ),
        sa.CheckConstraint(
            "0 < dust AND 0 <= dust_captured AND dust_captured <= dust", name=op.f("ck_dust_redemption_figures")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dust_redemption")),
        sa.UniqueConstraint(
            "customer_id", "idempotency_key", name=op.f("uq_dust_redemption_customer_id_idempotency_key")
        ),
    )
    op.create_index(op.f("ix_dust_redemption_customer_id_id"), "dust_redemption", ["customer_id", "id"], unique=False)
    op.create_index(
        "ix_dust_redemption_due",
        "dust_redemption",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_dust_redemption_order_id"), "dust_redemption", ["order_id"], unique=False)
    op.create_table(
        "dust_transaction",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reference_type", sa.Text(), nullable=False),
        sa.Column("reference_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("balance_after", sa.BigInteger(), nullable=False),
        sa.Column("held_after", sa.BigInteger(), nullable=False),
        sa.Column("pending_after", sa.BigInteger(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("programme_version", sa.Integer(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "type = CASE sign(amount) WHEN 1 THEN 'credit' WHEN -1 THEN 'debit' ELSE 'memo' END",
            name=op.f("ck_dust_transaction_type"),
        ),
        sa.PrimaryKeyConstraint("customer_id", "version", name=op.f("pk_dust_transaction")),
        sa.UniqueConstraint(
            "customer_id", "idempotency_key", name=op.f("uq_dust_transaction_customer_id_idempotency_key")
        ),
    )
    op.create_index(
        op.f("ix_dust_transaction_customer_id_reference_type_reference_id"),
        "dust_transaction",
        ["customer_id", "reference_type", "reference_id"],
        unique=False,
    )
    op.create_table(
        "order_settlement",
        sa.Column("order_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("guest", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("facts_version", sa.Integer(), nullable=True),
        sa.Column("facts_updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("programme_version", sa.Integer(), nullable=True),
        sa.Column("earning_due", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("booked", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("waived", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("booked >= 0 AND waived >= 0", name=op.f("ck_order_settlement_figures")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_order_settlement")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(op.f("ix_order_settlement_customer_id"), "order_settlement", ["customer_id"], unique=False)
    op.create_table(
        "programme_version",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_programme_version")),
    )
    op.create_table(
        "reconcile_cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seen_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reconcile_cursor")),
    )
    op.create_table(
        "webhook_event",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'pending') = (next_attempt_at IS NOT NULL)", name=op.f("ck_webhook_event_pending_is_due")
        ),
        sa.CheckConstraint("state IN ('pending', 'handled', 'ignored', 'failed')", name=op.f("ck_webhook_event_state")),
        sa.CheckConstraint(
            "state NOT IN ('failed', 'ignored') OR reason IS NOT NULL", name=op.f("ck_webhook_event_says_why")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_event")),
        postgresql_with={"fillfactor": "85"},
    )
    op.create_index(
        "ix_webhook_event_due",
        "webhook_event",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_webhook_event_failed",
        "webhook_event",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.create_index(op.f("ix_webhook_event_received_at_id"), "webhook_event", ["received_at", "id"], unique=False)
    op.create_index(op.f("ix_webhook_event_subject"), "webhook_event", ["subject"], unique=False)
    op.create_table(
        "dust_redemption_code",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("redemption_id", sa.Text(), nullable=False),
        sa.Column("dust", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("product_id", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=True),
        sa.Column("promotion_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(product_id IS NULL) = (quantity IS NULL)", name=op.f("ck_dust_redemption_code_product_has_quantity")
        ),
        sa.ForeignKeyConstraint(
            ["redemption_id"],
            ["dust_redemption.id"],
            name=op.f("fk_dust_redemption_code_redemption_id_dust_redemption"),
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_dust_redemption_code")),
    )
    op.create_index(
        op.f("ix_dust_redemption_code_redemption_id"), "dust_redemption_code", ["redemption_id"], unique=False
    )


def drop_tables() -> None:
    op.drop_index(op.f("ix_dust_redemption_code_redemption_id"), table_name="dust_redemption_code")
    op.drop_table("dust_redemption_code")
    op.drop_index(op.f("ix_webhook_event_subject"), table_name="webhook_event")
    op.drop_index(op.f("ix_webhook_event_received_at_id"), table_name="webhook_event")
    op.drop_index("ix_webhook_event_failed", table_name="webhook_event", postgresql_where=sa.text("state = 'failed'"))
    op.drop_index("ix_webhook_event_due", table_name="webhook_event", postgresql_where=sa.text("state = 'pending'"))
    op.drop_table("webhook_event")
    op.drop_table("reconcile_cursor")
    op.drop_table("programme_version")
    op.drop_index(op.f("ix_order_settlement_customer_id"), table_name="order_settlement")
    op.drop_table("order_settlement")
    op.drop_index(op.f("ix_dust_transaction_customer_id_reference_type_reference_id"), table_name="dust_transaction")
    op.drop_table("dust_transaction")
    op.drop_index(op.f("ix_dust_redemption_order_id"), table_name="dust_redemption")
    op.drop_index(
        "ix_dust_redemption_due", table_name="dust_redemption", postgresql_where=sa.text("next_attempt_at IS NOT NULL")
    )
    op.drop_index(op.f("ix_dust_redemption_customer_id_id"), table_name="dust_redemption")
    op.drop_table("dust_redemption")
    op.drop_table("dust_product")
    op.drop_index(op.f("ix_dust_lot_use_customer_id_lot_id"), table_name="dust_lot_use")
    op.drop_table("dust_lot_use")
    op.drop_index("ix_dust_lot_open", table_name="dust_lot", postgresql_where=sa.text("remaining > 0"))
    op.drop_index(
        "ix_dust_lot_maturing", table_name="dust_lot", postgresql_where=sa.text("remaining > 0 AND NOT matured")
    )
    op.drop_index(
        "ix_dust_lot_expiring", table_name="dust_lot", postgresql_where=sa.text("remaining > held AND matured")
    )
    op.drop_table("dust_lot")
    op.drop_table("dust_balance")
