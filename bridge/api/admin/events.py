"""Admin API: the events of the inbox."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field, StringConstraints

from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.http.auth import AdminOperator
from bridge.http.paging import Cursor, Limit, Listing, decode_cursor, split_page
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, EventId, FromAttributes, Id
from bridge.inbox.attempts import read_history
from bridge.inbox.list_filter import EventFilter
from bridge.inbox.queries import list_events, list_failure_causes, read_event_row
from bridge.inbox.retry import retry_all, retry_event
from bridge.inbox.tables import EventState, Outcome
from bridge.medusa.times import IsoTime
from bridge.queue.enqueue import INBOX_DRAIN, enqueue

router = admin_router()

_MAX_CAUSES = 100


class EventResponse(FromAttributes):
    id: str
    type: str
    subject: str | None
    source: str
    state: EventState
    attempts: int
    error_code: str | None
    reason: str | None
    event_at: datetime
    received_at: datetime
    next_attempt_at: datetime | None
    handled_at: datetime | None


class AttemptResponse(FromAttributes):
    at: datetime
    outcome: Outcome
    attempt: int = Field(description="Number of the attempt, counted from the last requested retry")
    error_code: str | None
    reason: str | None
    actor: str | None = Field(description="Who requested the retry")


class EventDetail(EventResponse):
    body: str = Field(description="The raw body as received")
    history: list[AttemptResponse] = Field(description="Failed attempts and retries, oldest first")


class EventListResponse(BaseModel):
    events: list[EventResponse]
    next_cursor: str | None


class CauseResponse(FromAttributes):
    """Failed events with the same type and error code."""

    type: str
    error_code: str | None
    events: int
    reason: str | None = Field(description="That of one of these events")
    oldest_received_at: datetime
    newest_received_at: datetime


class CauseListResponse(BaseModel):
    causes: list[CauseResponse]


class RetryResponse(BaseModel):
    id: str
    retried: bool
    message: str


# Event types and error codes use only these characters. Some others (NUL) would be an error in Postgres.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]


class RetryRequest(Body):
    """Filter for failed events. An empty filter selects all of them."""

    type: Name | None = None
    subject: Id | None = None
    code: Annotated[Name | None, Field(description="The `error_code`")] = None
    without_code: bool = Field(False, description="Only events without an `error_code`")
    since: IsoTime | None = Field(None, description="Only events received at this time or later")
    until: IsoTime | None = Field(None, description="Only events received before this time")


class RetryManyResponse(BaseModel):
    retried: int
    message: str


@router.get("/events", responses=describe_problems(422))
def read_events(
    limit: Limit = 20,
    cursor: Cursor = None,
    state: EventState | None = None,
    type: Annotated[Name | None, Query()] = None,
    subject: Annotated[Id | None, Query(description="Id of the order, customer, …")] = None,
    code: Annotated[Name | None, Query(description="The `error_code`")] = None,
    since: Annotated[IsoTime | None, Query(description="Only events received at this time or later")] = None,
    until: Annotated[IsoTime | None, Query(description="Only events received before this time")] = None,
) -> EventListResponse:
    """List the events of the inbox, newest first."""
    only = EventFilter(state=state, type=type, subject=subject, code=code, since=since, until=until)
    with transaction() as connection:
        events = list_events(connection, only, before=decode_cursor(Listing.EVENTS, cursor), limit=limit + 1)
    page, following = split_page(Listing.EVENTS, events, limit, lambda event: event.position)
    return EventListResponse(events=page, next_cursor=following)


@router.post("/events/retry", name="retry_events", status_code=202, responses=describe_problems(400, 422))
def retry_many(operator: AdminOperator, body: RetryRequest | None = None) -> RetryManyResponse:
    """Retry failed events: all of them, or those that match the filter. Repeating the request is harmless."""
    retried = 0
    for number in retry_all(EventFilter(**(body or RetryRequest()).model_dump()), actor=operator):
        retried += number
        enqueue(INBOX_DRAIN)
    return RetryManyResponse(retried=retried, message=f"{retried} events will be handled again.")


@router.get("/events/causes")
def read_causes() -> CauseListResponse:
    """Return why events have failed, the most frequent cause first, with the number of events of each."""
    with transaction() as connection:
        return CauseListResponse(causes=list_failure_causes(connection, limit=_MAX_CAUSES))


@router.get("/events/{event_id:path}", responses=describe_problems(404, 422))
def read_one_event(event_id: EventId) -> EventDetail:
    """Return one event with its raw body and its history."""
    with transaction() as connection:
        event = read_event_row(connection, event_id)
        history = read_history(connection, event_id)
    body = event.payload.decode("utf-8", "replace")
    return EventDetail.model_validate({**vars(event), "body": body, "history": history})


@router.post(
    "/events/{event_id:path}/retry", name="retry_event", status_code=202, responses=describe_problems(404, 422)
)
def retry(event_id: EventId, operator: AdminOperator) -> RetryResponse:
    """Retry a failed event. Events in other states do not change."""
    with transaction() as connection:
        retried = retry_event(connection, event_id, now=now(), actor=operator)
    if retried:
        enqueue(INBOX_DRAIN)
    message = "It will be handled again." if retried else "Nothing to do: it has not failed."
    return RetryResponse(id=event_id, retried=retried, message=message)
