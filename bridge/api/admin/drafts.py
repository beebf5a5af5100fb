"""Admin API: drafts of the programme. A draft is published by request or at its start date."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Header, Response
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from bridge.api.admin.products import Deleted
from bridge.api.admin.programme import IfMatch, ProgrammeResponse, etag, programme_response, version_of
from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import field_error
from bridge.http.auth import AdminOperator
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, PathId
from bridge.http.thread_limits import FOR_OPERATORS
from bridge.medusa.times import IsoTime
from bridge.programme import drafts
from bridge.programme.versions import Version
from bridge.redemptions.programme_document import read_document

# Later dates are typing errors.
_MAX_AHEAD = timedelta(days=366)

router = admin_router("/programme/drafts")

_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)

SavedAt = Annotated[
    str | None,
    Header(
        description="`updated_at` of the draft that was read, in quotes: 412 when it was saved again since",
        examples=['"2026-11-27T12:00:00.123456Z"'],
    ),
]


class DraftRequest(Body):
    name: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    ] = Field(examples=["Black Friday"])
    document: Annotated[dict[str, Any], Field(description="The programme document; missing keys get their defaults")]
    based_on: Annotated[int, Field(strict=True, ge=0, le=2_147_483_647)] = Field(
        description="The version that the document was made from. What differs from it is what the draft changes"
    )
    starts_at: IsoTime | None = Field(
        default=None, description="When it is published by itself, within a minute; null: only by request"
    )


class DraftSummary(BaseModel):
    id: str
    name: str
    based_on: int
    author: str = Field(description="Who saved it last: the author of the version that it becomes")
    created_at: datetime
    updated_at: datetime
    starts_at: datetime | None
    reason: str | None = Field(description="Why it could not start. It does not start by itself any more")


class DraftResponse(DraftSummary):
    document: dict[str, Any]
    version: int = Field(description="The version in force")
    merged: dict[str, Any] = Field(
        description="What publishing puts in force: the changes of the draft, applied to the version in force. In "
        "a conflict it has the value of the draft"
    )
    conflicts: list[str] = Field(
        description="Fields of `merged` that the version in force has changed too, to another value. Publishing is "
        "refused until the draft is saved with the version in force as `based_on`"
    )


class DraftListResponse(BaseModel):
    """All drafts. There are at most 50, so they are not paged."""

    drafts: list[DraftSummary]


@router.get("")
def read_drafts() -> DraftListResponse:
    """List all drafts without their documents, the one that was saved last first."""
    with transaction() as connection:
        return DraftListResponse.model_validate({"drafts": drafts.list_drafts(connection)}, from_attributes=True)


@router.post("", status_code=201, responses=describe_problems(400, 409, 422, 503))
async def add_programme_draft(body: DraftRequest, operator: AdminOperator, response: Response) -> DraftResponse:
    """Save rules as a draft. An invalid document is refused as by `PUT /admin/dust/programme`."""
    draft = await FOR_OPERATORS.run(_save, None, body, operator, None)
    response.headers["Location"] = f"{router.prefix}/{draft.id}"
    return draft


@router.get("/{draft_id}", responses=describe_problems(404, 422))
def read_programme_draft(draft_id: PathId) -> DraftResponse:
    """Return a draft with its document, and with what publishing it would put in force."""
    with transaction() as connection:
        draft = drafts.read_draft(connection, draft_id)
        return _response(draft, drafts.rebase(connection, draft))


@router.put("/{draft_id}", responses=describe_problems(400, 404, 412, 422, 503))
async def write_programme_draft(
    draft_id: PathId, body: DraftRequest, operator: AdminOperator, if_match: SavedAt = None
) -> DraftResponse:
    """Replace a draft. To solve a conflict, send `merged` as you want it, and the version in force as `based_on`."""
    return await FOR_OPERATORS.run(_save, draft_id, body, operator, _saved_at(if_match))


@router.delete("/{draft_id}", responses=describe_problems(404, 422))
def drop_programme_draft(draft_id: PathId) -> Deleted:
    """Delete a draft."""
    with transaction() as connection:
        drafts.delete_draft(connection, draft_id)
    return Deleted(id=draft_id, object="programme_draft")


@router.post("/{draft_id}/publish", responses=describe_problems(404, 409, 412, 422, 503))
async def publish_programme_draft(draft_id: PathId, response: Response, if_match: IfMatch = None) -> ProgrammeResponse:
    """Put a draft in force now, as a new version by its author. The draft is deleted.

    Its changes are applied to the version in force, so that what was changed meanwhile is kept. 409 with `fields` if
    both changed the same field to different values.
    """
    version = await FOR_OPERATORS.run(_publish, draft_id, version_of(if_match))
    response.headers["ETag"] = etag(version)
    return programme_response(version)


def _saved_at(if_match: str | None) -> datetime | None:
    """The time that If-Match names; None for any."""
    if if_match is None or if_match.strip() == "*":
        return None
    try:
        return _MOMENT.validate_strings(if_match.strip().removeprefix("W/").strip('"'))
    except ValidationError:
        raise field_error("If-Match", "must be the `updated_at` of the draft, in quotes") from None


def _save(draft_id: str | None, body: DraftRequest, operator: str, saved_at: datetime | None) -> DraftResponse:
    moment = now()
    if body.starts_at and body.starts_at <= moment:
        raise field_error("starts_at", "must be in the future")
    if body.starts_at and body.starts_at > moment + _MAX_AHEAD:
        raise field_error("starts_at", f"must be within {_MAX_AHEAD.days} days")
    document = read_document(body.document).document()
    content = drafts.DraftContent(name=body.name, document=document, based_on=body.based_on, starts_at=body.starts_at)
    with transaction() as connection:
        if draft_id is None:
            draft = drafts.create_draft(connection, content, author=operator, now=moment)
        else:
            draft = drafts.change_draft(connection, draft_id, content, author=operator, now=moment, saved_at=saved_at)
        return _response(draft, drafts.rebase(connection, draft))


def _publish(draft_id: str, replaces: int | None) -> Version:
    with transaction() as connection:
        draft = drafts.read_draft(connection, draft_id)
    return drafts.publish_draft(draft, read_document, now=now(), replaces=replaces)


def _response(draft: drafts.Draft, rebased: drafts.Rebased) -> DraftResponse:
    merged = {"version": rebased.version, "merged": rebased.document, "conflicts": rebased.conflicts}
    return DraftResponse.model_validate({**vars(draft), **merged})
