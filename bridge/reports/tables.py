"""Table of the daily closes: written once, never changed."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, DateTime, Integer, LargeBinary, Table
from sqlalchemy.dialects.postgresql import JSONB

from bridge.db import metadata

daily_close = Table(
    "daily_close",
    metadata,
    # The day in UTC; its figures are those at its end.
    Column("day", Date, primary_key=True),
    Column("outstanding", BigInteger, nullable=False),
    Column("owed_by_customers", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("escrow", BigInteger, nullable=False),
    Column("customers", BigInteger, nullable=False),
    # By kind, since the beginning; by currency, the discount that the outstanding points could give.
    Column("movements", JSONB, nullable=False),
    Column("value", JSONB, nullable=False),
    Column("programme_version", Integer, nullable=False),
    # SHA-256 over the previous close's digest and the hash of every customer's newest row.
    Column("digest", LargeBinary, nullable=False),
    Column("closed_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("outstanding >= 0 AND owed_by_customers >= 0 AND held >= 0 AND pending >= 0", name="figures"),
)
