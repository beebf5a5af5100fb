"""Client for Medusa's Admin and Store API: a method for each call that Dust makes. `transport.py` makes the calls."""

import contextlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from bridge.ids import CustomerId, OrderId, ProductId, is_id
from bridge.medusa.answers import objects
from bridge.medusa.carts import CART_CODES_FIELDS, CART_FIELDS, Cart, CartCodes, read_cart, read_cart_codes
from bridge.medusa.currencies import read_currencies
from bridge.medusa.errors import MedusaAway, MedusaNotConfigured, UnknownInMedusa
from bridge.medusa.order_shapes import ORDER_FIELDS
from bridge.medusa.pages import Json as Json
from bridge.medusa.pages import Page, PagedList, Place
from bridge.medusa.transport import Params, Probe, Transport
from bridge.per_process import PerProcess
from bridge.settings import Settings, get_settings

log = structlog.get_logger(__name__)

PRICE_FIELDS = "id,discountable,variants.id,variants.title,*variants.prices"
# Codes have 21 characters: fifty of them fit easily into a URL.
_CODES_AT_ONCE = 50
# Medusa's parser takes a thousand values in a list; Node refuses headers, including the URL, over 16 kB.
_VALUES_AT_ONCE = 100
_CHARACTERS_AT_ONCE = 4_000


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """A promotion as Medusa knows it. `used` counts completed orders, against the limit of one."""

    id: str
    code: str
    used: int
    redemption_id: str | None


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """The plugin's result: the codes removed, by cart, and how many open carts still hold one of them."""

    carts: Mapping[str, tuple[str, ...]]
    remaining: int


