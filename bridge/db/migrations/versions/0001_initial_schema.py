"""Initial schema. Table definitions are in `initial/*.sql`, one file for each part of Dust.

Locks: none, because all tables are new.
"""

from pathlib import Path

from alembic import op

from bridge.db.migrations.privileges import create_role, grant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INITIAL = Path(__file__).parents[1] / "initial"
# A correction of the ledger is a new row. A trigger refuses any other change, also by the owner of the tables.
APPEND_ONLY = ("dust_transaction", "dust_lot_use", "programme_version", "daily_close", "guest_escrow_entry")
# What `dust_app` may do with each table.
PRIVILEGES = {
    "SELECT, INSERT": (*APPEND_ONLY, "customer_erasure", "dust_bonus", "webhook_attempt"),
    "SELECT, INSERT, UPDATE": (
        "backfill_run",
        "currency",
        "customer_account",
        "customer_merge",
        "dust_balance",
        "dust_lot",
        "dust_redemption",
        "dust_redemption_code",
        "guest_escrow",
        "import_batch",
        "import_row",
        "last_run",
        "mailbox",
        "metric_total",
        "order_settlement",
        "reconcile_cursor",
        "referral",
        "task_retry",
        "webhook_event",
    ),
    "SELECT, INSERT, UPDATE, DELETE": (
        "cart_forecast",
        "dust_product",
        "expiry_announcement",
        "outgoing_webhook",
        "outgoing_sender",
        "order_former_owner",
        "programme_draft",
        "programme_simulation",
        "proved_email",
    ),
    "SELECT, INSERT, DELETE": ("email_key", "ledger_total", "outgoing_delivery", "referral_code", "test_clock"),
}


def upgrade() -> None:
    for file in sorted(INITIAL.glob("*.sql")):
        op.execute(file.read_text())
    forbid_changes()
    create_role()
    for privileges, tables in PRIVILEGES.items():
        grant(privileges, *tables)
    grant("SELECT", "alembic_version")


def downgrade() -> None:
    op.execute(f"DROP TABLE {', '.join(table for tables in PRIVILEGES.values() for table in tables)}")
    op.execute("DROP FUNCTION dust_forbid_change()")
    # The role stays, because other databases of this server may use it. It has no rights in this database any more.


def forbid_changes() -> None:
    """Add triggers that refuse UPDATE, DELETE and TRUNCATE."""
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
