"""The ledger's tables. Every key starts with the customer, so that the ledger can be spread over machines by it."""

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

dust_balance = Table(
    "dust_balance",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("balance", BigInteger, nullable=False, server_default="0"),
    Column("held", BigInteger, nullable=False, server_default="0"),
    Column("pending", BigInteger, nullable=False, server_default="0"),
    Column("debt", BigInteger, nullable=False, server_default="0"),
    # What reversals left with the customer under `within_balance`. What comes back from a spend pays for it.
    Column("waived", BigInteger, nullable=False, server_default="0"),
    Column("version", BigInteger, nullable=False, server_default="0"),
    Column("head", LargeBinary, nullable=False, server_default=text("decode(repeat('00', 32), 'hex')")),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    CheckConstraint("held >= 0 AND pending >= 0 AND debt >= 0 AND waived >= 0", name="figures"),
    # Without debt, what is held is covered by the balance: the database's own last word against overspending.
    CheckConstraint("held <= balance + debt", name="overdraft"),
    Index("ix_dust_balance_in_debt", "debt", postgresql_where=text("debt > 0")),
    # Balances change with every event; room in the page lets Postgres update in place, without touching an index.
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
    Column("kind", Text, nullable=False),
    Column("reference_type", Text, nullable=False),
    Column("reference_id", Text, nullable=False),
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
    # Nobody looks for the rows of an order here, and they are nearly all.
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

# Lots whose end was announced, so that each is announced once; gone when the lot is.
expiry_notice = Table(
    "expiry_notice",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("lot_id", Text, primary_key=True),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index(None, "expires_at"),
)

# Two accounts of one person. While it is not undone, whatever comes into the one is carried over to the other.
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

# What all of `dust_transaction` adds up to, by kind, so that a figure for the whole shop is no scan of the book. Each
# `save` adds rows of its own, in its own transaction and so exact, and waits for nobody: a single row of totals would
# make all writers queue up behind it. `totals.fold` adds the rows of a minute together.
ledger_total = Table(
    "ledger_total",
    metadata,
    Column("kind", Text, nullable=False),
    Column("postings", BigInteger, nullable=False),
    Column("credited", BigInteger, nullable=False),
    Column("debited", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
)
