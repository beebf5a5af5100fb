"""Explain in words which rules determined an order's points, from the order's row."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from bridge.ids import CustomerId
from bridge.settlement.tables import order_settlement


def rules_at_work(connection: Connection, customer_id: CustomerId) -> dict[str, str]:
    """Return, by order, the rules other than the rate that changed its points, in words."""
    query = select(order_settlement).where(order_settlement.c.customer_id == customer_id)
    reasons = {row.order_id: "; ".join(_of_order(row)) for row in connection.execute(query)}
    return {order_id: words for order_id, words in reasons.items() if words}


def _of_order(row: Row[Any]) -> Iterable[str]:
    yield from _of_lines(row.lines.values())
    if row.tier:
        yield f"tier {row.tier['name']}, factor {row.tier['factor']}"
    if row.booked and row.note:
        yield str(row.note).rstrip(".").lower()


def _of_lines(lines: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    lines = list(lines)
    # Each name once, in the order of the lines.
    names = dict.fromkeys(name for line in lines for name in line.get("multipliers", ()))
    if names:
        yield "multiplied by " + ", ".join(names)
    fixed = dict.fromkeys(line["fixed"] for line in lines if "fixed" in line)
    if fixed:
        yield "fixed points for some products: " + ", ".join(f"{dust} each" for dust in fixed)
    if any(line.get("excluded") for line in lines):
        yield "some products earn nothing"