class Medusa:
    """A client for one Medusa. Thread-safe; close it when done."""

    def __init__(self, url: str, api_key: str | None, publishable_key: str | None, *, timeout_seconds: float) -> None:
        self._http = Transport(url, api_key, publishable_key, timeout_seconds=timeout_seconds)

    def close(self) -> None:
        self._http.close()

    @property
    def date(self) -> datetime | None:
        """Medusa's clock at its last answer, to the second."""
        return self._http.date

    def probe(self, path: str, params: Mapping[str, str] | None = None) -> Probe:
        """Return Medusa's answer of any status to a GET. Raises `MedusaAway` only without an answer."""
        return self._http.probe(path, params)

    def order(self, order_id: OrderId) -> Json:
        """Return the order as JSON with exact decimals. Raises `UnknownInMedusa`.

        Its lines have their product's categories and collection even if the product is deleted.
        """
        fields = {"fields": ORDER_FIELDS}
        document = self._http.admin("GET", _path("/admin/orders", order_id), params=fields).one("order", "id")
        items = [item for item in objects(document.get("items")) if item.get("product") is None]
        items = [item for item in items if isinstance(item.get("product_id"), str)]
        products = self.product_attributes({item["product_id"] for item in items})
        for item in items:
            item["product"] = products.get(item["product_id"])
        return document

    def order_with_open_change(self, order_id: OrderId) -> Json:
        """Return Medusa's preview of the edit, return, exchange or claim that is open; it has `order_change` if one is.

        Compared with a whole order, it lacks the owner, the products of lines, payments and returns (2.21.2).
        """
        return self._http.admin("GET", _path("/admin/orders", order_id, "/preview")).one("order")

    def product_attributes(self, product_ids: Collection[str]) -> dict[str, Json]:
        """Return `collection_id` and `categories` of products, by id; unknown ones are left out.

        Deleted ones are found too: Medusa 2.21.2 omits them from an order's lines, but keeps their categories.
        """
        fields = "id,collection_id,categories.id"
        portions = self._matching("/admin/products", "id[]", product_ids, fields, needed=("id",), with_deleted="true")
        return {product["id"]: product for products in portions for product in products}

    def updated_orders(self, place: Place) -> Iterator[Page]:
        """Yield pages of orders by `updated_at`, oldest change first, from a place on."""
        return self._list("/admin/orders", "updated_at", {"fields": ORDER_FIELDS}).pages(place)

    def orders_placed_since(self, since: datetime) -> Iterator[list[Json]]:
        """Yield pages of orders placed at or after `since`, oldest first.

        An order that Medusa cannot return has only its `id`.
        """
        for page in self._list("/admin/orders", "created_at", {"fields": ORDER_FIELDS}).pages(Place(since=since)):
            yield page.rows + [{"id": order_id} for order_id in page.unread]

    def orders_by_id(self, order_ids: Collection[OrderId]) -> list[Json]:
        """Return the orders among these that Medusa has, without drafts, which its list leaves out (2.21.2, its
        source).
        """
        portions = self._matching("/admin/orders", "id[]", order_ids, ORDER_FIELDS)
        return [order for orders in portions for order in orders]

    def orders_of_customer_since(self, customer_id: CustomerId, since: datetime) -> Iterator[list[Json]]:
        """Yield pages of a customer's orders placed at or after `since`: all of them, or it raises `MedusaAway`."""
        filters = {"customer_id": customer_id, "fields": ORDER_FIELDS}
        orders = self._list("/admin/orders", "created_at", filters, passes_unreadable=False)
        return _rows(orders.pages(Place(since=since)))

    def updated_payments(self, place: Place) -> Iterator[Page]:
        """Yield pages of payments by `updated_at`, with their order's id: a capture does not change the order."""
        fields = {"fields": "id,updated_at,payment_collection.order.id"}
        return self._list("/admin/payments", "updated_at", fields, compares_ids=False).pages(place)

    def customers_created_since(self, since: datetime) -> Iterator[list[Json]]:
        """Yield pages of customers created since then, with `email` and `has_account`."""
        return _rows(self.created_customers(Place(since=since)))

    def created_customers(self, place: Place) -> Iterator[Page]:
        """Like `customers_created_since`, from a place on."""
        fields = {"fields": "id,email,has_account,created_at"}
        return self._list("/admin/customers", "created_at", fields).pages(place)

    def customer(self, customer_id: CustomerId) -> Json:
        """Return a customer with `email`, `has_account`, `created_at` and `updated_at`. Raises `UnknownInMedusa`."""
        fields = {"fields": "id,email,has_account,created_at,updated_at"}
        return self._http.admin("GET", _path("/admin/customers", customer_id), params=fields).one("customer", "id")

    def customer_groups(self, customer_id: CustomerId) -> frozenset[str]:
        """Return the ids of the groups that a customer is in. Raises `UnknownInMedusa`."""
        path = _path("/admin/customers", customer_id)
        customer = self._http.admin("GET", path, params={"fields": "id,groups.id"}).one("customer")
        return frozenset(str(group.get("id")) for group in objects(customer.get("groups")))

    def customers_with_account(
        self, *, ids: Collection[str] = (), emails: Collection[str] = ()
    ) -> Iterator[list[Json]]:
        """Yield the customers among these that have an account, with `id` and `email`.

        Medusa compares e-mail addresses case-sensitively.
        """
        for name, values in (("id", ids), ("email", emails)):
            fields, needed = "id,email,has_account", ("id", name)
            for customers in self._matching(
                "/admin/customers", f"{name}[]", values, fields, needed=needed, has_account="true"
            ):
                yield [customer for customer in customers if customer.get("has_account")]

    def search_customers(self, text: str, *, limit: int) -> list[CustomerId]:
        """Return at most `limit` customers whose name, company, phone number or e-mail address has this text.

        These are the `searchable()` fields of the customer in Medusa 2.21.2 (its source).
        """
        params: Params = [("q", text), ("fields", "id"), ("limit", limit)]
        customers = self._http.admin("GET", "/admin/customers", params=params).rows("customers", "id")
        return [CustomerId(customer["id"]) for customer in customers if is_id(customer["id"])]

    def order_id_of_payment(self, payment_id: str) -> OrderId | None:
        """Return the order of a payment; None while its cart is not completed."""
        fields = "id,payment_collection.order.id"
        path = _path("/admin/payments", payment_id)
        return order_id_of(self._http.admin("GET", path, params={"fields": fields}).one("payment"))

    def cart(self, cart_id: str) -> Cart:
        """Return a cart from the Store API. Raises `UnknownInMedusa`."""
        return read_cart(
            self._http.store("GET", _path("/store/carts", cart_id), params={"fields": CART_FIELDS}).one("cart")
        )

    def add_codes_to_cart(self, cart_id: str, codes: Collection[str]) -> set[str]:
        """Apply codes, and return those that the cart has then.

        Medusa leaves out a code that does not apply, without an error.
        """
        body = {"promo_codes": sorted(codes)}
        cart = self._http.store("POST", _path("/store/carts", cart_id, "/promotions"), body=body).one("cart")
        return {str(promotion.get("code")) for promotion in objects(cart.get("promotions"))} & set(codes)

    def codes_in_cart(self, cart_id: str) -> CartCodes | None:
        """Return the codes that a cart holds; None if Medusa does not have the cart."""
        try:
            document = self._http.store("GET", _path("/store/carts", cart_id), params={"fields": CART_CODES_FIELDS})
        except UnknownInMedusa:
            return None
        return read_cart_codes(document.one("cart"))

    def remove_codes_from_cart(self, cart_id: str, codes: Collection[str]) -> None:
        """Remove codes from a cart, including those of deleted promotions. A code that is not in it is ignored.

        Raises `MedusaRefused` for a completed cart, and `MedusaAway` for one that is locked or does not exist: Medusa
        2.21.2 answers 500 to both.
        """
        path = _path("/store/carts", cart_id, "/promotions")
        self._http.store("DELETE", path, body={"promo_codes": sorted(codes)}).one("cart")

    def remove_codes_from_all_carts(self, codes: Collection[str], *, dry_run: bool = False) -> Withdrawal | None:
        """Have the plugin remove these codes from every open cart; None if Medusa has no such route.

        It changes a limited number of carts per call: `remaining` says how many are left. With `dry_run` it only finds
        them.
        """
        carts: dict[str, tuple[str, ...]] = defaultdict(tuple)
        remaining = 0
        # The plugin takes a hundred codes per call.
        for portion in _in_portions(sorted(codes)):
            body = {"codes": portion, "dry_run": dry_run}
            answer = self._http.admin("POST", "/admin/dust/codes/withdraw", body=body, optional=True)
            if "carts" not in answer:
                return None
            for cart in answer.rows("carts", "cart_id"):
                held = cart.get("codes")
                carts[cart["cart_id"]] += tuple(map(str, held if isinstance(held, list) else ()))
            remaining += answer.number("remaining")
        return Withdrawal(carts=carts, remaining=remaining)

    def create_promotion(self, body: Json) -> Promotion:
        """Create a promotion. Raises `MedusaRefused` if the code is taken, or for any other refusal."""
        return _promotion(self._http.admin("POST", "/admin/promotions", body=body).one("promotion", "id", "code"))

    def promotions_by_code(self, codes: Collection[str]) -> dict[str, Promotion]:
        """Return the promotions of these codes, in any state. A code that does not exist is left out."""
        promotions = self._promotions(codes, "id,code,used,rules.description")
        return {promotion["code"]: _promotion(promotion) for promotion in promotions}

    def usable_codes(self, codes: Collection[str]) -> set[str]:
        """Return the codes among these that a shopper could still use."""
        return {
            promotion["code"]
            for promotion in self._promotions(codes, "id,code,status,used,limit")
            if promotion.get("status") == "active"
            and not (isinstance(promotion.get("limit"), int) and _used(promotion) >= promotion["limit"])
        }

    def _promotions(self, codes: Collection[str], fields: str) -> Iterator[Json]:
        wanted = sorted(codes)
        for start in range(0, len(wanted), _CODES_AT_ONCE):
            portion = wanted[start : start + _CODES_AT_ONCE]
            name = "code[]" if len(portion) > 1 else "code"
            params: Params = [*((name, code) for code in portion), ("fields", fields), ("limit", _CODES_AT_ONCE)]
            promotions = self._http.admin("GET", "/admin/promotions", params=params).rows("promotions", "id", "code")
            yield from (promotion for promotion in promotions if promotion["code"] in codes)

    def delete_promotion(self, promotion_id: str) -> None:
        """Delete a promotion. A promotion that does not exist is ignored."""
        try:
            # Read, because points become free by this answer: another program's 200 must not free them.
            _ = self._http.admin("DELETE", _path("/admin/promotions", promotion_id))["deleted"]
        except UnknownInMedusa:
            log.info("promotion_was_gone", promotion_id=promotion_id)

    def currencies(self) -> dict[str, int]:
        """Return the decimal digits of all of Medusa's currencies, by code. Raises `MedusaAway` for other answers."""
        # Medusa 2.21.2 ships 126 currencies, and has no maximum for `limit`.
        query = {"fields": "code,decimal_digits", "limit": "1000"}
        rows = self._http.admin("GET", "/admin/currencies", params=query).rows("currencies")
        try:
            return read_currencies(rows)
        except ValueError as error:
            raise MedusaAway(f"What answered GET /admin/currencies is not Medusa: {error}") from error

    def product_with_prices(self, product_id: ProductId) -> Json:
        """Return a product: `discountable`, and `variants` with `title` and `prices`. Raises `UnknownInMedusa`."""
        fields = {"fields": PRICE_FIELDS}
        return self._http.admin("GET", _path("/admin/products", product_id), params=fields).one("product")

    def products_with_prices(self, product_ids: Collection[ProductId]) -> dict[ProductId, Json]:
        """Like `product_with_prices`, for several; products that Medusa does not know are left out."""
        return {
            ProductId(product["id"]): product
            for products in self._matching("/admin/products", "id[]", product_ids, PRICE_FIELDS, needed=("id",))
            for product in products
        }

    def set_product_metadata(self, product_id: ProductId, metadata: Json) -> None:
        """Merge these keys into a product's metadata; an empty string removes a key. Raises `UnknownInMedusa`."""
        self._http.admin("POST", _path("/admin/products", product_id), body={"metadata": metadata}).one("product")

    def _matching(
        self,
        path: str,
        name: str,
        values: Collection[str],
        fields: str,
        *,
        needed: Collection[str] = (),
        **filters: str,
    ) -> Iterator[list[Json]]:
        """Yield the resources whose parameter `name` is one of these values, a request for each portion of values."""
        for portion in _in_portions(sorted(values)):
            chosen = ((name, value) for value in portion)
            params: Params = [*chosen, *filters.items(), ("fields", fields), ("limit", len(portion))]
            yield self._http.admin("GET", path, params=params).rows(path.rpartition("/")[2], *needed)

    def _list(
        self,
        path: str,
        field: str,
        filters: Mapping[str, str],
        *,
        compares_ids: bool = True,
        passes_unreadable: bool = True,
    ) -> PagedList:
        name = path.rpartition("/")[2]

        def read(window: dict[str, str]) -> list[Json]:
            answer = self._http.admin("GET", path, params={**filters, **window})
            return answer.rows(name) if passes_unreadable else answer.rows(name, "id")

        return PagedList(
            read=read, field=field, compares_ids=compares_ids, passes_unreadable=passes_unreadable
        )  # fmt: skip


