"""A stand-in for Medusa: the calls that Dust makes, with the behaviour that was seen on a real 2.21.2.

It keeps state (promotions, carts, orders), and can be set to be away, to refuse, or to do what it is asked and then
lose the reply. Use it through respx in the process (`mounted`), or over a real socket (`serving`).
"""

import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import ge, gt, lt
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import respx

from tests.support.clock import START

Answer = tuple[int, Any]
URL = "http://medusa.test"
API_KEY = "sk_test_0123456789"
PUBLISHABLE_KEY = "pk_test_0123456789"


# The plugin's `MAX_CODES`.
PLUGIN_CODES = 100

# Some of the 126 that Medusa 2.21.2 has.
CURRENCIES = {"eur": 2, "usd": 2, "gbp": 2, "dkk": 2, "pln": 2, "jpy": 0, "huf": 0, "irt": 0, "kwd": 3, "bhd": 3}


class FakeMedusa:
    """State, and `handle` that answers a call as Medusa would."""

    def __init__(self) -> None:
        self.promotions: dict[str, dict[str, Any]] = {}
        self.deleted_codes: set[str] = set()
        self.carts: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.open_changes: dict[str, dict[str, Any]] = {}
        """Medusa's previews of the changes that are open, by order id."""
        self.payments: dict[str, dict[str, Any]] = {}
        self.customers: dict[str, dict[str, Any]] = {}
        self.products: dict[str, dict[str, Any]] = {}
        self.deleted_products: dict[str, dict[str, Any]] = {}
        self.currencies = {code: {"code": code, "decimal_digits": digits} for code, digits in CURRENCIES.items()}
        self.calls: list[tuple[str, str]] = []
        self.away = False
        # Called before a call. Its result is the answer; None lets the call have its effect.
        self.before: Callable[[str, str, dict[str, Any]], Answer | None] | None = None
        # Called after a call had its effect; raising there is a lost reply.
        self.after: Callable[[str, str], None] | None = None
        self.refuse_promotions: str | None = None
        # Whether the plugin is there, with its route that takes codes out of carts.
        self.plugin = False
        # The plugin stops after two seconds; here after this many carts.
        self.carts_a_call = 20
        # How far Medusa's clock is behind ours.
        self.behind = timedelta(0)
        # The header of its answers, if it is not its clock.
        self.date: str | None = None
        # Carts that another request has locked: Medusa gives up after two seconds.
        self.locked_carts: set[str] = set()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Remove all state."""
        for stored in (
            self.promotions,
            self.deleted_codes,
            self.carts,
            self.orders,
            self.open_changes,
            self.payments,
            self.customers,
        ):
            stored.clear()
        self.calls.clear()

    def add_payment(self, order_id: str, *, at: datetime) -> None:
        """Add a payment to an order. The order itself does not change in Medusa."""
        payment_id = f"pay_{order_id}"
        order = {"order": {"id": order_id}}
        self.payments[payment_id] = {"id": payment_id, "updated_at": at.isoformat(), "payment_collection": order}

    def live_codes(self) -> set[str]:
        """Codes that a shopper could still use."""
        return {p["code"] for p in self.promotions.values() if p["used"] < p["limit"]}

    def use_code(self, code: str) -> None:
        """An order was completed with it."""
        next(p for p in self.promotions.values() if p["code"] == code)["used"] += 1

    def handle(self, method: str, path: str, query: dict[str, Any], body: Any, headers: Any) -> Answer:
        with self._lock:
            self.calls.append((method, path))
            if self.away:
                return 503, {"type": "unexpected_state", "message": "away"}
            if path.startswith("/admin") and not headers.get("authorization", "").startswith("Basic "):
                return 401, {"message": "Unauthorized"}
            if path.startswith("/store") and headers.get("x-publishable-api-key") != PUBLISHABLE_KEY:
                return 400, {"type": "not_allowed", "message": "Publishable API key required"}
            answer = (self.before and self.before(method, path, query)) or self._route(method, path, query, body)
        if self.after:
            self.after(method, path)
        return answer

    def _route(self, method: str, path: str, query: dict[str, Any], body: Any) -> Answer:
        for verb, pattern, handler in (
            ("POST", r"/admin/promotions", lambda: self._create_promotion(body)),
            ("GET", r"/admin/promotions", lambda: self._find_promotions(query)),
            ("DELETE", r"/admin/promotions/([^/]+)", self._delete_promotion),
            ("GET", r"/admin/orders", lambda: self._list("orders", query)),
            ("GET", r"/admin/orders/([^/]+)", lambda i: self._one("order", self.orders, i)),
            ("GET", r"/admin/orders/([^/]+)/preview", lambda i: self._one("order", self.open_changes, i)),
            ("GET", r"/admin/payments", lambda: self._list("payments", query)),
            ("GET", r"/admin/payments/([^/]+)", lambda i: self._one("payment", self.payments, i)),
            ("GET", r"/admin/currencies", lambda: self._list("currencies", {"order": "code", **query})),
            ("GET", r"/admin/customers", lambda: self._list("customers", query)),
            ("GET", r"/admin/customers/([^/]+)", lambda i: self._one("customer", self.customers, i)),
            ("POST", r"/admin/products/([^/]+)", lambda i: self._update_product(i, body)),
            ("GET", r"/admin/products", lambda: self._list_products(query)),
            ("GET", r"/admin/products/([^/]+)", lambda i: self._one("product", self.products, i)),
            ("GET", r"/store/carts/([^/]+)", lambda i: self._read_cart(i, query)),
            ("POST", r"/store/carts/([^/]+)/promotions", lambda i: self._apply(i, body)),
            ("DELETE", r"/store/carts/([^/]+)/promotions", lambda i: self._remove(i, body)),
            ("POST", r"/admin/dust/codes/withdraw", lambda: self._withdraw(body)),
        ):
            match = re.fullmatch(pattern, path)
            if match and verb == method:
                return handler(*match.groups())  # type: ignore[operator]
        return 404, f"<pre>Cannot {method} {path}</pre>"

    def _read_cart(self, cart_id: str, query: dict[str, Any]) -> Answer:
        """The requested fields of a cart. Without the cart's own total, Medusa computes no totals of its items.

        It returns credit lines as a whole, or not at all.
        """
        status, document = self._one("cart", self.carts, cart_id)
        fields = query.get("fields", "").split(",")
        if status == 200 and "credit_lines.*" not in fields:
            document = {"cart": {name: value for name, value in document["cart"].items() if name != "credit_lines"}}
        if status == 200 and "item_total" not in fields:
            lines = [{k: v for k, v in line.items() if "total" not in k} for line in document["cart"]["items"]]
            document = {"cart": {**document["cart"], "items": lines}}
        return status, document

    def _create_promotion(self, body: dict[str, Any]) -> Answer:
        if self.refuse_promotions:
            return 400, {"type": "invalid_data", "message": self.refuse_promotions}
        if len(json.dumps(body)) > 100_000:
            return 413, {"type": "entity.too.large", "message": "request entity too large"}
        if body["application_method"]["target_type"] == "order" and body["application_method"].get("target_rules"):
            message = "Target rules for application method with target type (order) is not allowed"
            return 400, {"type": "invalid_data", "message": message}
        if any(p["code"] == body["code"] for p in self.promotions.values()):
            return 400, {
                "type": "invalid_data",
                "message": f"Promotion with code: {body['code']}, already exists.",
            }
        promotion = {**body, "id": f"promo_{len(self.promotions) + len(self.deleted_codes) + 1}", "used": 0}
        self.promotions[promotion["id"]] = promotion
        return 200, {"promotion": promotion}

    def _find_promotions(self, query: dict[str, Any]) -> Answer:
        codes = query["code[]"] if "code[]" in query else [query.get("code")]
        return 200, {"promotions": [p for p in self.promotions.values() if p["code"] in codes]}

    def _delete_promotion(self, promotion_id: str) -> Answer:
        gone = self.promotions.pop(promotion_id, None)
        if gone:
            self.deleted_codes.add(gone["code"])
            # The cart keeps its link to the promotion, which is shown as null, and the discount (2.21.2).
            for cart in self.carts.values():
                cart["promotions"] = [None if p and p["code"] == gone["code"] else p for p in cart["promotions"]]
        return 200, {"id": promotion_id, "object": "promotion", "deleted": True}

    def _list(self, name: str, query: dict[str, Any]) -> Answer:
        rows = list(getattr(self, name).values())
        if name == "payments" and any(key.startswith("id[$") for key in query):
            return 400, {"type": "invalid_data", "message": "Invalid request: Expected type: 'string, array' for 'id'"}
        for key, value in query.items():
            if operator := re.fullmatch(r"(\w+)\[\$(gte|gt|lt)\]", key):
                # Times as times: Medusa writes milliseconds, which a query need not have.
                column, compare = operator[1], {"gte": ge, "gt": gt, "lt": lt}[operator[2]]
                read = datetime.fromisoformat if column.endswith("_at") else str
                rows = [row for row in rows if compare(read(row[column]), read(value))]
            elif key == "customer_id":
                rows = [row for row in rows if row["customer_id"] == value]
            elif key in {"id[]", "email[]"}:
                rows = [row for row in rows if row[key.removesuffix("[]")] in value]
            elif key == "q":
                rows = [row for row in rows if value.lower() in str(row["email"]).lower()]
            elif key == "has_account":
                rows = [row for row in rows if row["has_account"] == (value == "true")]
        # The list takes one field to order by. Postgres gives rows that have the same there in any order.
        random.Random(len(self.calls)).shuffle(rows)
        rows.sort(key=lambda row: row[query.get("order", "id")])
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 15))
        return 200, {name: rows[offset : offset + limit], "count": len(rows), "offset": offset, "limit": limit}

    def _list_products(self, query: dict[str, Any]) -> Answer:
        status, document = self._list("products", query)
        if query.get("with_deleted") == "true":
            deleted = self.deleted_products.values()
            document["products"] += [product for product in deleted if product["id"] in query["id[]"]]
        return status, document

    def _one(self, name: str, rows: dict[str, dict[str, Any]], row_id: str) -> Answer:
        if row_id not in rows:
            return 404, {"type": "not_found", "message": f"{name} {row_id} was not found"}
        return 200, {name: rows[row_id]}

    def _update_product(self, product_id: str, body: dict[str, Any]) -> Answer:
        if product_id not in self.products:
            return 404, {"type": "not_found", "message": f"Product {product_id} was not found"}
        metadata = {**self.products[product_id]["metadata"], **body["metadata"]}
        self.products[product_id]["metadata"] = {key: value for key, value in metadata.items() if value != ""}
        return 200, {"product": self.products[product_id]}

    def _apply(self, cart_id: str, body: dict[str, Any]) -> Answer:
        if cart_id not in self.carts:
            return 404, {"type": "not_found", "message": f"Cart {cart_id} was not found"}
        cart = self.carts[cart_id]
        for code in body["promo_codes"]:
            if code not in self.live_codes():
                return 400, {"type": "invalid_data", "message": f"The promotion code {code} is invalid"}
            promotion = next(p for p in self.promotions.values() if p["code"] == code)
            # Medusa leaves out a code that takes nothing off, without an error.
            if _rules_hold(promotion, cart) and _discount(promotion, cart):
                cart["promotions"].append({"code": code})
        return 200, {"cart": cart}

    def _remove(self, cart_id: str, body: dict[str, Any]) -> Answer:
        """Take codes out of a cart; those that are not in it, or exist nowhere, are fine."""
        if cart_id not in self.carts or cart_id in self.locked_carts:
            return 500, {"code": "unknown_error", "type": "unknown_error", "message": "An unknown error occurred."}
        if self.carts[cart_id]["completed_at"]:
            return 400, {"type": "invalid_data", "message": f"Cart {cart_id} is already completed."}
        self._take_out(self.carts[cart_id], body["promo_codes"])
        return 200, {"cart": self.carts[cart_id]}

    def _take_out(self, cart: dict[str, Any], codes: list[str]) -> None:
        for line in (*cart["items"], *cart["shipping_methods"]):
            taken = [a for a in line["adjustments"] if a["code"] in codes or a["code"] in self.deleted_codes]
            line["adjustments"] = [a for a in line["adjustments"] if a not in taken]
            line["total"] += sum(a["amount"] for a in taken)
        cart["item_total"] = sum(line["total"] for line in cart["items"])
        # The links are made anew from the codes that stay: a link to a promotion that is gone goes too.
        cart["promotions"] = [p for p in cart["promotions"] if p and p["code"] not in codes]

    def _withdraw(self, body: dict[str, Any]) -> Answer:
        """The plugin's own route: the same, in every open cart that holds one of the codes."""
        if not self.plugin:
            return 404, "<pre>Cannot POST /admin/dust/codes/withdraw</pre>"
        if len(body["codes"]) > PLUGIN_CODES:
            return 400, {"type": "invalid_data", "message": f"Invalid request: {PLUGIN_CODES} codes at most"}
        codes = set(body["codes"])
        codes_of = {cart_id: codes & codes_in(cart) for cart_id, cart in self.carts.items() if not cart["completed_at"]}
        held_by = {cart_id: sorted(held) for cart_id, held in codes_of.items() if held}
        changed = held_by
        if not body.get("dry_run"):
            free = [cart_id for cart_id in held_by if cart_id not in self.locked_carts]
            changed = {cart_id: held_by[cart_id] for cart_id in free[: self.carts_a_call]}
            for cart_id, held in changed.items():
                self._take_out(self.carts[cart_id], held)
        remaining = len(held_by) if body.get("dry_run") else len(held_by) - len(changed)
        return 200, {"carts": [{"cart_id": w, "codes": h} for w, h in changed.items()], "remaining": remaining}

    def add_product(self, product_id: str, *prices: float) -> None:
        """A product with a variant for each price in euros."""
        variants = [
            {
                "id": f"variant_{number}",
                "title": f"Size {number}",
                "prices": [{"currency_code": "eur", "amount": price}],
            }
            for number, price in enumerate(prices)
        ]
        self.products[product_id] = {"id": product_id, "title": "A thing", "metadata": {}, "variants": variants}

    def add_customer(
        self, customer_id: str, email: str, *, has_account: bool = True, created: datetime | None = None
    ) -> None:
        """A customer that was never edited: `updated_at` equals `created_at`, as a registration on 2.21.2 leaves it."""
        at = (created or START - timedelta(days=300)).isoformat()
        row = {"id": customer_id, "email": email, "has_account": has_account, "created_at": at, "updated_at": at}
        self.customers[customer_id] = row

    def edit_customer(self, customer_id: str, **changes: Any) -> None:
        """An edit of the profile, which moves `updated_at`."""
        row = self.customers[customer_id]
        updated = datetime.fromisoformat(row["created_at"]) + timedelta(seconds=1)
        row |= {"updated_at": updated.isoformat(), **changes}

    def add_cart(
        self,
        cart_id: str = "cart_1",
        *,
        customer_id: str | None = "cus_1",
        currency_code: str = "eur",
        lines: list[dict[str, Any]],
        shipping: float | None = None,
    ) -> None:
        """`shipping` is what the chosen way of shipping costs; None when none is chosen."""
        methods = [] if shipping is None else [{"id": "casm_1", "total": shipping, "adjustments": []}]
        self.carts[cart_id] = {
            "id": cart_id,
            "customer_id": customer_id,
            "currency_code": currency_code,
            "completed_at": None,
            "item_total": sum(line["total"] for line in lines),
            "items": lines,
            "shipping_methods": methods,
            "promotions": [],
        }


