"""What operators watch: the history of events that failed, totals of the ledger, counters, when what last ran.

Locks: `webhook_event` for a moment (a column without a default); writes to `dust_transaction`, `dust_balance` and
`dust_redemption` wait while they are read once, for the totals and two small indexes.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from bridge.migrations.privileges import grant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_event", sa.Column("traceparent", sa.Text(), nullable=True))
    op.create_table(
        "webhook_attempt",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.CheckConstraint("outcome IN ('waits', 'failed', 'retried')", name=op.f("ck_webhook_attempt_outcome")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["webhook_event.id"], name=op.f("fk_webhook_attempt_event_id_webhook_event")
        ),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_webhook_attempt")),
    )
    op.create_table(
        "last_run",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_last_run")),
    )
    op.create_table(
        "metric_total",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_metric_total")),
        # A handful of rows, each written every few seconds: with room in the page none of these writes moves one.
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "ledger_total",
        sa.Column("kind", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("postings", "credited", "debited", "held", "pending")
        ),
    )
    add_up_the_ledger()
    op.create_index(
        "ix_dust_balance_in_debt", "dust_balance", ["debt"], unique=False, postgresql_where=sa.text("debt > 0")
    )
    op.create_index(
        "ix_dust_redemption_open",
        "dust_redemption",
        ["state", "expires_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'active')"),
    )
    grant("SELECT, INSERT", "webhook_attempt")
    grant("SELECT, INSERT, UPDATE", "last_run", "metric_total")
    grant("SELECT, INSERT, DELETE", "ledger_total")


def add_up_the_ledger() -> None:
    """The totals start from what is booked. Processes of before do not add to them: stop those before you migrate."""
    op.execute("LOCK TABLE dust_transaction IN SHARE MODE")
    op.execute(
        """
        INSERT INTO ledger_total (kind, postings, credited, debited, held, pending)
        SELECT kind, count(*), sum(greatest(amount, 0)), sum(greatest(-amount, 0)), sum(held), sum(pending)
        FROM dust_transaction GROUP BY kind
        """
    )


def downgrade() -> None:
    op.drop_index(
        "ix_dust_redemption_open",
        table_name="dust_redemption",
        postgresql_where=sa.text("state IN ('pending', 'active')"),
    )
    op.drop_index("ix_dust_balance_in_debt", table_name="dust_balance", postgresql_where=sa.text("debt > 0"))
    for table in ("ledger_total", "metric_total", "last_run", "webhook_attempt"):
        op.drop_table(table)
    op.drop_column("webhook_event", "traceparent")
