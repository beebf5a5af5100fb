"""The ledger's tables. Every key starts with the customer, so that the ledger can be sharded by customer."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from bridge.db import metadata
from bridge.db.types import EnumText
from bridge.ledger.postings import Kind

dust_balance = Table(
    "dust_balance",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("balance", BigInteger, nullable=False, server_default="0"),
    Column("held", BigInteger, nullable=False, server_default="0"),
    Column("pending", BigInteger, nullable=False, server_default="0"),
    Column("debt", BigInteger, nullable=False, server_default="0"),
    # Points that reversals left with the customer under `within_balance`. Refunds of a spend pay for them.
    Column("waived", BigInteger, nullable=False, server_default="0"),
    # When points were last waived; null: never.
    Column("waived_at", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False, server_default="0"),
    Column("head", LargeBinary, nullable=False, server_default=text("decode(repeat('00', 32), 'hex')")),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    CheckConstraint("held >= 0 AND pending >= 0 AND debt >= 0 AND waived >= 0", name="figures"),
    # Without debt, the balance covers the points on hold: the database's own guard against overspending.
    CheckConstraint("held <= balance + debt", name="overdraft"),
    Index("ix_dust_balance_in_debt", "debt", postgresql_where=text("debt > 0")),
    # Balances change with every event. Free space in the page allows HOT updates, which touch no index.
    postgresql_with={"fillfactor": "70"},
)

dust_transaction = Table(
    "dust_transaction",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("kind", EnumText(Kind), nullable=False),
    Column("reference_type", Text, nullable=False),
    Column("reference_id", Text, nullable=False),
    # The order that the points of a redemption were spent on or given back for; null for everything else.
    Column("order_id", Text),
    Column("description", Text, nullable=False),
    Column("balance_after", BigInteger, nullable=False),
    Column("held_after", BigInteger, nullable=False),
    Column("pending_after", BigInteger, nullable=False),
    Column("idempotency_key", Text),
    Column("programme_version", Integer),
    Column("actor", Text, nullable=False),
    Column("event_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("type = CASE sign(amount) WHEN 1 THEN 'credit' WHEN -1 THEN 'debit' ELSE 'memo' END", name="type"),
    # Hardly a row has a key: what follows from orders is kept from happening twice by the orders' own rows.
    Index(
        "uq_dust_transaction_idempotency_key",
        "customer_id",
        "idempotency_key",
        unique=True,
        postgresql_where=text("idempotency_key IS NOT NULL"),
    ),
    # Rows of orders, nearly all rows, are never looked up by reference.
    Index(
        "ix_dust_transaction_reference",
        "customer_id",
        "reference_id",
        postgresql_where=text("reference_type IN ('redemption', 'merge')"),
    ),
)

dust_lot = Table(
    "dust_lot",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("origin_version", BigInteger, nullable=False),
    Column("source_type", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("matured", Boolean, nullable=False),
    Column("matures_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("0 <= held AND held <= remaining AND remaining <= amount", name="figures"),
    CheckConstraint("matured OR held = 0", name="only_matured_is_held"),
    Index("ix_dust_lot_open", "customer_id", postgresql_where=text("remaining > 0")),
    Index(
        "ix_dust_lot_expiring",
        "expires_at",
        postgresql_where=text("remaining > held AND matured AND expires_at IS NOT NULL"),
    ),
    Index("ix_dust_lot_maturing", "matures_at", postgresql_where=text("remaining > 0 AND NOT matured")),
    postgresql_with={"fillfactor": "80"},
)

dust_lot_use = Table(
    "dust_lot_use",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("lot_id", Text, primary_key=True),
    Column("remaining", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
)

# Lots whose expiry was announced by an outgoing webhook, so that each is announced once. Deleted when the lot expires.
expiry_announcement = Table(
    "expiry_announcement",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("lot_id", Text, primary_key=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index(None, "expires_at"),
)

# Merges of two accounts of one person. Until it is undone, points that come into the first are carried over to the
# survivor.
customer_merge = Table(
    "customer_merge",
    metadata,
    Column("id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    Column("survivor_id", Text, nullable=False, index=True),
    Column("merged_at", DateTime(timezone=True), nullable=False),
    Column("merged_by", Text, nullable=False),
    Column("unmerged_at", DateTime(timezone=True)),
    Column("unmerged_by", Text),
    CheckConstraint("customer_id <> survivor_id", name="two_customers"),
    # An account can be merged into one other at a time.
    Index("uq_customer_merge_active", "customer_id", unique=True, postgresql_where=text("unmerged_at IS NULL")),
)

# Sums of `dust_transaction` by kind, so that a total for the whole shop needs no scan. Each `save` inserts its own rows
# in its own transaction, so the sums are exact and no writer waits: a single row of totals would serialise all writers.
# `totals.fold` merges the rows of a minute.
ledger_total = Table(
    "ledger_total",
    metadata,
    Column("kind", EnumText(Kind), nullable=False),
    Column("postings", BigInteger, nullable=False),
    Column("credited", BigInteger, nullable=False),
    Column("debited", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
)
