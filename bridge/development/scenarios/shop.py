"""The shop of a scenario: orders as Medusa returns them, and promotions, served on a loopback port.

It behaves as Medusa 2.21.2 was seen to with discounts and returns, for prices without tax only.
"""

import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bridge.clock import now
from bridge.development.scenarios.document import PlaceOrder
from bridge.redemptions.repository import Code

Json = dict[str, Any]


@dataclass(kw_only=True)
class ShopOrder:
    """An order and its changes. `codes` are the redemption codes that discount it."""

    placed: PlaceOrder
    placed_at: datetime
    updated_at: datetime
    codes: tuple[Code, ...]
    version: int = 1
    status: str = "pending"
    paid: bool = False
    returned: dict[str, int] = field(default_factory=dict)
    credit: Decimal = Decimal(0)

    def document(self) -> Json:
        """The order as the Admin API returns it now."""
        items = self._items()
        total = sum((item["total"] for item in items), Decimal(0)) - self.credit
        order: Json = {
            "id": self.placed.order,
            "customer_id": self.placed.customer,
            "customer": {
                "id": self.placed.customer,
                "has_account": True,
                "groups": [{"id": group} for group in self.placed.groups],
            },
            "currency_code": self.placed.currency,
            "status": self.status,
            "payment_status": "captured" if self.paid else "authorized",
            "version": self.version,
            "created_at": _iso(self.placed_at),
            "updated_at": _iso(self.updated_at),
            "canceled_at": _iso(self.updated_at) if self.status == "canceled" else None,
            "total": total,
            "credit_line_total": self.credit,
            "shipping_total": 0,
            "shipping_tax_total": 0,
            "items": items,
            "promotions": [{"id": code.promotion_id, "code": code.code} for code in self.codes],
        }
        plain: Json = json.loads(json.dumps(order, default=float))
        return plain

    def _items(self) -> list[Json]:
        prices = [item.price * item.quantity for item in self.placed.items]
        order_price, items = sum(prices, Decimal(0)), []
        back = dict(self.returned)
        for number, (item, price) in enumerate(zip(self.placed.items, prices, strict=True)):
            share = price / order_price if order_price else Decimal(0)
            adjustments = [("OTHER", min(self.placed.discount, order_price) * share)] if self.placed.discount else []
            adjustments += [
                (code.code, amount) for code in self.codes if (amount := self._taken_off(code, number, share))
            ]
            returned = min(back.get(item.product, 0), item.quantity)
            back[item.product] = back.get(item.product, 0) - returned
            kept = item.quantity - returned
            left = min(sum((amount for _, amount in adjustments), Decimal(0)), price) * kept / item.quantity
            items.append(
                {
                    "id": f"{self.placed.order}-{number + 1}",
                    "product_id": item.product,
                    "product": {
                        "categories": [{"id": category} for category in item.categories],
                        "collection_id": item.collection,
                    },
                    "unit_price": item.price,
                    "quantity": item.quantity,
                    "detail": {"quantity": item.quantity, "return_received_quantity": returned},
                    "subtotal": item.price * kept,
                    "total": item.price * kept - left,
                    "tax_total": 0,
                    "discount_total": left,
                    "is_tax_inclusive": False,
                    # A return reduces the totals, not these.
                    "adjustments": [{"code": code, "amount": amount, "total": amount} for code, amount in adjustments],
                }
            )
        return items

    def _taken_off(self, code: Code, number: int, share: Decimal) -> Decimal:
        item = self.placed.items[number]
        if code.product_id is None:
            return (code.value or Decimal(0)) * share
        first = next(place for place, placed in enumerate(self.placed.items) if placed.product == item.product)
        pays = item.product == code.product_id and number == first
        return item.price * min(item.quantity, code.quantity or 0) if pays else Decimal(0)


class Shop:
    """Its orders and promotions, and `answer` for calls of Dust."""

    def __init__(self) -> None:
        self.orders: dict[str, ShopOrder] = {}
        self._promotions: dict[str, Json] = {}

    def unusable(self, codes: Iterable[Code]) -> set[str]:
        """The codes that the checkout refuses."""
        usable = {promotion["code"] for promotion in self._promotions.values() if not promotion["used"]}
        return {code.code for code in codes} - usable

    def use(self, codes: Iterable[Code]) -> None:
        """Mark codes as used by an order."""
        used = {code.code for code in codes}
        for promotion in self._promotions.values():
            promotion["used"] += promotion["code"] in used

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Json) -> tuple[int, Json]:
        if path == "/admin/promotions" and method == "POST":
            promotion = {**body, "id": f"promo_{body['code']}", "used": 0}
            self._promotions[promotion["id"]] = promotion
            return 200, {"promotion": promotion}
        if path == "/admin/promotions":
            wanted = {*query.get("code", ()), *query.get("code[]", ())}
            return 200, {
                "promotions": [promotion for promotion in self._promotions.values() if promotion["code"] in wanted]
            }
        if method == "DELETE" and (match := re.fullmatch(r"/admin/promotions/(.+)", path)):
            self._promotions.pop(match[1], None)
            return 200, {"id": match[1], "object": "promotion", "deleted": True}
        if path == "/admin/orders":
            customer_id = query.get("customer_id", [""])[0]
            rows = [order.document() for order in self.orders.values() if order.placed.customer == customer_id]
            return 200, {"orders": rows, "count": len(rows), "offset": 0, "limit": 100}
        if match := re.fullmatch(r"/admin/customers/(.+)", path):
            # All customers have an account with a unique address.
            at = _iso(now())
            account = {"id": match[1], "email": f"{match[1]}@example.com", "has_account": True}
            return 200, {"customer": {**account, "created_at": at, "updated_at": at}}
        return 404, {"type": "not_found", "message": f"The shop of a scenario has no {method} {path}."}


@contextmanager
def serving(shop: Shop) -> Iterator[str]:
    """Serve this shop during the block. Yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            status, document = shop.answer(self.command, parts.path, parse_qs(parts.query), body)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - as the standard library calls them

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
