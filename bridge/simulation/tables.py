"""The table of simulations that were requested over HTTP, with their results."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, DateTime, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from bridge.db import metadata
from bridge.db.types import EnumText, one_of


class SimulationState(StrEnum):
    """`pending` → `running` → `done` or `failed`. A running one whose worker died is `pending` again."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


programme_simulation = Table(
    "programme_simulation",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", EnumText(SimulationState), nullable=False),
    # The programme to compare with the one in force, and when the compared orders were placed.
    Column("document", JSONB, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    # Counts starts: after too many of them it has failed.
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("result", JSONB(none_as_null=True)),
    # Why it failed, as a sentence for the merchant.
    Column("reason", Text),
    Column("actor", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    one_of("state", SimulationState),
    CheckConstraint("(state = 'done') = (result IS NOT NULL)", name="result"),
    Index("ix_programme_simulation_open", "created_at", postgresql_where=text("state IN ('pending', 'running')")),
)
