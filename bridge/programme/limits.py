"""Limits on what one customer's orders earn together. Pure arithmetic.

A customer's orders are sorted by the time they were placed. Each gets what the orders before it leave of the limits.
The result depends only on the orders as they are now, not on the sequence in which Dust learned of them: when an order
is canceled, later ones get its part.

Example, 500 a day: orders worth 400, 300 and 50 get 400, 100 and 0. The first is canceled: 0, 300 and 50.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import Field

from bridge.counted import counted
from bridge.ids import CustomerId
from bridge.ledger.postings import MAX_DUST
from bridge.programme.days import local_date, start_of_day
from bridge.programme.fields import Part, Whole

_ONLY_ACCOUNT = CustomerId("")


class WindowLimit(Part):
    dust: Whole = Field(ge=1, le=MAX_DUST)
    days: Whole = Field(ge=1, le=3650)


class Limits(Part):
    """The most points that may be earned. Anything above is not earned."""

    per_order: Whole | None = Field(default=None, ge=1, le=MAX_DUST, description="Maximum points earned by one order")
    per_day: Whole | None = Field(
        default=None,
        ge=1,
        le=MAX_DUST,
        description="Maximum points earned by all orders that a customer places on one day",
    )
    per_customer: WindowLimit | None = Field(
        default=None, description="Maximum points earned by all orders that a customer places within a number of days"
    )

    @property
    def span_orders(self) -> bool:
        """Whether an order's points depend on other orders of the customer."""
        return self.per_day is not None or self.per_customer is not None


@dataclass(frozen=True, kw_only=True)
class EarningRequest:
    """What an order would earn if it were its customer's only one, and the limits of its version of the rules."""

    order_id: str
    placed_at: datetime
    worth: int
    limits: Limits
    time_zone: str = "UTC"
    """The time zone of those rules, where a day begins."""
    account: CustomerId = _ONLY_ACCOUNT
    """The account that it was placed with. Most customers have only one."""


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What an order earns under the limits; `why` is set if that is less than its worth."""

    dust: int
    why: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Tally:
    """An account's orders so far: when each was placed, and the running sum of what they earned."""

    times: list[datetime] = field(default_factory=list)
    sums: list[int] = field(default_factory=lambda: [0])

    def earned_after(self, moment: datetime) -> int:
        return self.sums[-1] - self.sums[bisect_right(self.times, moment)]

    def add(self, moment: datetime, dust: int) -> None:
        self.times.append(moment)
        self.sums.append(self.sums[-1] + dust)


def apply_limits(
    requests: Iterable[EarningRequest], merged_at: Mapping[CustomerId, datetime | None] | None = None
) -> dict[str, Allowed]:
    """Return what each of one customer's orders gets, by order id.

    `merged_at` holds when each account was merged; from then on its orders count together with the others. Earlier
    orders do not, so that no customer loses points by a merge.
    """
    since = merged_at or {}
    allowed: dict[str, Allowed] = {}
    tallies: dict[CustomerId, _Tally] = {}
    for request in sorted(requests, key=lambda request: (request.placed_at, request.order_id)):
        tallied = [tally for account, tally in tallies.items() if _count_together(request, account, since)]
        own = Allowed(dust=request.worth)
        for maximum, since_when, wording in _limits(request):
            left = max(0, maximum - sum(tally.earned_after(since_when) for tally in tallied))
            if left < own.dust:
                own = Allowed(dust=left, why=f"Worth {counted(request.worth, 'point')}, limited to {wording}.")
        allowed[request.order_id] = own
        tallies.setdefault(request.account, _Tally()).add(request.placed_at, own.dust)
    return allowed


def _count_together(request: EarningRequest, account: CustomerId, since: Mapping[CustomerId, datetime | None]) -> bool:
    """Whether the account's orders count: it is the request's own account, or both were merged before the request."""
    moments = (since.get(account), since.get(request.account))
    return account == request.account or all(moment is None or moment <= request.placed_at for moment in moments)


def _limits(request: EarningRequest) -> Iterable[tuple[int, datetime, str]]:
    """Yield for each limit its points, the moment after which orders count, and its wording."""
    limits = request.limits
    if limits.per_day is not None:
        midnight = start_of_day(local_date(request.placed_at, request.time_zone), request.time_zone)
        yield limits.per_day, midnight - timedelta.resolution, f"{limits.per_day:,} a day"
    if limits.per_customer is not None:
        dust, days = limits.per_customer.dust, limits.per_customer.days
        yield dust, request.placed_at - timedelta(days=days), f"{dust:,} in {counted(days, 'day')}"
