"""What of a cart a discount can be set against. No I/O."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal

from bridge.ids import ProductId
from bridge.medusa.amounts import sum_of
from bridge.medusa.carts import Cart


@dataclass(frozen=True, kw_only=True)
class Basket:
    """The lines of a cart that money may pay for; products for dust alone are no part of it. Major units, with tax.

    `worth` is what they cost after the shop's own discounts and before dust, `room` how much dust may still take off.
    """

    currency_code: str
    worth: Decimal
    room: Decimal


def basket_of(
    cart: Cart, *, dust_only: Collection[ProductId], promised: Mapping[str, Decimal], max_share: Decimal
) -> Basket:
    """`promised` are the open discounts of this customer in this cart, by code, with their value if they have one.

    At a share of one half, a cart of 20.00 has room for 10.00, and for 4.00 when dust takes 6.00 off it already:
    the share is of the whole, so a second code does not get half of what the first has left.
    """
    lines = [line for line in cart.lines if line.product_id not in dust_only]
    taken = sum_of(line.discounts[code] for line in lines for code in line.discounts if code in promised)
    # A code that is still on its way into the cart takes its value off all the same.
    coming = sum((value for code, value in promised.items() if code not in cart.promotion_codes), Decimal(0))
    worth = sum_of(line.gross for line in lines) + taken
    room = max(Decimal(0), worth * max_share - taken - coming)
    return Basket(currency_code=cart.currency_code, worth=worth, room=room)
