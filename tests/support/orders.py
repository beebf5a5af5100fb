"""Orders in the shape that Medusa 2.21.2 gives, built on the captured one in `tests/samples`."""

import copy
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.clock import START

SAMPLES = Path(__file__).parent.parent / "samples"
# The day before the tests' today, in the morning.
PLACED = START.replace(hour=6) - timedelta(days=1)


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


_CAPTURED = sample("order_with_promotion_full_fields")


def line(
    line_id: str = "ordli_1",
    *,
    product_id: str = "prod_shirt",
    price: float = 10,
    quantity: float = 1,
    returned: float = 0,
    discount: float = 0,
    code: str | None = None,
    categories: tuple[str, ...] = (),
    collection: str | None = None,
) -> dict[str, Any]:
    """A line without tax. `discount` is for all of its units; of a return its share goes with the units."""
    item = copy.deepcopy(_CAPTURED["items"][0])
    kept = quantity - returned
    left = discount * kept / quantity
    adjustment = {**item["adjustments"][0], "code": code, "amount": discount, "subtotal": discount, "total": discount}
    item.update(
        id=line_id,
        product_id=product_id,
        unit_price=price,
        quantity=quantity,
        subtotal=price * kept,
        total=price * kept - left,
        tax_total=0,
        discount_total=left,
        discount_subtotal=left,
        adjustments=[adjustment] if code else [],
        product={"categories": [{"id": category} for category in categories], "collection_id": collection},
    )
    item["detail"].update(quantity=quantity, return_received_quantity=returned)
    return item


def order(
    order_id: str = "order_1",
    *,
    customer_id: str = "cus_1",
    lines: list[dict[str, Any]] | None = None,
    version: int = 1,
    updated: datetime | None = None,
    placed: datetime = PLACED,
    status: str = "pending",
    payment_status: str = "authorized",
    currency_code: str = "eur",
    guest: bool = False,
    shipping: float = 0,
    credit: float = 0,
    shipping_code: str | None = None,
    shipping_discount: float = 0,
    email: str | None = None,
    groups: tuple[str, ...] = (),
) -> dict[str, Any]:
    """An order of one line for 10 eur by default. `credit` was refunded without a return.

    `shipping` is what remains to pay for it, after `shipping_discount` was taken off by `shipping_code`.
    """
    document = copy.deepcopy(_CAPTURED)
    items = lines if lines is not None else [line()]
    moved = updated or placed + timedelta(minutes=version - 1)
    taken = {"code": shipping_code, "amount": shipping_discount, "total": shipping_discount}
    methods = [{"id": "ordsm_1", "discount_total": shipping_discount, "adjustments": [taken] if shipping_code else []}]
    codes = {a["code"] for line in [*items, *methods] for a in line["adjustments"]}
    total = sum(item["total"] for item in items)
    document.update(
        id=order_id,
        customer_id=customer_id,
        customer={"id": customer_id, "has_account": not guest, "groups": [{"id": group} for group in groups]},
        email=email or document["email"],
        items=items,
        shipping_methods=methods,
        version=version,
        created_at=iso(placed),
        updated_at=iso(moved),
        status=status,
        canceled_at=iso(moved) if status == "canceled" else None,
        payment_status=payment_status,
        currency_code=currency_code,
        item_total=total,
        item_tax_total=0,
        total=total + shipping - credit,
        credit_line_total=credit,
        shipping_total=shipping,
        shipping_tax_total=0,
        promotions=[{"id": f"promo_{code}", "code": code, "metadata": None} for code in sorted(codes)],
    )
    return document


def event(kind: str, data: dict[str, Any], at: datetime = PLACED) -> bytes:
    """The body of a webhook."""
    return json.dumps({"type": kind, "timestamp": iso(at), "data": data}).encode()


def order_event(document: dict[str, Any], kind: str = "order.placed") -> bytes:
    """The body of a webhook that carries the order along."""
    return event(kind, {"id": document["id"], "order": document})


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
