"""Initial schema. Table definitions are in `initial/*.sql`, one file for each part of Dust.

Locks: none, because all tables are new.
"""

from pathlib import Path

from alembic import op

from bridge.db import APP_ROLE
from bridge.db.migrations.privileges import grant

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


def create_role() -> None:
    """Create the role that serves requests and let the migrating user serve as it (`SET ROLE`).

    Without the right to create roles, Dust serves as the migrating user. The triggers protect the ledger there too.
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
                -- From Postgres 16 on, a user with CREATEROLE may grant a role that it created, but not use it.
                IF current_setting('server_version_num')::int >= 160000 THEN
                    IF NOT pg_has_role(current_user, '{APP_ROLE}', 'SET') THEN
                        EXECUTE format('GRANT {APP_ROLE} TO %I WITH SET TRUE, INHERIT FALSE', current_user);
                    END IF;
                END IF;
            EXCEPTION
                WHEN unique_violation OR internal_error THEN NULL;
            END;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE 'role {APP_ROLE} not set up: %', SQLERRM;
        END $$
        """  # noqa: S608 - only constants
    )
    op.execute(
        f"""
        DO $$
        BEGIN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO {APP_ROLE}', current_schema());
        EXCEPTION
            WHEN undefined_object OR insufficient_privilege THEN NULL;
        END $$
        """
    )
