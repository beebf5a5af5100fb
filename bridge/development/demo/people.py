"""Clients of Medusa's API for the demo and tests: a shopper's storefront and a merchant's dashboard."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import httpx

from bridge.medusa.order_shapes import ORDER_FIELDS

if TYPE_CHECKING:
    from bridge.development.demo.seed import SeededProduct, ShopKeys

Json = dict[str, Any]

_TIMEOUT_SECONDS = 60.0
_ADDRESS = {
    "first_name": "Ada",
    "last_name": "Holm",
    "address_1": "Quay 1",
    "city": "Copenhagen",
    "postal_code": "1050",
}


class Refused(Exception):
    """Medusa or Dust refused a request, with this status, message and, if there is one, code."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        self.status = status
        self.message = message
        self.code = code
        super().__init__(f"{status}: {message}")


def answer(response: httpx.Response) -> Json:
    """The JSON of a response from Medusa or Dust. Raises `Refused` if it is an error."""
    if response.is_success:
        return dict(response.json())
    try:
        document = response.json()
    except ValueError:
        document = {}
    # Medusa's error text is in `message`, that of problem+json in `detail`.
    message = str(document.get("message") or document.get("detail") or response.text)
    raise Refused(response.status_code, message, document.get("code"))


class Storefront:
    """A shopper's session in the storefront, signed in or not."""

    def __init__(self, keys: ShopKeys, *, currency_code: str = "eur") -> None:
        self.keys = keys
        self.currency_code = currency_code
        self.email = ""
        self.password = ""
        self.customer_id = ""
        self.token = ""
        headers = {"x-publishable-api-key": keys.publishable_key}
        self._client = httpx.Client(base_url=keys.url, headers=headers, timeout=_TIMEOUT_SECONDS)

    def close(self) -> None:
        self._client.close()

    def register(self) -> str:
        """Register with a new e-mail address, sign in, and return the customer's id."""
        self.email = f"shopper-{secrets.token_hex(6)}@example.com"
        self.password = secrets.token_urlsafe(12)
        credentials = {"email": self.email, "password": self.password}
        token = answer(self._client.post("/auth/customer/emailpass/register", json=credentials))["token"]
        profile = {"email": self.email, "first_name": "Ada", "last_name": "Holm"}
        bearer = {"Authorization": f"Bearer {token}"}
        self.customer_id = answer(self._client.post("/store/customers", json=profile, headers=bearer))["customer"]["id"]
        self.log_in()
        return self.customer_id

    def log_in(self) -> str:
        """Sign in and return the customer's JWT, which Dust's Store API accepts too."""
        credentials = {"email": self.email, "password": self.password}
        self.token = answer(self._client.post("/auth/customer/emailpass", json=credentials))["token"]
        self._client.headers["Authorization"] = f"Bearer {self.token}"
        return self.token

    def log_out(self) -> None:
        """Sign out: later requests have no token."""
        self.token = ""
        self._client.headers.pop("Authorization", None)

    def new_cart(self, *, email: str | None = None) -> str:
        """Create a cart and return its id. A guest gives an e-mail address."""
        address = {**_ADDRESS, "country_code": self.keys.countries[self.currency_code]}
        cart = {
            "region_id": self.keys.region_ids[self.currency_code],
            "email": email or self.email,
            "shipping_address": address,
            "billing_address": address,
        }
        return str(self._post("/store/carts", cart)["cart"]["id"])

    def add(self, cart_id: str, product: SeededProduct, quantity: int = 1) -> Json:
        item = {"variant_id": product.variant_id, "quantity": quantity}
        return dict(self._post(f"/store/carts/{cart_id}/line-items", item)["cart"])

    def apply_code(self, cart_id: str, code: str) -> Json:
        """Apply a code and return the cart. Medusa ignores a code that does not apply."""
        return dict(self._post(f"/store/carts/{cart_id}/promotions", {"promo_codes": [code]})["cart"])

    def cart(self, cart_id: str) -> Json:
        return dict(answer(self._client.get(f"/store/carts/{cart_id}"))["cart"])

    def choose_shipping(self, cart_id: str) -> Json:
        """Choose the only shipping option."""
        option = {"option_id": self.keys.shipping_option_id}
        return dict(self._post(f"/store/carts/{cart_id}/shipping-methods", option)["cart"])

    def pay(self, cart_id: str) -> None:
        """Start a payment with the manual provider."""
        collection = self._post("/store/payment-collections", {"cart_id": cart_id})["payment_collection"]
        provider = {"provider_id": "pp_system_default"}
        self._post(f"/store/payment-collections/{collection['id']}/payment-sessions", provider)

    def complete(self, cart_id: str) -> str:
        """Place the order and return its id. Raises `Refused` if Medusa, or Dust's guard in it, refuses."""
        placed = self._post(f"/store/carts/{cart_id}/complete", {})
        if placed["type"] != "order":
            raise Refused(200, str(placed["error"]["message"]))
        return str(placed["order"]["id"])

    def check_out(self, cart_id: str) -> str:
        """Choose shipping, pay and complete the cart. Returns the order's id."""
        self.choose_shipping(cart_id)
        self.pay(cart_id)
        return self.complete(cart_id)

    def buy(self, *items: tuple[SeededProduct, int], code: str | None = None) -> str:
        """Order these products, with or without a code. Returns the order's id."""
        cart_id = self.new_cart()
        for product, quantity in items:
            self.add(cart_id, product, quantity)
        if code:
            self.apply_code(cart_id, code)
        return self.check_out(cart_id)

    def ask(self, method: str, path: str, body: Json | None = None, **headers: str) -> Json:
        """Make any call of the Store API. Raises `Refused`."""
        return answer(self._client.request(method, path, json=body, headers=headers))

    def _post(self, path: str, body: Json) -> Json:
        return self.ask("POST", path, body)


