"""Admin API: what orders of the past would have earned by another programme. A worker computes it."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Response
from pydantic import BaseModel, Field

from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import field_error
from bridge.http.auth import AdminOperator
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, FromAttributes, PathId
from bridge.http.thread_limits import FOR_OPERATORS
from bridge.medusa.times import StorableIsoTime
from bridge.queue.enqueue import SIMULATIONS_RUN, enqueue
from bridge.redemptions.programme_document import read_document
from bridge.simulation.requests import Simulation, read_simulation, request_simulation
from bridge.simulation.tables import SimulationState

# There was no Medusa before, and Postgres and Python do not agree about the first years.
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

router = admin_router("/programme")


class SimulationRequest(Body):
    """A programme to compare with the one in force, and the orders to compare them with."""

    document: Annotated[dict[str, Any], Field(description="The programme document; missing keys get their defaults")]
    since: Annotated[StorableIsoTime, Field(description="Only orders placed at this time or later")]
    until: StorableIsoTime | None = Field(None, description="Only orders placed before this time; default: now")


class SimulatedSlice(BaseModel):
    """Some of the orders, and the whole points that they earn by the programme in force and by the other one."""

    name: str = Field(description="The month, the currency or the rule")
    orders: int
    now: int
    then: int
    difference: int


class AffectedOrder(BaseModel):
    order_id: str
    customer_id: str | None
    placed_at: datetime
    currency_code: str
    now: int
    then: int
    difference: int


class SimulationResult(BaseModel):
    since: datetime
    until: datetime
    present_version: int = Field(description="The version of the programme that was in force")
    orders: int
    now: int = Field(description="Points that the orders earn by the programme in force")
    then: int = Field(description="Points that they would earn by the other programme")
    difference: int
    changed: int = Field(description="Number of orders that would earn another number of points")
    customers: int = Field(description="Number of their customers")
    by_month: list[SimulatedSlice]
    by_currency: list[SimulatedSlice]
    by_rule: list[SimulatedSlice]
    most_affected: list[AffectedOrder] = Field(description="Orders with the largest differences")
    unreadable: list[str] = Field(description="Orders that could not be read and are left out")
    limits_and_tiers_begin_at_nothing: bool = Field(
        description="Whether limits or tiers miss what customers had before `since`: then start earlier"
    )


class SimulationResponse(FromAttributes):
    id: str
    state: SimulationState
    since: datetime
    until: datetime
    result: SimulationResult | None = Field(description="Null until the state is `done`")
    reason: str | None = Field(description="Why it failed, or why it has to start again")
    actor: str = Field(description="Who requested it")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@router.post("/simulate", status_code=202, responses=describe_problems(400, 409, 422, 503))
async def simulate_programme(
    body: SimulationRequest, operator: AdminOperator, response: Response
) -> SimulationResponse:
    """Request a simulation: what orders of the past would have earned by this programme. Nothing else changes.

    It takes minutes. The answer's `Location` is where to ask for its state and result. They are kept for 30 days.
    """
    simulation = await FOR_OPERATORS.run(_request, body, operator)
    enqueue(SIMULATIONS_RUN)
    response.headers["Location"] = f"{router.prefix}/simulations/{simulation.id}"
    return SimulationResponse.model_validate(simulation)


def _request(body: SimulationRequest, operator: str) -> Simulation:
    moment = now()
    until = body.until or moment
    if body.since < _EARLIEST:
        raise field_error("since", f"must be {_EARLIEST:%Y-%m-%d} or later")
    if body.since >= until:
        raise field_error("since", "must be before until" if body.until else "must be in the past")
    programme = read_document(body.document)
    with transaction() as connection:
        return request_simulation(
            connection, programme, since=body.since, until=until, actor=operator, now=moment
        )  # fmt: skip


@router.get("/simulations/{simulation_id}", responses=describe_problems(404, 422))
def read_programme_simulation(simulation_id: PathId) -> SimulationResponse:
    """Return a simulation with its state, and its result once it is done."""
    with transaction() as connection:
        return SimulationResponse.model_validate(read_simulation(connection, simulation_id))
