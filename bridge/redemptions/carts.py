"""The carts that quotes and redemptions are about, and the points prices of their products."""

from collections.abc import Callable, Collection, Iterable

from sqlalchemy import Connection

from bridge.errors import Conflict, NotFound
from bridge.ids import CustomerId, ProductId
from bridge.medusa.carts import Cart
from bridge.medusa.client import Medusa
from bridge.medusa.errors import UnknownInMedusa
from bridge.products.settings import ProductSettings
from bridge.programme.spending import Redeem
from bridge.redemptions.pricing.basket import Basket, basket_of
from bridge.redemptions.repository import codes_for_cart


class UnknownCart(NotFound):
    """The cart does not exist or belongs to another customer."""

    code = "unknown_cart"
    message = "This cart is not in your account. Please sign in to the account it belongs to, and try again."


class CartCompleted(Conflict):
    """The cart was completed: it is an order already."""

    code = "cart_completed"
    message = "This cart has been ordered already. You find it among your orders."


def own_cart(medusa: Medusa, cart_id: str, customer_id: CustomerId) -> Cart:
    """Read an open cart of this customer. Raises `UnknownCart`, `CartCompleted`."""
    return open_cart(medusa, cart_id, lambda cart: cart.customer_id == customer_id)


def open_cart(medusa: Medusa, cart_id: str, may_see: Callable[[Cart], bool]) -> Cart:
    """Read a cart that is not an order yet. Raises `UnknownCart` (also if `may_see` refuses it), `CartCompleted`."""
    try:
        cart = medusa.cart(cart_id)
    except UnknownInMedusa:
        raise UnknownCart from None
    if not may_see(cart):
        raise UnknownCart
    if cart.completed:
        raise CartCompleted
    return cart


def product_ids(cart: Cart | None) -> list[ProductId]:
    return [line.product_id for line in cart.lines if line.product_id] if cart else []


def dust_only_prices(settings: Iterable[ProductSettings]) -> dict[ProductId, int]:
    return prices_of(product for product in settings if product.dust_only)


def prices_of(settings: Iterable[ProductSettings]) -> dict[ProductId, int]:
    return {product.product_id: product.dust_price for product in settings if product.dust_price}


def without(prices: dict[ProductId, int], left_out: Collection[ProductId]) -> dict[ProductId, int]:
    return {product_id: price for product_id, price in prices.items() if product_id not in left_out}


def basket_for(
    connection: Connection, customer_id: CustomerId, cart: Cart, dust_only: Collection[ProductId], rules: Redeem
) -> Basket:
    """Return the part of the cart that points can still discount."""
    codes = codes_for_cart(connection, customer_id, cart)
    return basket_of(cart, dust_only=dust_only, codes=codes, max_share=rules.max_share)
