"""Compare two programmes over the same orders: what each would give, by month, by rule, and by order."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog

from bridge.db.rows import TypedRow
from bridge.errors import InvalidInput
from bridge.medusa.client import Json
from bridge.medusa.orders import Order, read_order
from bridge.programme.rules import Programme
from bridge.programme.versions import Version
from bridge.settlement.stored_lines import read_lines
from bridge.simulation.sandbox import sandbox

log = structlog.get_logger(__name__)

_RATE_ALONE = "rate alone"
_THE_REST = "shipping, rounding, limits"


@dataclass(kw_only=True)
class Slice:
    """Some of the orders, and the whole points that they earn by the present and by the changed rules."""

    name: str
    orders: int = 0
    now: int = 0
    then: int = 0

    @property
    def difference(self) -> int:
        return self.then - self.now

    def add(self, now: int, then: int) -> None:
        self.orders += 1
        self.now += now
        self.then += then


@dataclass(frozen=True, kw_only=True)
class Affected(TypedRow):
    """An order that earns a different number of points."""

    order_id: str
    customer_id: str | None
    placed_at: datetime
    currency_code: str
    now: int
    then: int
    difference: int


@dataclass(kw_only=True)
class Comparison:
    """The result of a comparison.

    `by_rule` splits the points by the rules applied to each line; its parts add up to the total.
    """

    since: datetime
    until: datetime
    total: Slice = field(default_factory=lambda: Slice(name="all"))
    changed: int = 0
    customers: int = 0
    by_month: list[Slice] = field(default_factory=list)
    by_currency: list[Slice] = field(default_factory=list)
    by_rule: list[Slice] = field(default_factory=list)
    most_affected: list[Affected] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def read_pages(
    pages: Iterable[list[Json]], *, until: datetime, unreadable: list[str]
) -> Iterator[list[tuple[Json, Order]]]:
    """Yield orders placed before `until`.

    Pages are sorted by placing time, so the first later order ends the reading.
    """
    for page in pages:
        readable = []
        for document in page:
            try:
                readable.append((document, read_order(document)))
            except InvalidInput as error:
                unreadable.append(str(document.get("id")))
                log.error("order_unreadable", order_id=document.get("id"), reason=error.message)
        yield [(document, order) for document, order in readable if order.placed_at < until]
        if any(order.placed_at >= until for _, order in readable):
            return


def compare(
    pages: Iterable[list[Json]],
    present: Programme,
    changed: Programme,
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    top: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Comparison:
    """Settle the orders of these pages by both programmes in sandboxes, and compare the results."""
    comparison = Comparison(since=since, until=until)
    with ExitStack() as stack:
        sides = [stack.enter_context(sandbox(programme, now=now)) for programme in (present, changed)]
        for page in read_pages(pages, until=until, unreadable=comparison.unreadable):
            orders = [order for _, order in page]
            for side in sides:
                side.settle(orders, now=now)
            progress(len(orders))
        _add_up(comparison, zip(sides[0].rows(), sides[1].rows(), strict=True), top)
    return comparison


def begins_at_nothing(*programmes: Programme) -> bool:
    """Whether limits or tiers look back on orders that a comparison does not know, those from before its start."""
    return any(programme.earn.limits.span_orders or programme.tiers.levels for programme in programmes)


def as_document(comparison: Comparison, present: Version, changed: Programme) -> dict[str, Any]:
    """Return a comparison with the version `present` as a document for programs."""
    return {
        "since": comparison.since,
        "until": comparison.until,
        "present_version": present.number,
        **_slice_document(comparison.total),
        "changed": comparison.changed,
        "customers": comparison.customers,
        "by_month": [_slice_document(part) for part in comparison.by_month],
        "by_currency": [_slice_document(part) for part in comparison.by_currency],
        "by_rule": [_slice_document(part) for part in comparison.by_rule],
        "most_affected": [vars(customer) for customer in comparison.most_affected],
        "unreadable": comparison.unreadable,
        "limits_and_tiers_begin_at_nothing": begins_at_nothing(present.programme, changed),
    }


def _slice_document(part: Slice) -> dict[str, Any]:
    return {**vars(part), "difference": part.difference}


def _add_up(comparison: Comparison, pairs: Iterable[tuple[Any, Any]], top: int) -> None:
    months: dict[str, Slice] = {}
    by_currency: dict[str, Slice] = {}
    rules: dict[str, tuple[set[str], list[Decimal]]] = {}
    customers: set[str] = set()
    affected: list[tuple[int, str, Affected]] = []
    for present, changed in pairs:
        now, then, code = present.booked, changed.booked, present.currency_code
        month = f"{present.placed_at:%Y-%m}"
        for slice_ in (
            comparison.total,
            months.setdefault(month, Slice(name=month)),
            by_currency.setdefault(code, Slice(name=code)),
        ):
            slice_.add(now, then)
        for place, row in enumerate((present, changed)):
            for name, dust in _by_rule(row).items():
                orders, sums = rules.setdefault(name, (set(), [Decimal(0), Decimal(0)]))
                orders.add(row.order_id)
                sums[place] += dust
        if now != then:
            comparison.changed += 1
            customers.add(present.customer_id)
            order = Affected.from_row(present, now=now, then=then, difference=then - now)
            heapq.heappush(affected, (abs(order.difference), order.order_id, order))
            if len(affected) > top:
                heapq.heappop(affected)
    comparison.customers = len(customers)
    comparison.by_month = [months[name] for name in sorted(months)]
    comparison.by_currency = [by_currency[name] for name in sorted(by_currency)]
    comparison.by_rule = _rounded(comparison.total, rules)
    comparison.most_affected = [order for _, _, order in sorted(affected, reverse=True)]


def _by_rule(row: Any) -> dict[str, Decimal]:
    """Return the exact points of an order's lines by the rules that gave them, from the order's row."""
    sums: dict[str, Decimal] = {}
    if row.booked:
        for line in read_lines(row.lines).values():
            name = " × ".join(line.terms.multipliers) or _RATE_ALONE
            if line.terms.fixed is not None:
                name = "fixed points" if name == _RATE_ALONE else f"fixed points × {name}"
            if line.points:
                sums[name] = sums.get(name, Decimal(0)) + line.points
    return sums


def _rounded(total: Slice, rules: Mapping[str, tuple[set[str], list[Decimal]]]) -> list[Slice]:
    """Return whole points per rule. A last slice has the difference to the total: shipping, rounding and limits."""
    slices = [
        Slice(name=name, orders=len(orders), now=int(sums[0]), then=int(sums[1]))
        for name, (orders, sums) in sorted(rules.items())
    ]
    rest = Slice(
        name=_THE_REST,
        orders=total.orders,
        now=total.now - sum(part.now for part in slices),
        then=total.then - sum(part.then for part in slices),
    )
    return [*slices, rest] if rest.now or rest.then else slices
