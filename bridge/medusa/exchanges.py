"""How much of an order's price counts after a claim or an exchange: only what was paid.

Medusa adds the new items to the order before they are paid, and removes returned items only when they have arrived.
Until then the order holds both, and its total does not show what the customer has paid for them. What was seen on
Medusa 2.21.2, and which of its figures are reliable: docs/decisions/0015.
"""

from dataclasses import dataclass
from decimal import Decimal

_ALL, _NOTHING = Decimal(1), Decimal(0)


@dataclass(frozen=True, kw_only=True)
class MoneyKept:
    """The share of the price that the shop keeps, from 0 to 1, for items bought and items swapped in."""

    bought: Decimal = _ALL
    swapped: Decimal = _ALL


def money_kept(*, total: Decimal, not_kept: Decimal, swapped_price: Decimal, money: Decimal) -> MoneyKept:
    """Divide the money that the shop keeps among an order's items: first those bought, then those swapped in.

    All amounts with tax, in major units. `total` is the order's, after `not_kept` was taken off it. `swapped_price` is
    the part of the total for items swapped in, before that. `money` is what the customer has paid for everything that
    the order holds.

    Examples. A shirt for 12.50, with 6.25 for shipping, is exchanged; 18.75 were paid:

        exchanged for       first shirt     total   swapped   counts
        another shirt       not back yet    31.25     12.50   the first shirt
        another shirt       came back       18.75     12.50   the second shirt
        a hoodie for 50.00  came back       56.25     50.00   12.50 of the hoodie, until the rest is paid

    A refund of 10.00 without a return, of an order of 81.25: total 71.25, not kept 10.00: 71.25 / 81.25 counts.
    """
    bought_price = total + not_kept - swapped_price
    unpaid = min(max(total - money, _NOTHING), swapped_price)
    kept = max(total - unpaid, _NOTHING)
    return MoneyKept(
        bought=min(kept / bought_price, _ALL) if bought_price > 0 else _ALL,
        swapped=min(max(kept - bought_price, _NOTHING) / swapped_price, _ALL) if swapped_price > 0 else _ALL,
    )
