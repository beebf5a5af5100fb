"""Compute a customer's tier. Pure arithmetic.

A tier is not stored: it follows from the orders in the window that ends at the given moment. It rises as soon as an
order counts, and falls when the orders that counted leave the window. A canceled order does not count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bridge.programme.rules import TierLevel, Tiers


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one order counts: the points it earned or the money spent on it, by the basis."""

    placed_at: datetime
    amount: Decimal
    order_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A customer's tier at one moment.

    `until` is when it is lost without further orders; None if it cannot be lost.
    """

    level: TierLevel | None
    until: datetime | None
    next: TierLevel | None
    total: Decimal
    """Points, or money in major units, that count within the window."""
    missing: Decimal | None
    """How much is missing to the next level."""

    @property
    def factor(self) -> Decimal:
        return self.level.factor if self.level else Decimal(1)


def standing(tiers: Tiers, contributions: Iterable[Contribution], *, moment: datetime) -> Standing:
    """Return the standing at `moment`, from the orders placed up to then."""
    window = timedelta(days=tiers.window_days)
    counted = sorted(
        (each for each in contributions if moment - window < each.placed_at <= moment), key=lambda each: each.placed_at
    )
    total = sum((each.amount for each in counted), Decimal(0))
    level = next((each for each in reversed(tiers.levels) if each.threshold <= total), None)
    following = next((each for each in tiers.levels if each.threshold > total), None)
    until = None
    if level:
        left = total
        for each in counted:
            left -= each.amount
            if left < level.threshold:
                until = each.placed_at + window
                break
    return Standing(
        level=level,
        until=until,
        next=following,
        total=total,
        missing=following.threshold - total if following else None,
    )
