"""The versions of the programme, with author and time. Versions are only added, never changed."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import BigInteger, Column, Connection, DateTime, Integer, Row, Table, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from bridge.db import metadata
from bridge.db.advisory_locks import lock_names
from bridge.db.bulk import among
from bridge.errors import Conflict, NotFound
from bridge.programme.fields import STORED
from bridge.programme.rules import GuestClaim, Programme
from bridge.programme.shop_currencies import load_currencies
from bridge.programme.tiers import Tiers

programme_version = Table(
    "programme_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", JSONB, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)


class ProgrammeChanged(Conflict):
    """Another version is in force than the one that was to be replaced. HTTP 412."""

    code = "programme_changed"
    status = 412

    def __init__(self, current: int) -> None:
        super().__init__(
            f"The programme was changed meanwhile: version {current} is in force. Load it and make your change again.",
            version=current,
        )


class UnknownVersion(NotFound):
    """The programme has no version with this number."""

    code = "unknown_version"

    def __init__(self, number: int) -> None:
        super().__init__(f"There is no version {number} of the programme: `dust programme versions` lists them.")


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of the rules.

    `number` 0 is the version of all defaults, in force until the first one is added.
    """

    number: int
    programme: Programme
    author: str
    created_at: datetime | None


_DEFAULTS = Version(number=0, programme=Programme(), author="dust", created_at=None)
_VERSIONS = select(
    programme_version.c.version,
    cast(programme_version.c.document, Text).label("document"),
    programme_version.c.author,
    programme_version.c.created_at,
)
_NEWEST_FIRST = _VERSIONS.order_by(programme_version.c.version.desc())


def current_version(connection: Connection) -> Version:
    """Return the version in force now."""
    load_currencies(connection)
    row = connection.execute(_NEWEST_FIRST.limit(1)).one_or_none()
    return _version(row) if row else _DEFAULTS


def version_at(connection: Connection, moment: datetime) -> Version:
    """Return the version that was in force at `moment`."""
    load_currencies(connection)
    query = _NEWEST_FIRST.where(programme_version.c.created_at <= moment).limit(1)
    row = connection.execute(query).one_or_none()
    return _version(row) if row else _DEFAULTS


def version_numbered(connection: Connection, number: int | None) -> Version:
    """Return the version with this number; 0 is the defaults, None the one in force now. Raises `UnknownVersion`."""
    if number is None:
        return current_version(connection)
    versions = versions_by_number(connection, {number})
    if number not in versions:
        raise UnknownVersion(number)
    return versions[number]


def versions_by_number(connection: Connection, numbers: set[int]) -> dict[int, Version]:
    """Return these versions by number; 0 is the defaults."""
    load_currencies(connection)
    versions = {0: _DEFAULTS} if 0 in numbers else {}
    wanted = numbers - {0}
    if wanted:
        rows = connection.execute(_VERSIONS.where(among(programme_version.c.version, wanted)))
        versions |= {row.version: _version(row) for row in rows}
    return versions


def longest_limit_window(connection: Connection) -> int | None:
    """Return the longest window, in days, of all versions' limits across several orders; None without such limits."""
    per_day, per_customer = (
        programme_version.c.document[("earn", "limits", name)] for name in ("per_day", "per_customer")
    )
    days = per_customer["days"].as_integer()
    query = select(func.max(func.coalesce(days, 1))).where(
        (per_day.astext.is_not(None)) | (per_customer.astext.is_not(None))
    )
    longest: int | None = connection.scalar(query)
    return longest


# Built once: it runs for every balance.
_CURRENT_TIERS = select(programme_version.c.document["tiers"]).order_by(programme_version.c.version.desc()).limit(1)


def current_tiers(connection: Connection) -> Tiers | None:
    """Return the tiers in force now, without reading the other rules; None if there are none."""
    document = connection.scalar(_CURRENT_TIERS)
    return Tiers.model_validate(document) if document and document["levels"] else None


def registrations_proved_since(connection: Connection) -> datetime | None:
    """Return since when, without interruption, the rules trust e-mails of new accounts; None if not now."""
    claim = programme_version.c.document[("guests", "claim")].astext
    unproved = func.coalesce(claim, GuestClaim.TRANSFER.value) == GuestClaim.TRANSFER.value
    last_unproved = select(func.max(programme_version.c.version)).where(unproved).scalar_subquery()
    query = select(func.min(programme_version.c.created_at)).where(
        programme_version.c.version > func.coalesce(last_unproved, 0)
    )
    since: datetime | None = connection.scalar(query)
    return since


def list_versions(connection: Connection, *, limit: int, before: int | None = None) -> list[Version]:
    """List versions, newest first."""
    query = _NEWEST_FIRST.limit(limit)
    if before is not None:
        # A client can write any number into a cursor.
        query = query.where(programme_version.c.version < literal(before, BigInteger))
    return [_version(row) for row in connection.execute(query)]


def add_version(
    connection: Connection, programme: Programme, *, author: str, now: datetime, replaces: int | None = None
) -> Version:
    """Put these rules in force as a new version. Concurrent writers get one version each.

    With `replaces`, only if that version is in force. Raises `ProgrammeChanged` otherwise.
    """
    # Adding a version is rare: waiting for the other writer is simpler than retrying on a taken number.
    lock_names(connection, ["programme_version"])
    current = current_version(connection).number
    if replaces is not None and replaces != current:
        raise ProgrammeChanged(current)
    number = current + 1
    connection.execute(
        programme_version.insert(),
        {"version": number, "document": programme.document(), "author": author, "created_at": now},
    )
    return Version(number=number, programme=programme, author=author, created_at=now)


def _version(row: Row[tuple[object, ...]]) -> Version:
    return Version(number=row.version, programme=_programme(row.document), author=row.author, created_at=row.created_at)


# A version never changes, so its document is validated once per process. Reading a version takes 160 µs instead of 500.
@lru_cache(maxsize=64)
def _programme(document: str) -> Programme:
    return Programme.model_validate_json(document, context=STORED)
