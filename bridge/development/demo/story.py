"""The story of the demo: steps of a shopper and a merchant, with the expected results in Dust.

All numbers follow from the programme below and the prices in `seed`. A step with another result is marked ✗.
"""

import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx

from bridge.development.demo.install import Report
from bridge.development.demo.people import Json, Merchant, Refused, Storefront, answer
from bridge.development.demo.seed import ShopKeys
from bridge.development.demo.shop import Shop
from bridge.development.stack.processes import until

# Ten points for a euro of goods without tax, and a hundred points are worth a euro: ten percent back.
_PROGRAMME: Json = {"earn": {"rates": {"eur": "10"}}, "redeem": {"rates": {"eur": "100"}}}
_MUG_PRICE = 300
# What the shopper has at the end.
FINAL_BALANCE = 330
# Usually a second or two. This is for a busy machine.
_PATIENCE_SECONDS = 60.0


def play(
    shop: Shop, keys: ShopKeys, storefront: Storefront, *, dust_url: str, admin_token: str, report: Report
) -> bool:
    """Play the story with a running Dust of this shop. Returns whether all steps had the expected result.

    `storefront` is the shopper's session: she signs up in it, and stays signed in.
    """
    admin = {"Authorization": f"Bearer {admin_token}"}
    with closing(Merchant(keys)) as merchant, httpx.Client(base_url=dust_url, headers=admin, timeout=30) as dust:
        story = _Story(shop, keys, storefront, merchant, dust, report)
        try:
            story.play()
        except (Refused, httpx.HTTPError) as error:
            report(f"   ✗ the story cannot continue: {error}")
            return False
        return story.succeeded