class Merchant:
    """The merchant: actions of the dashboard on orders and products."""

    def __init__(self, keys: ShopKeys) -> None:
        self.keys = keys
        self._client = httpx.Client(base_url=keys.url, auth=(keys.api_key, ""), timeout=_TIMEOUT_SECONDS)

    def close(self) -> None:
        self._client.close()

    def order(self, order_id: str) -> Json:
        """Read an order with the fields that Dust uses."""
        return dict(self.get(f"/admin/orders/{order_id}", fields=ORDER_FIELDS)["order"])

    def capture(self, order_id: str) -> None:
        """Capture all payments of the order that are not captured."""
        for payment in self._payments(order_id):
            if not payment["captured_at"]:
                self.post(f"/admin/payments/{payment['id']}/capture", {})

    def fulfil(self, order_id: str) -> None:
        """Fulfil all items and mark them as delivered. Only delivered items can be returned."""
        items = [{"id": item["id"], "quantity": item["quantity"]} for item in self.order(order_id)["items"]]
        order = self.post(f"/admin/orders/{order_id}/fulfillments", {"items": items})["order"]
        shown = self.get(f"/admin/orders/{order['id']}", fields="fulfillments.id")["order"]
        for fulfillment in shown["fulfillments"]:
            self.post(f"/admin/orders/{order_id}/fulfillments/{fulfillment['id']}/mark-as-delivered", {})

    def take_back(self, order_id: str, product: SeededProduct, quantity: int = 1) -> str:
        """Request a return of a product and receive it. Returns the return's id."""
        item = next(item for item in self.order(order_id)["items"] if item["product_id"] == product.id)
        returned = self.post("/admin/returns", {"order_id": order_id, "location_id": self.keys.stock_location_id})
        return_id = str(returned["return"]["id"])
        base = f"/admin/returns/{return_id}"
        self.post(f"{base}/request-items", {"items": [{"id": item["id"], "quantity": quantity}]})
        self.post(f"{base}/request", {"no_notification": True})
        self.post(f"{base}/receive", {})
        self.post(f"{base}/receive-items", {"items": [{"id": item["id"], "quantity": quantity}]})
        self.post(f"{base}/receive/confirm", {"no_notification": True})
        return return_id

    def refund(self, order_id: str, amount: str) -> None:
        """Refund an amount (in major units) on the order's first payment."""
        self.post(f"/admin/payments/{self._payments(order_id)[0]['id']}/refund", {"amount": float(amount)})

    def cancel(self, order_id: str) -> None:
        self.post(f"/admin/orders/{order_id}/cancel", {})

    def get(self, path: str, **query: str) -> Json:
        """Make any GET call of the Admin API."""
        return answer(self._client.get(path, params=query))

    def post(self, path: str, body: Json) -> Json:
        """Make any POST call of the Admin API."""
        return answer(self._client.post(path, json=body))

    def delete(self, path: str) -> Json:
        """Make any DELETE call of the Admin API."""
        return answer(self._client.delete(path))

    def _payments(self, order_id: str) -> list[Json]:
        collections = self.order(order_id)["payment_collections"]
        return [payment for collection in collections for payment in collection["payments"]]
