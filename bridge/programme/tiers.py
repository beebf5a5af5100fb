"""Which tier a customer has reached. Pure arithmetic.

A tier is no state: it follows from the orders of the window that ends at the moment asked about. It rises as soon as
an order counts, falls when the orders that made it leave the window, and a canceled order never made it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bridge.programme.rules import TierLevel, Tiers


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one order adds: the dust it earned or the money spent on it, as the basis says."""

    placed_at: datetime
    amount: Decimal
    order_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A customer's tier at one moment. `until` is when it is lost if no order comes; None where it cannot be lost."""

    level: TierLevel | None
    until: datetime | None
    next: TierLevel | None
    total: Decimal
    """Points, or money in major units, that count within the window."""
    missing: Decimal | None
    """How much is wanting for the next level."""

    @property
    def factor(self) -> Decimal:
        return self.level.factor if self.level else Decimal(1)


def standing(tiers: Tiers, contributions: Iterable[Contribution], *, moment: datetime) -> Standing:
    """The standing at `moment`, by what was placed up to then."""
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