def cart_line(product_id: str = "prod_shirt", *, total: float = 10, quantity: int = 1) -> dict[str, Any]:
    return {
        "id": f"cali_{product_id}",
        "product_id": product_id,
        "quantity": quantity,
        "original_total": total,
        "total": total,
        "tax_total": 0,
        "adjustments": [],
    }


def codes_in(cart: dict[str, Any]) -> set[str]:
    """The codes that take something off the cart."""
    lines = (*cart["items"], *cart["shipping_methods"])
    return {adjustment["code"] for line in lines for adjustment in line["adjustments"]}


def _rules_hold(promotion: dict[str, Any], cart: dict[str, Any]) -> bool:
    """Whether the promotion is for this cart: the rules and the currency that Dust sets."""
    known = {
        "customer.id": cart["customer_id"],
        "currency_code": cart["currency_code"],
        "original_item_total": sum(line["original_total"] for line in cart["items"]),
    }
    currency = promotion["application_method"].get("currency_code")
    return currency in (None, cart["currency_code"]) and all(
        known[rule["attribute"]] >= float(rule["values"][0])
        if rule["operator"] == "gte"
        else known[rule["attribute"]] in rule["values"]
        for rule in promotion["rules"]
    )


def _discount(promotion: dict[str, Any], cart: dict[str, Any]) -> bool:
    """Take the promotion off the cart's lines or its shipping; False when there was nothing to take it off."""
    method = promotion["application_method"]
    if method["target_type"] == "shipping_methods":
        targets = [shipping for shipping in cart["shipping_methods"] if shipping["total"] > 0]
    else:
        lines = [line for line in cart["items"] if line["total"] > 0 and line.get("is_discountable", True)]
        targets = [line for line in lines if _is_target(method, line["product_id"])]
    whole, left = sum(item["total"] for item in targets), method.get("max_quantity") or 0
    for item in sorted(targets, key=lambda item: item["total"] / item.get("quantity", 1)):
        if method["type"] == "fixed":
            amount = min(method["value"] * item["total"] / whole, item["total"])
        elif method["allocation"] == "once":
            units = min(left, item["quantity"])
            amount, left = min(item["original_total"] * units / item["quantity"], item["total"]), left - units
        else:
            amount = item["total"] * method["value"] / 100
        item["total"] -= amount
        item["adjustments"].append({"code": promotion["code"], "amount": amount})
    cart["item_total"] = sum(line["total"] for line in cart["items"])
    return bool(targets)


