"""Customer accounts that were seen, and mailboxes that have had one.

Locks: none that anybody waits for; both tables are new.
"""

import sqlalchemy as sa
from alembic import op

from bridge.migrations.privileges import grant

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customer_account",
        sa.Column("customer_id", sa.Text(), nullable=False),
        sa.Column("has_account", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_customer_account")),
    )
    op.create_table(
        "mailbox",
        sa.Column("email_hash", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("email_hash", name=op.f("pk_mailbox")),
    )
    op.create_index(op.f("ix_mailbox_customer_id"), "mailbox", ["customer_id"])
    grant("SELECT, INSERT, UPDATE", "customer_account")
    grant("SELECT, INSERT, UPDATE", "mailbox")


def downgrade() -> None:
    # `replace-key` may have put several keys into one: the older code takes them for one longer key, which is harmless,
    # but would hash differently. Without a key it makes a new one.
    op.execute("DELETE FROM email_key WHERE length(key) > 32")
    op.execute("DELETE FROM proved_email WHERE NOT EXISTS (SELECT FROM email_key)")
    op.execute("UPDATE guest_escrow SET email_hash = NULL WHERE NOT EXISTS (SELECT FROM email_key)")
    op.drop_table("mailbox")
    op.drop_table("customer_account")
