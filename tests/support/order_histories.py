"""Orders with a history, and what each should earn in the end, computed separately in whole cents."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.support.clock import START
from tests.support.orders import line, order

_MAX_FACTS = 3


@dataclass(frozen=True, kw_only=True)
class OrderHistory:
    """One order: its facts over time, oldest first, and the points that it should hold after each."""

    order_id: str
    customer_id: str
    facts: list[dict[str, Any]]
    worth: list[int]

    @property
    def newest(self) -> dict[str, Any]:
        return self.facts[-1]


def order_histories(count: int, *, customers: int, chance: random.Random) -> list[OrderHistory]:
    """Orders that are placed, and some of them returned in part, edited or canceled; at 1 point for each whole eur."""
    return [_order_history(f"order_{number:05}", f"cus_{number % customers:03}", chance) for number in range(count)]


def balances(histories: Iterable[OrderHistory], received: Mapping[str, int] | None = None) -> dict[str, int]:
    """What each customer should have, without zeros.

    `received` has for each order the place in `facts` of the newest facts that Dust received; None: it received all.
    """
    sums: Counter[str] = Counter()
    for history in histories:
        place = len(history.facts) - 1 if received is None else received.get(history.order_id)
        sums[history.customer_id] += 0 if place is None else history.worth[place]
    return {customer: dust for customer, dust in sums.items() if dust}


def _order_history(order_id: str, customer_id: str, chance: random.Random) -> OrderHistory:
    # Within the last half day: the first poll of `reconcile` looks back a day.
    placed = START - timedelta(hours=12) + timedelta(seconds=chance.randrange(36_000))
    facts, worth = [], []
    for version in range(1, chance.randint(1, _MAX_FACTS) + 1):
        cents, quantity, canceled = (
            chance.randint(1, 9_999),
            chance.randint(1, 5),
            version > 1 and chance.random() < 0.3,
        )
        returned = chance.randint(0, quantity) if version > 1 else 0
        # A discount that can be split over the units without a remainder.
        discount_cents = chance.randrange(cents) * quantity
        facts.append(
            order(
                order_id,
                customer_id=customer_id,
                version=version,
                placed=placed,
                status="canceled" if canceled else "pending",
                lines=[
                    line(
                        price=cents / 100,
                        quantity=quantity,
                        returned=returned,
                        discount=discount_cents / 100,
                        code="SUMMER",
                    )
                ],
            )
        )
        standing_cents = (quantity - returned) * cents - discount_cents * (quantity - returned) // quantity
        worth.append(0 if canceled else standing_cents // 100)
        if canceled:
            break
    return OrderHistory(order_id=order_id, customer_id=customer_id, facts=facts, worth=worth)
