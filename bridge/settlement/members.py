"""The list of members: customers who have or had points, with their tiers, for the merchant."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest
from typing import Any, Self

from sqlalchemy import ColumnElement, Connection, Row, Select, Subquery, and_, func, or_, select, true, tuple_

from bridge.db.bulk import among
from bridge.errors import field_error
from bridge.ids import CustomerId
from bridge.ledger.tables import customer_merge, dust_balance
from bridge.programme.versions import current_tiers
from bridge.settlement.tier_history import read_tiers, totals_in_window


class MemberSort(StrEnum):
    """What the list is sorted by; with `-` downwards. Members with equal values are sorted by their id."""

    CUSTOMER = "customer_id"
    CUSTOMER_DOWN = "-customer_id"
    BALANCE = "balance"
    BALANCE_DOWN = "-balance"
    ACTIVITY = "last_activity"
    ACTIVITY_DOWN = "-last_activity"


_COLUMNS: dict[str, ColumnElement[Any]] = {
    "customer_id": dust_balance.c.customer_id,
    "balance": dust_balance.c.balance,
    "last_activity": dust_balance.c.updated_at,
}


@dataclass(frozen=True, kw_only=True)
class MemberFilter:
    """`text` is a part of the customer's id; `or_ids` are customers who match whatever their id is.

    Balances are in points, with both ends. `active_until` itself is not included.
    """

    text: str | None = None
    or_ids: Collection[CustomerId] = ()
    tier: str | None = None
    negative: bool = False
    min_balance: int | None = None
    max_balance: int | None = None
    active_since: datetime | None = None
    active_until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Member:
    """A customer with points, in whole points. `last_activity` is when a transaction was booked last."""

    customer_id: CustomerId
    balance: int
    held: int
    pending: int
    last_activity: datetime
    tier: str | None

    @property
    def available(self) -> int:
        return max(0, self.balance - self.held)

    def position(self, sort: MemberSort) -> tuple[Any, CustomerId]:
        """The member's place in the sorted list."""
        return getattr(self, sort.removeprefix("-")), self.customer_id


def list_members(
    connection: Connection,
    only: MemberFilter,
    *,
    sort: MemberSort,
    after: tuple[Any, str] | None,
    limit: int,
    now: datetime,
) -> list[Member]:
    """Return up to `limit` members that match, in this sequence, from behind the position `after`.

    Raises `FieldErrors` for a tier that the programme does not have.
    """
    in_tier = _InTier.of(connection, only.tier, now) if only.tier is not None else None
    members: list[Member] = []
    while True:
        rows = connection.execute(_query(only, in_tier, sort, after).limit(limit)).all()
        for member in _with_tiers(connection, rows, now):
            if only.tier is None or member.tier == only.tier:
                members.append(member)
                if len(members) == limit:
                    return members
        if len(rows) < limit:
            return members
        after = (getattr(rows[-1], sort.removeprefix("-")), rows[-1].customer_id)


@dataclass(frozen=True, kw_only=True)
class _InTier:
    """The condition for members who may be of a tier: by their own orders, or as one of merged accounts."""

    totals: Subquery
    """What each account's orders count: joined to the balances, it is computed once and not for each member."""
    condition: ColumnElement[bool]

    @classmethod
    def of(cls, connection: Connection, name: str, now: datetime) -> Self:
        """Raises `FieldErrors`."""
        tiers = current_tiers(connection)
        levels = tiers.levels if tiers else ()
        if tiers is None or name not in [level.name for level in levels]:
            names = ", ".join(level.name for level in levels)
            known = f"the tiers are {names}" if levels else "the programme has no tiers"
            raise field_error("tier", f"is not a tier of the programme: {known}")
        totals = totals_in_window(tiers, now=now)
        customer_id, merge, total = dust_balance.c.customer_id, customer_merge.c, func.coalesce(totals.c.total, 0)
        by_orders: list[ColumnElement[bool]] = []
        for level, following in zip_longest(levels, levels[1:]):
            if level.name == name:
                below = total < following.threshold if following else true()
                by_orders.append(and_(total >= level.threshold, below))
        merged = select(merge.customer_id).where(merge.unmerged_at.is_(None))
        survivors = select(merge.survivor_id).where(merge.unmerged_at.is_(None))
        return cls(totals=totals, condition=or_(*by_orders, customer_id.in_(merged), customer_id.in_(survivors)))


def _query(only: MemberFilter, in_tier: _InTier | None, sort: MemberSort, after: tuple[Any, str] | None) -> Select[Any]:
    balance, column = dust_balance.c, _COLUMNS[sort.removeprefix("-")]
    query = select(
        balance.customer_id, balance.balance, balance.held, balance.pending, balance.updated_at.label("last_activity")
    )
    if only.text is not None:
        matches = balance.customer_id.icontains(only.text, autoescape=True)
        query = query.where(or_(matches, among(balance.customer_id, list(only.or_ids))) if only.or_ids else matches)
    if only.negative:
        query = query.where(balance.balance < 0)
    if only.min_balance is not None:
        query = query.where(balance.balance >= only.min_balance)
    if only.max_balance is not None:
        query = query.where(balance.balance <= only.max_balance)
    if only.active_since is not None:
        query = query.where(balance.updated_at >= only.active_since)
    if only.active_until is not None:
        query = query.where(balance.updated_at < only.active_until)
    if in_tier is not None:
        query = query.outerjoin(in_tier.totals, in_tier.totals.c.customer_id == balance.customer_id)
        query = query.where(in_tier.condition)
    place = tuple_(column, balance.customer_id)
    if sort.startswith("-"):
        query = query.where(place < after) if after else query
        return query.order_by(column.desc(), balance.customer_id.desc())
    query = query.where(place > after) if after else query
    return query.order_by(column, balance.customer_id)


def _with_tiers(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> Iterator[Member]:
    tiers = read_tiers(connection, [CustomerId(row.customer_id) for row in rows], now=now)
    for row in rows:
        tier = tiers.get(CustomerId(row.customer_id))
        level = tier.level if tier else None
        yield Member(**row._mapping, tier=level.name if level else None)
