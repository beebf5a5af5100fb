"""Drafts of the programme: rules that are saved, and not in force. A draft is published by hand or at its start date.

Publishing applies the changes of the draft, compared with the version that it is based on, to the version in force. So
what was changed meanwhile is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Integer,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB

from bridge.db import metadata, transaction
from bridge.db.advisory_locks import lock_names
from bridge.db.rows import TypedRow
from bridge.errors import Conflict, DustError, NotFound, Unavailable, field_error
from bridge.ids import new_id
from bridge.programme.fields import STORED
from bridge.programme.rules import Programme
from bridge.programme.three_way_merge import Merged, merge
from bridge.programme.versions import (
    ProgrammeChanged,
    UnknownVersion,
    Version,
    add_version,
    current_version,
    version_numbered,
)

log = structlog.get_logger(__name__)

MAX_DRAFTS = 50

programme_draft = Table(
    "programme_draft",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("document", JSONB, nullable=False),
    # The version that the document was made from: what differs from it is what the draft changes.
    Column("based_on", Integer, nullable=False),
    # Who saved it last.
    Column("author", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("starts_at", DateTime(timezone=True)),
    # Why it could not start, as a sentence for the merchant. Such a draft does not start by itself any more.
    Column("reason", Text),
    CheckConstraint("reason IS NULL OR starts_at IS NOT NULL", name="reason"),
)

# Returns the programme of a document. Raises `FieldErrors`. It may call Medusa.
Check = Callable[[dict[str, Any]], Programme]


class TooManyDrafts(Conflict):
    code = "too_many_drafts"
    message = f"There are {MAX_DRAFTS} drafts already. Please publish or delete one first."


class UnknownDraft(NotFound):
    """There is no draft with this id: it was published or deleted."""

    code = "unknown_draft"
    message = "There is no such draft. It may have been published or deleted meanwhile."


class DraftChanged(Conflict):
    """The draft was saved while it was being published."""

    code = "draft_changed"
    message = "The draft was changed meanwhile. Please load it again."


class DraftReplaced(Conflict):
    """The draft was saved by another request since it was read."""

    code = "draft_replaced"
    status = 412
    message = "Another user has saved this draft since you opened it. Please load it again."


class DraftConflicts(Conflict):
    """The version in force changed the same fields as the draft, to other values."""

    code = "draft_conflicts"

    def __init__(self, version: int, fields: tuple[str, ...]) -> None:
        super().__init__(
            f"Version {version} of the rules has changed the same rules as this draft. "
            "Please open the draft, decide what should hold, and save it again.",
            version=version,
            fields=list(fields),
        )


@dataclass(frozen=True, kw_only=True)
class DraftContent:
    """What a merchant saves. `document` is that of a valid programme."""

    name: str
    document: dict[str, Any]
    based_on: int
    starts_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Draft(DraftContent, TypedRow):
    id: str
    author: str
    created_at: datetime
    updated_at: datetime
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class Rebased(Merged):
    """A draft's changes applied to `version`, which is in force. In a conflict, the document has the draft's value."""

    version: int


def create_draft(connection: Connection, content: DraftContent, *, author: str, now: datetime) -> Draft:
    """Store a new draft. Raises `TooManyDrafts`, and `FieldErrors` for a version that does not exist."""
    _require_version(connection, content.based_on)
    # Without it, two requests at once could both store the last one.
    lock_names(connection, ["programme_draft"])
    if connection.scalars(select(func.count()).select_from(programme_draft)).one() >= MAX_DRAFTS:
        raise TooManyDrafts
    values = vars(content) | {"author": author, "updated_at": now}
    statement = insert(programme_draft).values(id=new_id("ddraft"), created_at=now, **values)
    return Draft.from_row(connection.execute(statement.returning(programme_draft)).one())


def change_draft(
    connection: Connection,
    draft_id: str,
    content: DraftContent,
    *,
    author: str,
    now: datetime,
    saved_at: datetime | None = None,
) -> Draft:
    """Replace a draft. The reason why it could not start is removed.

    With `saved_at`, only if it was saved last at that time. Raises as `create_draft`, `UnknownDraft`, `DraftReplaced`.
    """
    _require_version(connection, content.based_on)
    values = vars(content) | {"author": author, "updated_at": now, "reason": None}
    change = update(programme_draft).where(programme_draft.c.id == draft_id).values(**values)
    if saved_at is not None:
        change = change.where(programme_draft.c.updated_at == saved_at)
    row = connection.execute(change.returning(programme_draft)).one_or_none()
    if row is None:
        read_draft(connection, draft_id)
        raise DraftReplaced
    return Draft.from_row(row)


def list_drafts(connection: Connection) -> list[Draft]:
    """List all drafts, the newest first."""
    table = programme_draft.c
    rows = connection.execute(select(programme_draft).order_by(table.updated_at.desc(), table.id.desc()))
    return [Draft.from_row(row) for row in rows]


def read_draft(connection: Connection, draft_id: str, *, lock: bool = False) -> Draft:
    """Return a draft. Raises `UnknownDraft`."""
    query = select(programme_draft).where(programme_draft.c.id == draft_id)
    return Draft.read_one(connection, query.with_for_update() if lock else query, otherwise=UnknownDraft())


def delete_draft(connection: Connection, draft_id: str) -> None:
    """Delete a draft. Raises `UnknownDraft`."""
    if not connection.execute(delete(programme_draft).where(programme_draft.c.id == draft_id)).rowcount:
        raise UnknownDraft


def rebase(connection: Connection, draft: Draft) -> Rebased:
    """Apply the changes of a draft to the version in force."""
    base, present = version_numbered(connection, draft.based_on), current_version(connection)
    # A document that an older Dust stored lacks the fields that are new.
    changed = Programme.model_validate(draft.document, context=STORED).document()
    merged = merge(base.programme.document(), changed, present.programme.document())
    return Rebased(document=merged.document, conflicts=merged.conflicts, version=present.number)


def publish_draft(draft: Draft, check: Check, *, now: datetime, replaces: int | None = None) -> Version:
    """Put a draft in force as a new version by its author, and delete the draft.

    With `replaces`, only if that version is in force. Raises `DraftConflicts`, `DraftChanged`, `UnknownDraft`,
    `ProgrammeChanged`, and what `check` raises.
    """
    with transaction() as connection:
        rebased = rebase(connection, draft)
    if replaces is not None and replaces != rebased.version:
        raise ProgrammeChanged(rebased.version)
    if rebased.conflicts:
        raise DraftConflicts(rebased.version, rebased.conflicts)
    programme = check(rebased.document)
    with transaction() as connection:
        # A second request to publish it waits here, and then finds no draft.
        if read_draft(connection, draft.id, lock=True) != draft:
            raise DraftChanged
        version = add_version(connection, programme, author=draft.author, now=now, replaces=rebased.version)
        delete_draft(connection, draft.id)
    log.info("draft_published", draft=draft.id, version=version.number)
    return version


def publish_due_drafts(check: Check, *, now: datetime) -> int:
    """Publish the drafts whose start date has come, in the order of their dates; return how many.

    A draft that cannot be published keeps the reason, and does not start by itself any more.
    """
    table, published = programme_draft.c, 0
    with transaction() as connection:
        query = select(programme_draft).where(table.starts_at <= now, table.reason.is_(None))
        due = [Draft.from_row(row) for row in connection.execute(query.order_by(table.starts_at, table.id))]
    for draft in due:
        try:
            publish_draft(draft, check, now=now)
            published += 1
        except (UnknownDraft, DraftChanged, ProgrammeChanged):
            # Another request has just published or saved something. The next run reads it again.
            continue
        except Unavailable:
            raise
        except DustError as error:
            log.warning("draft_not_started", draft=draft.id, name=draft.name, reason=error.message, **error.details)
            _store_failure(draft, error.message, now=now)
        except Exception:
            # One draft that cannot be read must not keep the others from starting.
            log.exception("draft_not_started", draft=draft.id, name=draft.name)
            _store_failure(draft, "Dust had an internal error. It was logged.", now=now)
    return published


def _store_failure(draft: Draft, reason: str, *, now: datetime) -> None:
    table = programme_draft.c
    with transaction() as connection:
        # Not if the draft was saved meanwhile.
        connection.execute(
            update(programme_draft)
            .where(table.id == draft.id, table.updated_at == draft.updated_at, table.starts_at <= now)
            .values(reason=reason)
        )


def _require_version(connection: Connection, number: int) -> None:
    try:
        version_numbered(connection, number)
    except UnknownVersion as error:
        raise field_error("based_on", "must be the number of a version of the programme") from error
