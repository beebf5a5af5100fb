"""What a claim's replacement or an exchange's new item earns: only what was paid for it.

Medusa adds such items to the order before anybody paid for them, and takes what comes back off the order only when it
has arrived. So until then an order holds both, and its total says nothing of what the customer has given for them.
What was seen on Medusa 2.21.2, and which of its figures tell: docs/decisions/0015.
"""

from dataclasses import dataclass
from decimal import Decimal

_ALL, _NOTHING = Decimal(1), Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How much of their price the shop keeps: for what was bought, and for what was swapped in. From 0 to 1.

    `unpaid` is what the swapped items still wait for, with tax, in major units.
    """

    bought: Decimal = _ALL
    swapped: Decimal = _ALL
    unpaid: Decimal = _NOTHING


def kept_shares(*, total: Decimal, credit: Decimal, swapped: Decimal, money: Decimal) -> Shares:
    """Divide what the shop keeps over what an order holds: first over what was bought, then over what was swapped in.

    `total` is the order's, after `credit` was taken off it; `swapped` of it are items swapped in, before the credit;
    `money` is what the customer has given for everything that the order holds. All with tax, in major units.

    An exchange of a shirt for 12.50 for another, 6.25 for shipping, 18.75 paid (total, swapped: what it earns for):
    31.25, 12.50 before the first one came back: the first one. 18.75, 12.50 afterwards: the second one.
    An exchange for a hoodie for 50.00: 56.25, 50.00 afterwards: 12.50 of the hoodie, until the rest is paid.
    A refund of 10.00 without a return, of an order of 81.25: total 71.25, credit 10.00: 71.25 / 81.25 of everything.
    """
    bought = total + credit - swapped
    unpaid = min(max(total - money, _NOTHING), swapped)
    kept = max(total - unpaid, _NOTHING)
    return Shares(
        bought=min(kept / bought, _ALL) if bought > 0 else _ALL,
        swapped=min(max(kept - bought, _NOTHING) / swapped, _ALL) if swapped > 0 else _ALL,
        unpaid=unpaid,
    )