def _path(collection: str, id: str, below: str = "") -> str:
    """Return the path of one resource. Raises `UnknownInMedusa` for an invalid id, which could lead to another path."""
    if not is_id(id):
        raise UnknownInMedusa("Medusa has nothing with such an id.")
    return f"{collection}/{id}{below}"


def _promotion(promotion: Json) -> Promotion:
    return Promotion(
        id=promotion["id"],
        code=promotion["code"],
        used=_used(promotion),
        redemption_id=_redemption_id(promotion),
    )


def _used(promotion: Json) -> int:
    used = promotion.get("used")
    return used if isinstance(used, int) else 0


def _redemption_id(promotion: Json) -> str | None:
    """Return the redemption of the promotion (`redemptions/promotions.py`); None if Dust did not create it."""
    for rule in objects(promotion.get("rules")):
        # The shop's own rules may have descriptions with any text.
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            return str(json.loads(rule["description"])["redemption_id"])
    return None


def _in_portions(values: Iterable[str]) -> Iterator[list[str]]:
    """Yield the values in portions that fit into a URL, even if each character is encoded as three."""
    portion: list[str] = []
    for value in values:
        if portion and (len(portion) == _VALUES_AT_ONCE or sum(map(len, portion)) + len(value) > _CHARACTERS_AT_ONCE):
            yield portion
            portion = []
        portion.append(value)
    if portion:
        yield portion


def order_id_of(payment: Json) -> OrderId | None:
    """Return the order of a payment; None if it has none."""
    collection = payment.get("payment_collection")
    order = collection.get("order") if isinstance(collection, dict) else None
    order_id = order.get("id") if isinstance(order, dict) else None
    return OrderId(order_id) if isinstance(order_id, str) else None


def _rows(pages: Iterator[Page]) -> Iterator[list[Json]]:
    return (page.rows for page in pages)


def make_medusa(settings: Settings) -> Medusa:
    """Create a client for the Medusa of these settings. Raises `MedusaNotConfigured`."""
    if not settings.medusa_url:
        raise MedusaNotConfigured("DUST_MEDUSA_URL")
    key = settings.medusa_api_key.get_secret_value() if settings.medusa_api_key else None
    return Medusa(
        settings.medusa_url, key, settings.medusa_publishable_key, timeout_seconds=settings.medusa_timeout_seconds
    )


@PerProcess
def get_medusa() -> Medusa:
    """Return this process's client."""
    return make_medusa(get_settings())
