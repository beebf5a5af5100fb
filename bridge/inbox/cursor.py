"""Cursors of the reconcile poll, one for each of Medusa's lists.

They are saved after each page, so that an interrupted poll continues there. The next poll starts at the time when this
one started, by Dust's or Medusa's clock, whichever is behind. So a clock that is ahead skips nothing.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Column, Connection, DateTime, Table, Text, select
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata, transaction
from bridge.medusa.pages import Page, Place

# Every poll reads this much again, because clocks differ and Medusa's transactions commit after their timestamps.
OVERLAP = timedelta(minutes=10)
# How far the very first poll looks back. Older orders are for `dust reconcile --since`.
FIRST_LOOK_BACK = timedelta(hours=24)
# Row for the whole poll: when it last completed.
WHOLE = "medusa"

reconcile_cursor = Table(
    "reconcile_cursor",
    metadata,
    Column("name", Text, primary_key=True),
    # Rows up to this time were seen by a completed walk.
    Column("seen_until", DateTime(timezone=True), nullable=False),
    # An unfinished walk: when it started, and where its next page starts.
    Column("started_at", DateTime(timezone=True)),
    Column("place_at", DateTime(timezone=True)),
    Column("place_after", Text),
)


class _Progress(NamedTuple):
    """How far the walks of a list have come."""

    seen_until: datetime
    """Rows up to this time were seen by a completed walk."""
    started_at: datetime
    """When the walk that goes on, or begins, started."""
    place: Place
    """Where its next page starts."""


def walk(
    name: str,
    pages: Callable[[Place], Iterator[Page]],
    *,
    started: datetime,
    date: Callable[[], datetime | None],
    keep: bool = True,
) -> Iterator[Page]:
    """Yield the pages of a list, from where the last walk ended. A page counts as done when the next is requested.

    `date` returns the time of Medusa's clock. With `keep` the progress is saved.
    """
    progress = _resume(name, started)
    started_at = progress.started_at
    for page in pages(progress.place):
        started_at = min(started_at, date() or started_at)
        yield page
        if not keep:
            continue
        if page.is_last:
            # Rows committed late have a time after the start of the walk, or shortly before it (`OVERLAP`).
            _save(name, seen_until=started_at)
        else:
            _save(name, seen_until=progress.seen_until, started_at=started_at, place=page.next)


def next_start(name: str, started: datetime) -> datetime:
    """The time from which a walk of this list requests rows."""
    return _resume(name, started).place.since


def skip(name: str, *, as_far_as: str) -> None:
    """Skip a list in this poll. A later walk of it starts where the list `as_far_as` is now."""
    with transaction() as connection:
        seen_until = _seen_until(connection, as_far_as)
    if seen_until is not None:
        _save(name, seen_until=seen_until)


def complete(started: datetime) -> None:
    """Record that all lists were read to the end."""
    _save(WHOLE, seen_until=started)


def last_poll(connection: Connection) -> datetime | None:
    """When the last complete poll started; None if there was none."""
    return _seen_until(connection, WHOLE)


def _seen_until(connection: Connection, name: str) -> datetime | None:
    moment: datetime | None = connection.scalar(
        select(reconcile_cursor.c.seen_until).where(reconcile_cursor.c.name == name)
    )
    return moment


def _resume(name: str, started: datetime) -> _Progress:
    columns = reconcile_cursor.c
    with transaction() as connection:
        query = select(reconcile_cursor).where(columns.name.in_([name, WHOLE]))
        rows = {row.name: row for row in connection.execute(query)}
    row = rows.get(name) or rows.get(WHOLE)
    if row is None:
        first = started - FIRST_LOOK_BACK
        return _Progress(first, started, Place(since=first))
    if row.place_at is not None:
        return _Progress(row.seen_until, row.started_at, Place(since=row.place_at, after=row.place_after))
    seen_until = min(row.seen_until, started)
    return _Progress(seen_until, started, Place(since=seen_until - OVERLAP))


def _save(name: str, *, seen_until: datetime, started_at: datetime | None = None, place: Place | None = None) -> None:
    values = {
        "seen_until": seen_until,
        "started_at": started_at,
        "place_at": place.since if place else None,
        "place_after": place.after if place else None,
    }
    statement = insert(reconcile_cursor).values(name=name, **values)
    with transaction() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
