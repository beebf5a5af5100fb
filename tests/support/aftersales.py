"""A merchant's changes of a placed order, with the calls of Medusa's Admin API that the dashboard makes (2.21.2).

The calls were found by trying; docs/decisions/0015 has a table of them.
"""

from typing import Any

from bridge.development.demo.people import Json, Merchant, Storefront
from bridge.development.demo.seed import SeededProduct

_ADDRESS = {
    "first_name": "Ada",
    "last_name": "Holm",
    "address_1": "Quay 1",
    "city": "Copenhagen",
    "postal_code": "1050",
}


class AfterSales(Merchant):
    """The merchant, with the actions of the order's page in the dashboard."""

    def before_confirming(self, order_id: str) -> None:
        """Called before a change that is open in Medusa is confirmed, so that a test can read it."""

    def deliver(self, order_id: str) -> None:
        """Capture the payment and deliver all items. Only delivered items can be returned."""
        self.capture(order_id)
        self.fulfil(order_id)

    def line(self, order_id: str, product: SeededProduct) -> Json:
        """The order's first line of a product."""
        return next(item for item in self.order(order_id)["items"] if item["product_id"] == product.id)

    def draft(self, shopper: Storefront, *items: tuple[SeededProduct, int]) -> str:
        """Create a draft order for a customer. Returns its id, which the order keeps."""
        address = {**_ADDRESS, "country_code": self.keys.countries["eur"]}
        draft = {
            "region_id": self.keys.region_ids["eur"],
            "customer_id": shopper.customer_id,
            "email": shopper.email,
            "items": [{"variant_id": product.variant_id, "quantity": quantity} for product, quantity in items],
            "shipping_address": address,
            "billing_address": address,
        }
        return str(self.post("/admin/draft-orders", draft)["draft_order"]["id"])

    def place_draft(self, order_id: str) -> None:
        """Make the draft an order."""
        self.post(f"/admin/draft-orders/{order_id}/convert-to-order", {})

    def edit(self, order_id: str, *, carry_over: bool = False, **change: tuple[SeededProduct, int]) -> None:
        """Edit an order: `add` this many of a product in a new line, or change the existing line `to` this many.

        With `carry_over` the order's percentages are taken off what it adds, too.
        """
        base = f"/admin/order-edits/{order_id}"
        opened = self.post("/admin/order-edits", {"order_id": order_id})["order_change"]
        if carry_over:
            self.post(f"/admin/order-changes/{opened['id']}", {"carry_over_promotions": True})
        if "add" in change:
            product, quantity = change["add"]
            self.post(f"{base}/items", {"items": [{"variant_id": product.variant_id, "quantity": quantity}]})
        if "to" in change:
            product, quantity = change["to"]
            line_id = self.line(order_id, product)["id"]
            self.post(f"{base}/items/item/{line_id}", {"quantity": quantity})
        self.before_confirming(order_id)
        self.post(f"{base}/confirm", {})

    def exchange(self, order_id: str, back: SeededProduct, out: SeededProduct) -> str:
        """Confirm an exchange of one unit of `back` for one of `out`. Returns the id of the return."""
        line_id = self.line(order_id, back)["id"]
        base = f"/admin/exchanges/{self.post('/admin/exchanges', {'order_id': order_id})['exchange']['id']}"
        returned = self._expect_back(base, line_id)
        self.post(f"{base}/outbound/items", {"items": [{"variant_id": out.variant_id, "quantity": 1}]})
        self.before_confirming(order_id)
        self.post(f"{base}/request", {})
        return returned

    def claim(
        self, order_id: str, about: SeededProduct, *, replacement: SeededProduct | None = None, returned: bool = False
    ) -> str:
        """Confirm a claim for one unit of `about`: a replacement or a refund. Returns the id of the return, or ""."""
        line_id = self.line(order_id, about)["id"]
        kind = {"order_id": order_id, "type": "replace" if replacement else "refund"}
        base = f"/admin/claims/{self.post('/admin/claims', kind)['claim']['id']}"
        broken: dict[str, Any] = {"id": line_id, "quantity": 1, "reason": "production_failure"}
        self.post(f"{base}/claim-items", {"items": [broken]})
        return_id = self._expect_back(base, line_id) if returned else ""
        if replacement:
            self.post(f"{base}/outbound/items", {"items": [{"variant_id": replacement.variant_id, "quantity": 1}]})
        self.before_confirming(order_id)
        self.post(f"{base}/request", {})
        return return_id

    def receive(self, return_id: str) -> None:
        """Receive one unit of a return."""
        base = f"/admin/returns/{return_id}"
        expected = self.get(base, fields="order_id,items.item_id")["return"]
        (item,) = expected["items"]
        self.post(f"{base}/receive", {})
        self.post(f"{base}/receive-items", {"items": [{"id": item["item_id"], "quantity": 1}]})
        self.before_confirming(expected["order_id"])
        self.post(f"{base}/receive/confirm", {"no_notification": True})

    def even_out(self, order_id: str) -> None:
        """Refund what the customer has overpaid, or mark the rest as paid outside of Medusa."""
        order = self.order(order_id)
        difference = order["summary"]["pending_difference"]
        if difference < 0:
            self.refund(order_id, str(-difference))
        if difference > 0:
            unpaid = next(
                collection for collection in order["payment_collections"] if collection["status"] == "not_paid"
            )
            self.post(f"/admin/payment-collections/{unpaid['id']}/mark-as-paid", {"order_id": order_id})

    def forgive(self, order_id: str, amount: str) -> None:
        """Reduce the order's total by a credit line."""
        body = {"amount": float(amount), "reference": "forgiven", "reference_id": order_id}
        self.post(f"/admin/orders/{order_id}/credit-lines", body)

    def _expect_back(self, base: str, line_id: str) -> str:
        body = {"items": [{"id": line_id, "quantity": 1}], "location_id": self.keys.stock_location_id}
        return str(self.post(f"{base}/inbound/items", body)["return"]["id"])
