"""Lots: points that came in together, and the changes that a posting makes to them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

from bridge.db.rows import TypedRow

_NEVER = datetime.max.replace(tzinfo=UTC)


REVERSIBLE = frozenset({"order", "referral", "import", "waived"})
"""Source types whose points can be reversed; `waived` are points of an order or a referral."""


@dataclass(kw_only=True)
class Lot(TypedRow):
    """Points that came in together, with one source and one set of dates.

    `remaining` counts towards the balance once `matured`, and towards pending before. A lot that has not matured and
    has no `matures_at` waits for the payment of its order.
    """

    id: str
    source_type: str
    source_id: str
    amount: int
    remaining: int
    held: int = 0
    matured: bool
    matures_at: datetime | None = None
    expires_at: datetime | None = None
    created_at: datetime
    origin_version: int

    @property
    def free(self) -> int:
        """Points that may be spent: matured and not on hold."""
        return self.remaining - self.held if self.matured else 0

    @property
    def pending_until_paid(self) -> bool:
        return not self.matured and self.matures_at is None

    def expired(self, moment: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= moment


class LotDates(TypedDict, total=False):
    """Dates of a new lot. Without `matures_at` it matures at once, without `expires_at` it never expires."""

    matures_at: datetime | None
    expires_at: datetime | None
    pending_until_paid: bool
    """Pending until their order is paid, whatever `matures_at` says."""


@dataclass(frozen=True, kw_only=True)
class LotTransfer(TypedRow):
    """Part of a lot on its way to another account. It keeps its dates and its source."""

    amount: int
    source_type: str
    source_id: str
    matured: bool
    matures_at: datetime | None
    expires_at: datetime | None
    created_at: datetime

    def to_lot(self, lot_id: str, *, origin_version: int) -> Lot:
        """Return the empty lot that will hold the part in the other account."""
        return Lot(id=lot_id, remaining=0, origin_version=origin_version, **vars(self))


@dataclass(frozen=True, kw_only=True)
class LotMove:
    """The change of a lot's remaining and held points by one posting."""

    lot_id: str
    remaining: int = 0
    held: int = 0


def soonest_first(lot: Lot) -> tuple[datetime, datetime, int, str]:
    """Sort key: soonest expiry first.

    Lots created in one batch, at the same moment, sort by `origin_version`: ids do not give the sequence.
    """
    return (lot.expires_at or _NEVER, lot.created_at, lot.origin_version, lot.id)


class Moves:
    """Applies one posting's changes to lots, and collects them, one `LotMove` per lot."""

    def __init__(self) -> None:
        self._changes: dict[str, list[int]] = {}
        self.owned = 0
        """The change of the matured lots together, which make up the balance."""

    def add(self, lot: Lot, *, remaining: int = 0, held: int = 0) -> None:
        lot.remaining += remaining
        lot.held += held
        self.owned += remaining if lot.matured else 0
        change = self._changes.setdefault(lot.id, [0, 0])
        change[0] += remaining
        change[1] += held

    def mature(self, lot: Lot) -> None:
        lot.matured = True
        self.owned += lot.remaining
        self._changes.setdefault(lot.id, [0, 0])

    def take(self, lots: Iterable[Lot], amount: int) -> int:
        """Take up to `amount` of the points not on hold from these lots, in sequence; return the points taken."""
        left = amount
        for lot in lots:
            part = min(left, lot.remaining - lot.held)
            if part > 0:
                self.add(lot, remaining=-part)
                left -= part
        return amount - left

    def reserve(self, lots: Iterable[Lot], amount: int) -> None:
        for lot in lots:
            part = min(amount, lot.free)
            if part > 0:
                self.add(lot, held=part)
                amount -= part

    def collected(self) -> tuple[LotMove, ...]:
        return tuple(LotMove(lot_id=lot, remaining=change[0], held=change[1]) for lot, change in self._changes.items())
