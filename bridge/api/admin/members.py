"""Admin API: the list of members."""

from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import Query
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import Unavailable
from bridge.http.paging import Cursor, Limit, Listing, decode_cursor, invalid_cursor, split_page
from bridge.http.schemas import FromAttributes
from bridge.http.thread_limits import FOR_OPERATORS
from bridge.ids import CustomerId
from bridge.medusa.client import get_medusa
from bridge.medusa.times import IsoTime
from bridge.settlement.members import Member, MemberFilter, MemberSort, list_members

log = structlog.get_logger(__name__)

router = admin_router()

_MAX_FOUND_IN_MEDUSA = 100
_NOT_SEARCHED = "Medusa did not answer, so only customer ids were searched, not names and e-mail addresses."

Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


Points = Annotated[int, Field(ge=-(10**18), le=10**18)]


# The values in cursors, by what the members are sorted by.
_VALUES: dict[str, TypeAdapter[Any]] = {
    "balance": TypeAdapter(Points),
    "last_activity": TypeAdapter(AwareDatetime),
    "customer_id": TypeAdapter(str),
}


class MemberResponse(FromAttributes):
    customer_id: str
    balance: int = Field(description="Points that the customer owns; negative after a reversal of spent points")
    available: int = Field(description="Points that can be spent now")
    held: int
    pending: int
    tier: str | None = Field(description="Name of the tier; null below the first, or if the programme has no tiers")
    last_activity: datetime = Field(description="When a transaction was booked last")


class MemberListResponse(BaseModel):
    customers: list[MemberResponse]
    next_cursor: str | None
    warning: str | None = Field(description="What could not be searched, if anything")


@router.get("/customers")
async def read_members(
    q: Annotated[
        Word | None, Query(description="A part of the customer id, or of the name or e-mail address in Medusa")
    ] = None,
    tier: Annotated[Word | None, Query(description="Name of a tier of the programme in force")] = None,
    negative: Annotated[bool, Query(description="Only members whose balance is below zero")] = False,
    min_balance: Annotated[Points | None, Query(description="Only members with at least this balance")] = None,
    max_balance: Annotated[Points | None, Query(description="Only members with at most this balance")] = None,
    active_since: Annotated[
        IsoTime | None, Query(description="Only members whose last activity was at this time or later")
    ] = None,
    active_until: Annotated[
        IsoTime | None, Query(description="Only members whose last activity was before this time")
    ] = None,
    sort: Annotated[MemberSort, Query(description="What to sort by; with `-` downwards")] = MemberSort.ACTIVITY_DOWN,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> MemberListResponse:
    """List the members: customers who have or had points.

    Names and e-mail addresses are searched in Medusa, as Dust has none: at most 100 customers that match. While Medusa
    is unavailable, only ids are searched, and `warning` says so.
    """
    after = _decode(cursor, sort)
    customer_ids, warning = await _search(q) if q else ([], None)
    only = MemberFilter(
        text=q,
        or_ids=customer_ids,
        tier=tier,
        negative=negative,
        min_balance=min_balance,
        max_balance=max_balance,
        active_since=active_since,
        active_until=active_until,
    )
    members = await run_in_threadpool(_list, only, sort, after, limit + 1)
    page, following = split_page(Listing.CUSTOMERS, members, limit, lambda member: _position(member, sort))
    return MemberListResponse(customers=page, next_cursor=following, warning=warning)


async def _search(text: str) -> tuple[list[CustomerId], str | None]:
    try:
        return await FOR_OPERATORS.run(lambda: get_medusa().search_customers(text, limit=_MAX_FOUND_IN_MEDUSA)), None
    except Unavailable as error:
        log.warning("members_not_searched", code=error.code)
        return [], _NOT_SEARCHED


def _list(only: MemberFilter, sort: MemberSort, after: tuple[Any, str] | None, limit: int) -> list[Member]:
    with transaction() as connection:
        return list_members(connection, only, sort=sort, after=after, limit=limit, now=now())


def _position(member: Member, sort: MemberSort) -> str:
    value, customer_id = member.position(sort)
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"{sort} {text} {customer_id}"


def _decode(cursor: str | None, sort: MemberSort) -> tuple[Any, str] | None:
    """Return the position that a cursor encodes. Raises `FieldErrors` for a cursor of another sorting."""
    position = decode_cursor(Listing.CUSTOMERS, cursor)
    if position is None:
        return None
    sorted_by, _, rest = position.partition(" ")
    text, _, customer_id = rest.partition(" ")
    if sorted_by != sort or not customer_id:
        raise invalid_cursor()
    try:
        return _VALUES[sort.removeprefix("-")].validate_strings(text), customer_id
    except ValidationError:
        raise invalid_cursor() from None
