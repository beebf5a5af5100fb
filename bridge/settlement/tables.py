"""What is booked for each order, and the newest facts that were seen of it."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from bridge.db import metadata

order_settlement = Table(
    "order_settlement",
    metadata,
    Column("order_id", Text, primary_key=True),
    # Whom the earning is booked for; null until the order was first settled.
    Column("customer_id", Text),
    Column("guest", Boolean, nullable=False, server_default="false"),
    # The newest facts seen: older ones are ignored.
    Column("facts_version", Integer),
    Column("facts_updated_at", DateTime(timezone=True)),
    # The rules the order first met; they stay its rules.
    Column("programme_version", Integer),
    # What the programme waits for before the order earns has happened.
    Column("earning_due", Boolean, nullable=False, server_default="false"),
    # Dust in the ledger for this order, pending included, and what could not be taken back under `within_balance`.
    Column("booked", BigInteger, nullable=False, server_default="0"),
    Column("waived", BigInteger, nullable=False, server_default="0"),
    # What it would earn if its customer had no other order: limits that look at several make `booked` less than that.
    Column("worth", BigInteger),
    # Money spent on it by the programme's basis, as far as it is kept, and of which currency. Tiers may go by it.
    Column("spent", Numeric),
    Column("currency_code", Text),
    # The tier its customer had when it was first settled: `name` and `factor`.
    Column("tier", JSONB(none_as_null=True)),
    # By line id: its exact share before rounding, whether it is for dust alone (then it never earns), and what the
    # rules said of it when it was first settled: `factor`, and where there is something to say `multipliers` (names),
    # `fixed` (dust for each unit) and `excluded`.
    Column("lines", JSONB, nullable=False, server_default="{}"),
    # It has a product for dust alone that dust has not paid: made past the checkout's guard, by the merchant.
    Column("unpaid_dust_only", Boolean, nullable=False, server_default="false"),
    # Why it earns nothing, or less than it is worth, in plain words.
    Column("note", Text),
    Column("placed_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True)),
    CheckConstraint("booked >= 0 AND waived >= 0", name="figures"),
    Index(None, "customer_id"),
    Index("ix_order_settlement_unpaid", "order_id", postgresql_where=text("unpaid_dust_only")),
    postgresql_with={"fillfactor": "80"},
)
