"""Which rules determined an order's points, from the order's row."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from bridge.ids import CustomerId
from bridge.settlement.stored_lines import read_lines
from bridge.settlement.tables import order_settlement


@dataclass(frozen=True, kw_only=True)
class OrderRules:
    """The rules other than the rate that changed an order's points."""

    multipliers: tuple[str, ...]
    """Names, each once, in the order of the lines."""
    fixed: tuple[str, ...]
    """Points for each unit of some products, instead of the rate."""
    excluded: bool
    """Whether some products earn nothing."""
    tier: str | None
    tier_factor: str | None
    note: str | None
    """Why it earns less than it is worth."""

    def __str__(self) -> str:
        return "; ".join(self._words())

    def _words(self) -> Iterable[str]:
        if self.multipliers:
            yield "multiplied by " + ", ".join(self.multipliers)
        if self.fixed:
            yield "fixed points for some products: " + ", ".join(f"{dust} each" for dust in self.fixed)
        if self.excluded:
            yield "some products earn nothing"
        if self.tier:
            yield f"tier {self.tier}, factor {self.tier_factor}"
        if self.note:
            yield self.note.rstrip(".").lower()


def rules_at_work(connection: Connection, customer_id: CustomerId) -> dict[str, OrderRules]:
    """Return the rules that changed points of the customer's orders, by order; none for orders with the rate alone."""
    query = select(order_settlement).where(order_settlement.c.customer_id == customer_id)
    rules = {row.order_id: _of_order(row) for row in connection.execute(query)}
    return {order_id: rules_of_order for order_id, rules_of_order in rules.items() if str(rules_of_order)}


def _of_order(row: Row[Any]) -> OrderRules:
    terms = [line.terms for line in read_lines(row.lines).values()]
    return OrderRules(
        multipliers=tuple(dict.fromkeys(name for line_terms in terms for name in line_terms.multipliers)),
        fixed=tuple(dict.fromkeys(str(line_terms.fixed) for line_terms in terms if line_terms.fixed is not None)),
        excluded=any(line_terms.excluded for line_terms in terms),
        tier=row.tier["name"] if row.tier else None,
        tier_factor=str(row.tier["factor"]) if row.tier else None,
        note=str(row.note) if row.booked and row.note else None,
    )
