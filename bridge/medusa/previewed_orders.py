"""An order's document as Medusa would give it after a change that a merchant is about to make (2.21.2).

A cancel, a return or a refund is computed here. What Medusa changes was read from captured orders: after a return, the
totals of a line shrink with its units, and its adjustments stay as they were. A refund of more than the customer is
owed adds a credit line. An open order edit, return, exchange or claim is computed by Medusa.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from bridge.errors import InvalidInput
from bridge.medusa.currencies import format_money

_SHRINKING = ("total", "subtotal", "tax_total", "discount_total", "discount_subtotal")


class ImpossibleChange(InvalidInput):
    """The order cannot be changed like this."""

    code = "impossible_change"


@dataclass(frozen=True, kw_only=True)
class OrderChange:
    """What a merchant is about to do with an order.

    `returns` are units by line item id. `refund` is in major units; None refunds what the customer is owed.
    """

    cancel: bool = False
    returns: Mapping[str, Decimal]
    refund: Decimal | None = None


def changed(document: Mapping[str, Any], change: OrderChange, *, now: datetime) -> dict[str, Any]:
    """Return the order's document after the change. Amounts in it are `Decimal`. Raises `ImpossibleChange`."""
    after = {**document, "version": document["version"] + 1, "updated_at": now}
    if change.cancel:
        return {**after, "status": "canceled", "canceled_at": now}
    unknown = change.returns.keys() - {item["id"] for item in document["items"]}
    if unknown:
        raise ImpossibleChange(f"returns: the order has no line item {min(unknown)}.")
    items = [_returned(item, change.returns.get(item["id"], Decimal(0))) for item in document["items"]]
    less = sum((old["total"] - new["total"] for old, new in zip(document["items"], items, strict=True)), Decimal(0))
    after |= {"items": items, "total": document["total"] - less}
    return _refunded(after, change.refund)


def with_open_change(
    document: Mapping[str, Any], preview: Mapping[str, Any], products: Mapping[str, Any], *, now: datetime
) -> dict[str, Any]:
    """Return the order's document after the edit, return, exchange or claim that is open in Medusa was confirmed.

    `preview` is Medusa's own preview of it. It has the lines with their totals, but not their products: a new line gets
    its product from `products`, by id. Raises `ImpossibleChange` if no change is open.
    """
    if not preview.get("order_change"):
        raise ImpossibleChange("open_change: the order has no open edit, return, exchange or claim in Medusa.")
    present = {item["id"]: item for item in document["items"]}
    # Medusa removes a line of no units when an edit is confirmed.
    items = [
        {"product": products.get(item["product_id"]), **present.get(item["id"], {}), **item}
        for item in preview["items"]
        if item["quantity"]
    ]
    after = {name: preview[name] for name in preview.keys() & document.keys()}
    return {**document, **after, "items": items, "version": document["version"] + 1, "updated_at": now}


def _returned(item: Mapping[str, Any], units: Decimal) -> dict[str, Any]:
    if not units:
        return dict(item)
    detail = item.get("detail") or {}
    received = Decimal(detail.get("return_received_quantity") or 0)
    left = Decimal(item["quantity"]) - received - Decimal(detail.get("return_dismissed_quantity") or 0)
    if units > left:
        title = item.get("title") or item["id"]
        raise ImpossibleChange(
            f"returns: {units:f} of {title} are too many: the customer has {max(left, Decimal(0)):f}."
        )
    kept = (left - units) / left
    totals = {name: item[name] * kept for name in _SHRINKING if item.get(name) is not None}
    received_total = Decimal(item.get("return_received_total") or 0) + item["total"] - totals["total"]
    return {
        **item,
        **totals,
        "return_received_total": received_total,
        "detail": {**detail, "return_received_quantity": received + units},
    }


def _refunded(order: dict[str, Any], refund: Decimal | None) -> dict[str, Any]:
    summary = order.get("summary")
    if summary is None:
        return order
    received = Decimal(summary["transaction_total"])
    # What a gift card paid cannot be refunded as money.
    owed = min(max(received - order["total"], Decimal(0)), received)
    amount = owed if refund is None else refund
    if amount > received:
        asked, paid = (format_money(money, order["currency_code"]) for money in (amount, received))
        raise ImpossibleChange(f"refund: {asked} is more than the {paid} that the order was paid with.")
    summary = {
        **summary,
        "transaction_total": received - amount,
        "refunded_total": Decimal(summary.get("refunded_total") or 0) + amount,
    }
    order = {**order, "summary": summary}
    # A refund without a return: Medusa takes it off the order's total by a credit line.
    credit = amount - owed
    if credit <= 0:
        return order
    line = {"amount": credit, "reference": "payment_collection", "metadata": {"created_in_version": order["version"]}}
    return {
        **order,
        "total": order["total"] - credit,
        "credit_line_total": Decimal(order.get("credit_line_total") or 0) + credit,
        "credit_lines": None if order.get("credit_lines") is None else [*order["credit_lines"], line],
    }
