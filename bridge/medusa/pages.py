"""Read one of Medusa's lists sorted by a time, page by page, each row once.

Medusa 2.21.2 sorts by one field only (its source, `get-query-config.js`), so the sequence of rows with equal times
changes between requests. Times are read in milliseconds, as in Medusa's JSON. The last millisecond of a page may
continue on the next one, so its rows are left for the next page. A page with a single millisecond is read again by id.

A page that Medusa does not finish is requested again with fewer rows. A single row that Medusa cannot return is skipped
by its id.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from bridge.medusa.errors import MedusaAway

log = structlog.get_logger(__name__)

Json = dict[str, Any]
PAGE_SIZE = 100
_SMALLER = 4
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a page begins.

    With `after` it begins inside the millisecond of `since`: rows up to this id (or count) are done.
    """

    since: datetime
    after: str | None = None


@dataclass(frozen=True, kw_only=True)
class Page:
    """Rows of a list. `next` is where the next page begins, even after the last page.

    `unread` are the ids of rows that Medusa could not return.
    """

    rows: list[Json]
    next: Place
    is_last: bool = False
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PagedList:
    """One of Medusa's lists, sorted by a time field.

    `compares_ids` is false for a list that does not accept `id[$gt]`: there, rows with one time are skipped by count. A
    row that changes its time meanwhile can make us miss another; the next poll reads the same minutes again.
    """

    read: Callable[[dict[str, str]], list[Json]]
    """Calls Medusa with these parameters."""
    field: str
    compares_ids: bool = True
    passes_unreadable: bool = True
    """Whether to skip a row that Medusa cannot return; otherwise it raises `MedusaAway`."""

    def pages(self, place: Place) -> Iterator[Page]:
        """Yield the pages from `place` on. Raises `MedusaAway`; rows not yielded must be read again."""
        size = PAGE_SIZE
        while True:
            try:
                page = self._page(place, self._rows(place, size), size)
            except MedusaAway as error:
                if not error.only_this_call:
                    raise
                # This raises if Medusa does not answer at all.
                first = self._rows(place, 1, fields=f"id,{self.field}")
                if not first:
                    raise
                if size > 1:
                    size = max(1, size // _SMALLER)
                    log.warning("smaller_pages", field=self.field, size=size)
                    continue
                if not self.passes_unreadable:
                    raise
                page = self._without(place, first)
                if page.unread:
                    # The row that required small pages is skipped.
                    size = PAGE_SIZE
            if page.rows or page.unread or page.is_last:
                yield page
            if page.is_last:
                return
            place = page.next

    def _without(self, place: Place, first: list[Json]) -> Page:
        """Skip the first row of a place."""
        if place.after is None:
            # Other rows may have its time: continue by id.
            return Page(rows=[], next=Place(since=max(place.since, self._time(first[0])), after=""))
        row_id = str(first[0]["id"])
        log.error("row_not_given_by_medusa", id=row_id)
        return Page(rows=[], next=Place(since=place.since, after=self._after(place, first)), unread=(row_id,))

    def _rows(self, place: Place, size: int, **changes: str) -> list[Json]:
        # The dollar sign matters: without it Medusa ignores the filter and returns all rows.
        window = {f"{self.field}[$gte]": _iso(place.since), "order": self.field, "limit": str(size), "offset": "0"}
        if place.after is not None:
            window |= {f"{self.field}[$lt]": _iso(_floor(place.since) + _MILLISECOND), "order": "id"}
            if not self.compares_ids:
                window["offset"] = place.after or "0"
            elif place.after:
                window["id[$gt]"] = place.after
        return self.read({**window, **changes})

    def _page(self, place: Place, rows: list[Json], size: int) -> Page:
        full = len(rows) >= size
        # Rows without a time or an id stay in their page. The caller reports what is wrong with them.
        odd = [row for row in rows if not self._has_place(row)]
        placed = sorted((row for row in rows if self._has_place(row)), key=lambda row: (self._time(row), row["id"]))
        if full and not placed:
            raise MedusaAway(f"Medusa's rows have no id and {self.field}.")
        if place.after is not None:
            following = Place(since=_floor(place.since) + _MILLISECOND)
            more = Place(since=place.since, after=self._after(place, rows)) if full else following
            return Page(rows=placed + odd, next=more)
        # The last millisecond may continue on the next page. It is read again from there; if the page has nothing else,
        # by id. `since` may be inside its millisecond: earlier rows are not requested again.
        last = max(place.since, self._time(placed[-1])) if placed else place.since
        if not full:
            return Page(rows=placed + odd, next=Place(since=last), is_last=True)
        done = [row for row in placed if self._time(row) < _floor(last)]
        return Page(rows=done + odd, next=Place(since=last, after=None if done else ""))

    def _has_place(self, row: Json) -> bool:
        try:
            return isinstance(row["id"], str) and self._time(row).tzinfo is not None
        except (KeyError, TypeError, ValueError):
            return False

    def _after(self, place: Place, rows: list[Json]) -> str:
        if self.compares_ids:
            return str([row for row in rows if self._has_place(row)][-1]["id"])
        return str(int(place.after or "0") + len(rows))

    def _time(self, row: Json) -> datetime:
        return _floor(datetime.fromisoformat(str(row[self.field])))


def _floor(moment: datetime) -> datetime:
    """Round down to the millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
