"""How far the comparison with Medusa has come in each of Medusa's lists.

Saved after each page: a poll that is ended goes on there. The next poll begins where this one began, by the clock that
is behind, ours or Medusa's: a clock that is ahead skips nothing.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import Column, DateTime, Table, Text, select
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata, transaction
from bridge.medusa.pages import Page, Place

# Looked at again in every poll: clocks differ, and a transaction at Medusa commits later than its timestamps say.
OVERLAP = timedelta(minutes=10)
# How far the very first poll looks back. Older orders are for `dust reconcile --since`.
FIRST_LOOK_BACK = timedelta(hours=24)
# The whole poll: when it was last completed.
WHOLE = "medusa"

reconcile_cursor = Table(
    "reconcile_cursor",
    metadata,
    Column("name", Text, primary_key=True),
    # Rows up to then were seen by a walk that came to its end.
    Column("seen_until", DateTime(timezone=True), nullable=False),
    # A walk that has not come to its end: when it began, and where its next page begins.
    Column("started_at", DateTime(timezone=True)),
    Column("place_at", DateTime(timezone=True)),
    Column("place_after", Text),
)


def walk(
    name: str,
    pages: Callable[[Place], Iterator[Page]],
    *,
    started: datetime,
    date: Callable[[], datetime | None],
    keep: bool = True,
) -> Iterator[Page]:
    """The pages of a list, from where the last walk ended. A page is done when the next one is asked for.

    `date` is what Medusa's clock says. With `keep` the progress is saved.
    """
    seen_until, began, place = _resume(name, started)
    for page in pages(place):
        began = min(began, date() or began)
        yield page
        if not keep:
            continue
        if page.is_last:
            # What is committed late has a time from after the beginning, or a little before.
            _save(name, seen_until=began)
        else:
            _save(name, seen_until=seen_until, started_at=began, place=page.next)


def next_start(name: str, started: datetime) -> datetime:
    """The time from which on a walk of this list asks for rows."""
    return _resume(name, started)[2].since


def skip(name: str, *, as_far_as: str) -> None:
    """Leave a list out: a later walk of it begins where this other list is seen to now."""
    with transaction() as connection:
        seen_until = connection.scalar(
            select(reconcile_cursor.c.seen_until).where(reconcile_cursor.c.name == as_far_as)
        )
    if seen_until is not None:
        _save(name, seen_until=seen_until)


def complete(started: datetime) -> None:
    """All lists were walked to their ends."""
    _save(WHOLE, seen_until=started)


def _resume(name: str, started: datetime) -> tuple[datetime, datetime, Place]:
    columns = reconcile_cursor.c
    with transaction() as connection:
        found = connection.execute(select(reconcile_cursor).where(columns.name.in_([name, WHOLE]))).all()
    rows = {row.name: row for row in found}
    row = rows.get(name) or rows.get(WHOLE)
    if row is None:
        first = started - FIRST_LOOK_BACK
        return first, started, Place(since=first)
    if row.place_at is not None:
        return row.seen_until, row.started_at, Place(since=row.place_at, after=row.place_after)
    seen_until = min(row.seen_until, started)
    return seen_until, started, Place(since=seen_until - OVERLAP)


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