def _is_target(method: dict[str, Any], product_id: str) -> bool:
    return all((product_id in rule["values"]) is (rule["operator"] != "ne") for rule in method.get("target_rules", ()))


def _query(raw: bytes) -> dict[str, Any]:
    """Lists for names that end in brackets, as `code[]`, and the last value for others."""
    parsed = parse_qs(raw.decode())
    return {name: values if name.endswith("[]") else values[-1] for name, values in parsed.items()}


@contextmanager
def mounted(medusa: FakeMedusa) -> Iterator[respx.MockRouter]:
    """Answer every call to `URL` made with httpx in this process."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        status, document = medusa.handle(
            request.method, request.url.path, _query(request.url.query), body, request.headers
        )
        headers = {"date": medusa.date or format_datetime(datetime.now(UTC) - medusa.behind, usegmt=True)}
        # A path that Medusa does not know gets a page, not JSON.
        return httpx.Response(
            status, headers=headers, **({"html": document} if isinstance(document, str) else {"json": document})
        )

    with respx.mock(assert_all_called=False) as router:
        router.route(host="medusa.test").mock(side_effect=answer)
        # Real listeners of the tests.
        router.route(host="127.0.0.1").pass_through()
        yield router


@contextmanager
def serving(medusa: FakeMedusa, port: int = 0) -> Iterator[str]:
    """Answer on this port of this machine, or on a free one; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            parts = urlsplit(self.path)
            status, document = medusa.handle(self.command, parts.path, _query(parts.query.encode()), body, self.headers)
            page = isinstance(document, str)
            content = document.encode() if page else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "text/html" if page else "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            # A client that has given up waiting.
            with suppress(BrokenPipeError):
                self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
