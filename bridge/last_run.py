"""When something regular was last done and what came of it, a row each: beat shows here that it is alive."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, DateTime, Table, Text, select
from sqlalchemy.dialects.postgresql import JSONB, insert

from bridge.db import metadata

last_run = Table(
    "last_run",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("result", JSONB, nullable=False),
)

# Runs once a minute and by the clock alone, unlike the sweep of the inbox, which every webhook calls for.
EVERY_MINUTE = "every_minute"
AUDIT = "audit"


@dataclass(frozen=True, kw_only=True)
class Run:
    at: datetime
    result: Mapping[str, Any]


def note_run(connection: Connection, name: str, result: Mapping[str, Any], *, now: datetime) -> None:
    """Remember this run in place of the one before."""
    statement = insert(last_run).values(name=name, at=now, result=result)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"], set_={"at": statement.excluded.at, "result": statement.excluded.result}
        )
    )


def read_runs(connection: Connection) -> dict[str, Run]:
    """Every run by its name; one that never was is missing."""
    return {row.name: Run(at=row.at, result=row.result) for row in connection.execute(select(last_run))}