@dataclass
class _Story:
    _shop: Shop
    _keys: ShopKeys
    _storefront: Storefront
    _merchant: Merchant
    _dust: httpx.Client
    """As the operator, unless a request has a token of its own."""
    _report: Report
    _chapter: int = 0
    succeeded: bool = True

    def play(self) -> None:
        self._rules_are_set()
        self._a_shopper_signs_up()
        self._an_order_earns_dust()
        discounted = self._dust_becomes_a_discount()
        self._half_of_the_order_comes_back(discounted)
        self._an_order_is_canceled()
        self._a_product_is_bought_with_dust_alone()
        self._an_order_that_dust_never_heard_of_is_found()
        self._the_history_adds_up()

    def _rules_are_set(self) -> None:
        self._title("The merchant sets the programme: 10 points for each euro, 100 points are worth 1.00 eur")
        answer(self._dust.put("/admin/dust/programme", json=_PROGRAMME))

    def _a_shopper_signs_up(self) -> None:
        self._title("A shopper signs up")
        self._storefront.register()
        self._say(f"customer {self._storefront.customer_id}")
        self._balance_becomes(0)

    def _an_order_earns_dust(self) -> None:
        self._title("She orders 2 shirts and a hoodie: 2 × 10.00 + 40.00 = 60.00 eur without tax, so 600 points")
        order_id = self._storefront.buy((self._keys.shirt, 2), (self._keys.hoodie, 1))
        self._say(f"order {order_id}")
        self._balance_becomes(600)

    def _dust_becomes_a_discount(self) -> str:
        """Returns the order's id."""
        self._title("She puts 2 shorts into a cart and redeems 500 points: 5.00 eur off")
        cart_id = self._storefront.new_cart()
        self._storefront.add(cart_id, self._keys.shorts, 2)
        redemption = self._redeem({"cart_id": cart_id, "dust": 500})
        self._expect("value of the redemption", Decimal("5.00"), Decimal(redemption["value"]))
        self._say(f"code {redemption['code']}")
        self._balance_becomes(600, held=500)
        self._expect("discount that Medusa shows in the cart", 5, self._storefront.cart(cart_id)["discount_total"])

        self._title("She orders with the code: 40.00 + 10.00 tax - 5.00, that is 36.00 without tax, so 360 points")
        order_id = self._storefront.check_out(cart_id)
        self._say(f"order {order_id}")
        self._balance_becomes(600 - 500 + 360)
        self._redemption_becomes_captured(redemption["id"], 500)
        return order_id

    def _half_of_the_order_comes_back(self, order_id: str) -> None:
        self._title("The merchant captures, ships, and receives 1 of the 2 shorts back: half of everything is reversed")
        self._merchant.capture(order_id)
        self._merchant.fulfil(order_id)
        self._merchant.take_back(order_id, self._keys.shorts, 1)
        self._say("180 of the 360 earned points are reversed, 250 of the 500 spent are refunded")
        self._balance_becomes(460 - 180 + 250)

    def _an_order_is_canceled(self) -> None:
        self._title("She orders a shirt for 100 points, and the merchant cancels the order")
        order_id = self._storefront.buy((self._keys.shirt, 1))
        self._balance_becomes(530 + 100)
        self._merchant.cancel(order_id)
        self._balance_becomes(530)

    def _a_product_is_bought_with_dust_alone(self) -> None:
        self._title(f"The merchant sells the mug for points only, for {_MUG_PRICE} points")
        mug = self._keys.mug
        settings = {"dust_only": True, "dust_price": _MUG_PRICE}
        answer(self._dust.put(f"/admin/dust/products/{mug.id}", json=settings))
        self._becomes("the mug is points-only in Medusa too", True, self._mug_is_dust_only_in_medusa)

        self._title("She tries to buy it with money, and then pays with points")
        cart_id = self._storefront.new_cart()
        self._storefront.add(cart_id, mug, 1)
        try:
            self._storefront.check_out(cart_id)
            self._expect("Medusa's answer to money", "a refusal", "an order")
        except Refused as refused:
            self._expect("Medusa's answer to money", 400, refused.status)
            self._say(refused.message)
        self._redeem({"cart_id": cart_id, "pay": "dust_only"})
        # Medusa deletes the payment session when a code is added. Only the shipping is left to pay.
        self._storefront.pay(cart_id)
        order_id = self._storefront.complete(cart_id)
        self._say(f"order {order_id}")
        self._expect("what the goods cost in euros", 0, self._merchant.order(order_id)["item_total"])
        self._balance_becomes(530 - _MUG_PRICE)

    def _an_order_that_dust_never_heard_of_is_found(self) -> None:
        self._title("She orders a shirt, and Medusa loses the event: a reconcile finds the order, so 100 points")
        with self._shop.losing_events() as lost:
            order_id = self._storefront.buy((self._keys.shirt, 1))
            self._becomes("the event is lost", True, lambda: lost(order_id))
        answer(self._dust.post("/admin/dust/reconcile"))
        self._balance_becomes(530 - _MUG_PRICE + 100)

    def _the_history_adds_up(self) -> None:
        self._title("She looks at her history")
        page = self._get("/store/dust/transactions", limit="100")
        for row in reversed(page["transactions"]):
            self._say(f"{row['amount']:>+6} {row['kind']:<8} balance {row['balance_after']:>4}  {row['description']}")
        self._expect("sum of the history", FINAL_BALANCE, sum(row["amount"] for row in page["transactions"]))

    def _redeem(self, body: Json) -> Json:
        """Redeem, and wait until the code is usable."""
        headers = {**self._bearer(), "Idempotency-Key": secrets.token_hex(16)}
        created = answer(self._dust.post("/store/dust/redemptions", json=body, headers=headers))["redemption"]
        redemption: Json = {}

        def state() -> Any:
            redemption.update(self._get(f"/store/dust/redemptions/{created['id']}", wait="5")["redemption"])
            return redemption["state"]

        self._becomes("state of the redemption", "active", state)
        return redemption

    def _redemption_becomes_captured(self, redemption_id: str, dust: int) -> None:
        def captured() -> tuple[str, int]:
            redemption = self._get(f"/store/dust/redemptions/{redemption_id}")["redemption"]
            return redemption["state"], redemption["dust_captured"]

        self._becomes("the redemption", ("captured", dust), captured)

    def _balance_becomes(self, balance: int, *, held: int = 0) -> None:
        names = ("balance", "available", "held", "pending")
        wanted = dict(zip(names, (balance, balance - held, held, 0), strict=True))

        def look() -> dict[str, int]:
            shown = self._get("/store/dust/balance")
            return {name: shown[name] for name in names}

        self._becomes("points", wanted, look)

    def _mug_is_dust_only_in_medusa(self) -> bool:
        product = self._merchant.get(f"/admin/products/{self._keys.mug.id}", fields="id,metadata")["product"]
        return (product["metadata"] or {}).get("dust_only") is True

    def _get(self, path: str, **query: str) -> Json:
        return answer(self._dust.get(path, params=query, headers=self._bearer()))

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._storefront.token}"}

    def _becomes(self, description: str, expected: object, look: Callable[[], object]) -> None:
        """Poll until it is as expected, up to a timeout, and report the last value."""
        seen: list[object] = []

        def matches() -> bool:
            seen[:] = [look()]
            return seen[0] == expected

        until(matches, _PATIENCE_SECONDS)
        self._expect(description, expected, seen[0])

    def _expect(self, description: str, expected: object, actual: object) -> None:
        if actual == expected:
            self._report(f"   ✓ {description}: {_shown(actual)}")
        else:
            self.succeeded = False
            self._report(f"   ✗ {description}: {_shown(actual)}, expected {_shown(expected)}")

    def _title(self, text: str) -> None:
        self._chapter += 1
        self._report(f"{self._chapter}. {text}")

    def _say(self, text: str) -> None:
        self._report(f"     {text}")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return " · ".join(f"{name} {number}" for name, number in value.items())
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
