"""Simulations that a merchant requests over HTTP. A worker runs them, because they read months of orders from Medusa.

    pending → running → done, or failed with a reason

The row is the truth: a lost message only delays a simulation until the next sweep. If a worker dies, another one starts
its simulation again after `MAX_SECONDS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic_core import to_jsonable_python
from sqlalchemy import Connection, delete, func, insert, or_, select, update

from bridge.clock import now
from bridge.db import transaction
from bridge.db.advisory_locks import lock_names
from bridge.db.rows import TypedRow
from bridge.errors import Conflict, DustError, NotFound, Unavailable
from bridge.ids import new_id
from bridge.medusa.client import Medusa
from bridge.programme.fields import STORED
from bridge.programme.rules import Programme
from bridge.programme.versions import current_version
from bridge.simulation.compare import as_document, compare
from bridge.simulation.tables import SimulationState, programme_simulation

log = structlog.get_logger(__name__)

MAX_OPEN = 5
MAX_ATTEMPTS = 3
MAX_SECONDS = 3600
KEPT_FOR = timedelta(days=30)
_MAX_AFFECTED = 20
_GAVE_UP = f"It was started {MAX_ATTEMPTS} times and did not end. Please request it for a later `since`."


class TooManySimulations(Conflict):
    """`MAX_OPEN` simulations wait or run already."""

    code = "too_many_simulations"
    message = f"{MAX_OPEN} simulations are waiting or running. Please wait until one of them is done."


class UnknownSimulation(NotFound):
    """There is no simulation with this id. They are deleted after 30 days."""

    code = "unknown_simulation"
    message = f"There is no such simulation. Simulations are kept for {KEPT_FOR.days} days."


@dataclass(frozen=True, kw_only=True)
class Simulation(TypedRow):
    """A requested simulation. `result` is as `compare.as_document` returns it."""

    id: str
    state: SimulationState
    document: dict[str, Any]
    since: datetime
    until: datetime
    attempts: int
    result: dict[str, Any] | None
    reason: str | None
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def request_simulation(
    connection: Connection, programme: Programme, *, since: datetime, until: datetime, actor: str, now: datetime
) -> Simulation:
    """Store a request; then enqueue the task that runs it. Raises `TooManySimulations`."""
    table = programme_simulation.c
    connection.execute(delete(programme_simulation).where(table.created_at < now - KEPT_FOR))
    count = select(func.count()).where(table.state.in_([SimulationState.PENDING, SimulationState.RUNNING]))
    if connection.scalars(count).one() >= MAX_OPEN:
        raise TooManySimulations
    row = connection.execute(
        insert(programme_simulation)
        .values(
            id=new_id("dsim"),
            state=SimulationState.PENDING,
            document=programme.document(),
            since=since,
            until=until,
            actor=actor,
            created_at=now,
        )
        .returning(programme_simulation)
    ).one()
    return Simulation.from_row(row)


def read_simulation(connection: Connection, simulation_id: str) -> Simulation:
    """Return a simulation. Raises `UnknownSimulation`."""
    query = select(programme_simulation).where(programme_simulation.c.id == simulation_id)
    return Simulation.read_one(connection, query, otherwise=UnknownSimulation())


def run_next(get_medusa: Callable[[], Medusa]) -> bool:
    """Run the oldest simulation that waits; return False if none does, or if Medusa is unavailable.

    It then waits for the next sweep. After `MAX_ATTEMPTS` it has failed.
    """
    with transaction() as connection:
        simulation = _start(connection, now=now())
    if simulation is None:
        return False
    try:
        result = _run(simulation, get_medusa())
    except Unavailable as error:
        again = simulation.attempts < MAX_ATTEMPTS
        log.warning("simulation_rescheduled" if again else "simulation_failed", id=simulation.id, reason=error.message)
        _end(simulation, SimulationState.PENDING if again else SimulationState.FAILED, reason=error.message)
        return False
    except DustError as error:
        log.warning("simulation_failed", id=simulation.id, reason=error.message)
        _end(simulation, SimulationState.FAILED, reason=error.message)
    except Exception:
        _end(simulation, SimulationState.FAILED, reason="Dust had an internal error. It was logged.")
        raise
    else:
        _end(simulation, SimulationState.DONE, result=result)
    return True


def _start(connection: Connection, *, now: datetime) -> Simulation | None:
    """Start one, unless another is running: they take long, and share their workers with other tasks."""
    table = programme_simulation.c
    lock_names(connection, ["programme_simulation"])
    running = table.state == SimulationState.RUNNING
    abandoned = running & (table.started_at < now - timedelta(seconds=MAX_SECONDS))
    if connection.scalar(select(func.count()).where(running, ~abandoned)):
        return None
    query = (
        select(table.id, table.attempts)
        .where(or_(table.state == SimulationState.PENDING, abandoned))
        .order_by(table.created_at)
        .limit(1)
        .with_for_update()
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    change = update(programme_simulation).where(table.id == row.id)
    if row.attempts >= MAX_ATTEMPTS:
        connection.execute(change.values(state=SimulationState.FAILED, reason=_GAVE_UP, finished_at=now))
        return None
    started = change.values(state=SimulationState.RUNNING, attempts=row.attempts + 1, started_at=now)
    return Simulation.from_row(connection.execute(started.returning(programme_simulation)).one())


def _run(simulation: Simulation, medusa: Medusa) -> dict[str, Any]:
    changed = Programme.model_validate(simulation.document, context=STORED)
    with transaction() as connection:
        present = current_version(connection)
    comparison = compare(
        medusa.orders_placed_since(simulation.since),
        present.programme,
        changed,
        since=simulation.since,
        until=simulation.until,
        now=now(),
        top=_MAX_AFFECTED,
    )
    document: dict[str, Any] = to_jsonable_python(as_document(comparison, present, changed))
    return document


def _end(
    simulation: Simulation, state: SimulationState, *, result: dict[str, Any] | None = None, reason: str | None = None
) -> None:
    """Store the end of an attempt, unless another worker has taken the simulation over."""
    table = programme_simulation.c
    with transaction() as connection:
        connection.execute(
            update(programme_simulation)
            .where(table.id == simulation.id, table.state == SimulationState.RUNNING)
            .where(table.attempts == simulation.attempts)
            .values(
                state=state,
                result=result,
                reason=reason,
                finished_at=None if state is SimulationState.PENDING else now(),
            )
        )
