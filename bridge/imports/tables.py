"""Tables of imports, row by row: enough to continue after a kill, to report each line's result, and to undo it.

Rows hold ids, dates and points, never an e-mail address.
"""

from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, Index, Integer, Table, Text, text

from bridge.db import metadata
from bridge.db.types import EnumText, one_of


class BatchState(StrEnum):
    POSTING = "posting"
    POSTED = "posted"
    UNDOING = "undoing"
    UNDONE = "undone"


class RowState(StrEnum):
    WAITING = "waiting"
    POSTED = "posted"
    # Not imported, with the reason; only if the operator asked to import the valid rows anyway.
    REFUSED = "refused"
    UNDONE = "undone"
    # It was still waiting when its batch was undone.
    DROPPED = "dropped"


import_batch = Table(
    "import_batch",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("preset", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("file_sha256", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("state", EnumText(BatchState), nullable=False),
    Column("actor", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    one_of("state", BatchState),
    # A name can be used again once its batch is undone.
    Index("uq_import_batch_name", "name", unique=True, postgresql_where=text("state <> 'undone'")),
)

import_row = Table(
    "import_row",
    metadata,
    Column("batch_id", Text, ForeignKey("import_batch.id"), primary_key=True),
    # The line of the file on which the row begins.
    Column("line", Integer, primary_key=True),
    Column("customer_id", Text),
    Column("state", EnumText(RowState), nullable=False),
    Column("amount", BigInteger, nullable=False, server_default="0"),
    Column("earned_at", DateTime(timezone=True)),
    Column("matures_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    # If refused: which column is wrong and what to do.
    Column("field", Text),
    Column("reason", Text),
    # The points that an undo took back, those that had expired, and those that were spent or on hold. A customer's
    # first row has the sums for all of the customer's rows.
    Column("taken_back", BigInteger, nullable=False, server_default="0"),
    Column("expired", BigInteger, nullable=False, server_default="0"),
    Column("gone", BigInteger, nullable=False, server_default="0"),
    one_of("state", RowState),
    CheckConstraint("(state = 'refused') = (reason IS NOT NULL)", name="says_why"),
    CheckConstraint("state = 'refused' OR (customer_id IS NOT NULL AND amount > 0)", name="says_who_and_how_much"),
    Index("ix_import_row_waiting", "batch_id", "line", postgresql_where=text("state = 'waiting'")),
    Index("ix_import_row_posted", "batch_id", "customer_id", postgresql_where=text("state = 'posted'")),
    Index(None, "customer_id"),
)
