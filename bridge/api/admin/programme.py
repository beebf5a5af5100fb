"""Admin API: the programme and its versions."""

import re
from datetime import datetime
from typing import Annotated, Any

from fastapi import Body as FromBody
from fastapi import Header, Query, Response
from pydantic import BaseModel

from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import field_error
from bridge.http.auth import AdminOperator
from bridge.http.paging import Cursor, Limit, Listing, decode_number_cursor, split_page
from bridge.http.problems import describe_problems
from bridge.http.thread_limits import FOR_OPERATORS
from bridge.programme.rules import Programme
from bridge.programme.versions import Version, add_version, current_version, list_versions, version_numbered
from bridge.redemptions.programme_document import read_document

router = admin_router()


class ProgrammeResponse(Programme):
    """The programme in force, with its version."""

    version: int
    author: str
    created_at: datetime | None


class VersionListResponse(BaseModel):
    versions: list[ProgrammeResponse]
    next_cursor: str | None


@router.get("/programme")
def read_programme(response: Response) -> ProgrammeResponse:
    """Return the programme in force. The ETag is the number of its version."""
    with transaction() as connection:
        version = current_version(connection)
    response.headers["ETag"] = etag(version)
    return programme_response(version)


IfMatch = Annotated[
    str | None,
    Header(description="The version that was read: 412 when another one is in force by now", examples=['"3"']),
]


@router.put("/programme", responses=describe_problems(400, 412, 422, 503))
async def write_programme(
    document: Annotated[
        dict[str, Any], FromBody(description="The programme document; missing keys get their defaults")
    ],
    operator: AdminOperator,
    response: Response,
    if_match: IfMatch = None,
) -> ProgrammeResponse:
    """Create a new version of the programme. Orders that were already settled keep their version.

    A currency that the shop does not have is refused. While Medusa is unavailable, any three letters are accepted.
    """
    version = await FOR_OPERATORS.run(_write_programme, document, operator, version_of(if_match))
    response.headers["ETag"] = etag(version)
    return programme_response(version)


def etag(version: Version) -> str:
    return f'"{version.number}"'


def version_of(if_match: str | None) -> int | None:
    """The version that If-Match names; None for any."""
    if if_match is None or if_match.strip() == "*":
        return None
    number = if_match.strip().removeprefix("W/").strip('"')
    if not re.fullmatch(r"[0-9]{1,9}", number):
        raise field_error("If-Match", 'must be the number of a version, such as "3"')
    return int(number)


def _write_programme(document: dict[str, Any], operator: str, replaces: int | None) -> Version:
    programme = read_document(document)
    with transaction() as connection:
        return add_version(connection, programme, author=operator, now=now(), replaces=replaces)


@router.get("/programme/versions", responses=describe_problems(422))
def read_versions(
    limit: Limit = 20,
    cursor: Cursor = None,
    defaults: Annotated[
        bool, Query(description="Include version 0 at the end: the defaults, in force until the first version")
    ] = False,
) -> VersionListResponse:
    """List all versions of the programme, newest first."""
    with transaction() as connection:
        versions = list_versions(connection, limit=limit + 1, before=decode_number_cursor(Listing.VERSIONS, cursor))
        if defaults and len(versions) <= limit:
            versions.append(version_numbered(connection, 0))
    page, following = split_page(Listing.VERSIONS, versions, limit, lambda version: version.number)
    return VersionListResponse(versions=[programme_response(version) for version in page], next_cursor=following)


def programme_response(version: Version) -> ProgrammeResponse:
    return ProgrammeResponse(
        **dict(version.programme), version=version.number, author=version.author, created_at=version.created_at
    )
