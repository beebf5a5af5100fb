"""Limits on what one customer's orders earn together. Pure arithmetic.

A customer's orders are sorted by the time they were placed. Each gets what the limits leave it after those before. The
result depends only on the orders as they are now, not on the sequence in which Dust learned of them: when an order is
canceled, later ones get its part.

A worked row, 500 a day: orders worth 400, 300 and 50 get 400, 100 and 0. The first is canceled: 0, 300 and 50.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.programme.days import local_date, start_of_day
from bridge.programme.rules import Limits


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What an order would earn if it were its customer's only one, and the limits of its version of the rules."""

    order_id: str
    placed_at: datetime
    worth: int
    limits: Limits
    time_zone: str = "UTC"
    """The time zone of those rules, where a day begins."""
    account: str = ""
    """The account that it was placed with. Most customers have only one."""


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What an order earns under the limits; `why` is set if that is less than its worth."""

    dust: int
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Tally:
    """An account's orders so far: when each was placed, and the running sum of what they got."""

    times: list[datetime] = field(default_factory=list)
    sums: list[int] = field(default_factory=lambda: [0])

    def after(self, moment: datetime) -> int:
        return self.sums[-1] - self.sums[bisect_right(self.times, moment)]

    def add(self, moment: datetime, dust: int) -> None:
        self.times.append(moment)
        self.sums.append(self.sums[-1] + dust)


def share_out(claims: Iterable[Claim], merged_at: Mapping[str, datetime | None] | None = None) -> dict[str, Allowed]:
    """Return what each of one customer's orders gets, by order id.

    `merged_at` holds when each account was merged; from then on its orders count together with the others. Earlier
    orders do not, so that no customer loses points by a merge.
    """
    since = merged_at or {}
    allowed: dict[str, Allowed] = {}
    tallies: dict[str, _Tally] = {}
    for claim in sorted(claims, key=lambda each: (each.placed_at, each.order_id)):
        counted = [tally for account, tally in tallies.items() if _count_together(claim, account, since)]
        found = Allowed(dust=claim.worth)
        for most, after, words in _limits(claim):
            left = max(0, most - sum(tally.after(after) for tally in counted))
            if left < found.dust:
                found = Allowed(dust=left, why=f"Worth {claim.worth} dust, limited to {words}.")
        allowed[claim.order_id] = found
        tallies.setdefault(claim.account, _Tally()).add(claim.placed_at, found.dust)
    return allowed


def _count_together(claim: Claim, account: str, since: Mapping[str, datetime | None]) -> bool:
    moments = (since.get(account), since.get(claim.account))
    return account == claim.account or all(moment is None or moment <= claim.placed_at for moment in moments)


def _limits(claim: Claim) -> Iterable[tuple[int, datetime, str]]:
    """Yield for each limit its points, the moment after which orders count, and its wording."""
    limits = claim.limits
    if limits.per_day is not None:
        midnight = start_of_day(local_date(claim.placed_at, claim.time_zone), claim.time_zone)
        yield limits.per_day, midnight - timedelta.resolution, f"{limits.per_day} a day"
    if limits.per_customer is not None:
        dust, days = limits.per_customer.dust, limits.per_customer.days
        yield dust, claim.placed_at - timedelta(days=days), f"{dust} in {days} days"
