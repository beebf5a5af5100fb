"""The worth of the orders of a whole shop, for random sequences, computed without any code of Dust.

A `Sale` is an order as Medusa has it, `Rules` are what an order met when Dust first settled it, and `Ranking` works out
what limits and tiers make of a customer's orders.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil, floor, ulp
from typing import Any

from tests.support.orders import line, order

REDEEM_RATE = 10
"""Points for 1 eur of discount."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of one version of the programme."""

    rate: int = 1
    waits: bool = False
    """Whether an order earns once it is paid."""
    pending_until_paid: bool = False
    include_credit: bool = True
    within_balance: bool = False
    pending_days: int = 0
    expires_after_days: int | None = None
    per_order: int | None = None
    per_day: int | None = None
    window: tuple[int, int] | None = None
    """The maximum of points, and the number of days that it is for."""
    tier_days: int = 30
    tier_by_money: bool = False
    levels: tuple[tuple[int, Fraction], ...] = ()
    """Threshold and factor."""

    def document(self) -> dict[str, Any]:
        limits = {
            "per_order": self.per_order,
            "per_day": self.per_day,
            "per_customer": dict(zip(("dust", "days"), self.window, strict=True)) if self.window else None,
        }
        levels = [
            {"name": f"level {threshold}", "from": str(threshold), "factor": str(float(factor))}
            for threshold, factor in self.levels
        ]
        return {
            "earn": {
                "rates": {"eur": str(self.rate)},
                "when": "payment.captured" if self.waits else "order.placed",
                "pending_until_paid": self.pending_until_paid,
                "basis": {"include_credit": self.include_credit},
                "pending_days": self.pending_days,
                "expires_after_days": self.expires_after_days,
                "limits": limits,
            },
            "redeem": {"rates": {"eur": str(REDEEM_RATE)}, "code_ttl_minutes": 600},
            "tiers": {
                "basis": "spent" if self.tier_by_money else "earned",
                "currency_code": "eur",
                "window_days": self.tier_days,
                "levels": levels,
            },
            "reversal": {"negative_balance": "within_balance" if self.within_balance else "allow"},
        }


@dataclass(kw_only=True)
class Sale:
    """An order of one line, as it is in Medusa. Amounts are whole euros; `noise` is what Medusa's arithmetic adds."""

    number: int
    customer: str
    price: int
    quantity: int
    created: datetime
    updated: datetime
    noise: int = 0
    version: int = 1
    returned: int = 0
    refund: int = 0
    """Given back, or forgiven, without a return."""
    gift: int = 0
    """What a gift card paid when the order was placed."""
    discount: int = 0
    hold: int | None = None
    """The redemption whose code takes the discount off."""
    captured: int = 0
    money_back: int = 0
    """What was captured and refunded."""
    canceled: bool = False
    draft: bool = False
    gone: bool = False
    """Medusa has deleted it."""

    @property
    def share_kept(self) -> Fraction:
        return Fraction(self.quantity - self.returned, self.quantity)

    @property
    def bought(self) -> Fraction:
        return (self.price * self.quantity - self.discount) * self.share_kept

    @property
    def total(self) -> Fraction:
        """What is to be paid in money."""
        return self.bought - self.refund - self.gift

    @property
    def paid(self) -> bool:
        """All that it costs was captured. What is refunded later leaves it paid."""
        return self.total <= 0 or (self.captured > 0 and self.captured >= self.total + self.money_back)

    @property
    def stands(self) -> bool:
        return not (self.canceled or self.draft or self.gone)

    @property
    def money_moved(self) -> int:
        return self.captured + self.money_back

    def counts(self, rules: Rules) -> bool:
        """Whether the event required by the rules has happened."""
        return self.stands and (self.paid or not rules.waits)

    def spent(self, rules: Rules) -> Fraction:
        """The money that the customer has spent on what they keep."""
        kept = self.bought - self.refund - (0 if rules.include_credit else self.gift)
        return max(Fraction(0), kept) if self.counts(rules) else Fraction(0)

    def worth(self, rules: Rules, factor: Fraction = Fraction(1)) -> int:
        points = floor(self.spent(rules) * rules.rate * factor)
        return min(points, rules.per_order) if rules.per_order else points

    def unpaid(self, rules: Rules) -> bool:
        """Whether its points are pending until it is paid."""
        return rules.pending_until_paid and not self.paid and not self.canceled and not self.gone

    def uses(self, dust: int, value: int) -> int:
        """How many points of a redemption the order uses, of `dust` that take `value` off."""
        if not self.stands:
            return 0
        return min(dust, ceil(self.discount * self.share_kept * Fraction(dust, value)))

    def facts(self, order_id: str, customer_id: str, code: str | None) -> dict[str, Any]:
        """The order as Medusa gives it."""
        lines = [
            line(
                f"line_{order_id}",
                price=self.price,
                quantity=self.quantity,
                returned=self.returned,
                discount=self.discount,
                code=code,
            )
        ]
        document = order(
            order_id,
            customer_id=customer_id,
            placed=self.created,
            updated=self.updated,
            version=self.version,
            status="canceled" if self.canceled else "draft" if self.draft else "pending",
            payment_status="captured" if self.captured else "authorized",
            credit=self.refund + self.gift,
            lines=lines,
        )
        given = [{"amount": self.gift, "reference": "gift_card", "metadata": None}] if self.gift else []
        if self.refund:
            later = {"created_in_version": self.version}
            given.append({"amount": self.refund, "reference": "payment_collection", "metadata": later})
        document |= {
            "is_draft_order": self.draft,
            "credit_lines": given,
            "summary": {
                "paid_total": self.captured,
                "refunded_total": self.money_back,
                "transaction_total": self.captured - self.money_back,
            },
            "payment_collections": [
                {"status": "completed", "authorized_amount": self.captured, "captured_amount": self.captured}
                if self.captured
                else {"status": "authorized", "authorized_amount": float(max(self.total, 0)), "captured_amount": 0}
            ],
        }
        for part in (document, *document["items"]):
            for name in ("total", "subtotal", "item_total", "discount_total", "credit_line_total"):
                if name in part:
                    part[name] = self._with_noise(part[name])
        return document

    def _with_noise(self, amount: float) -> float:
        """An amount with the noise of Medusa's arithmetic: 60 is 59.99999999999999, and 0 is 1e-20."""
        return amount + self.noise * 2 * ulp(amount) if amount else self.noise * 1e-20


@dataclass(kw_only=True)
class Ranking:
    """What limits and tiers make of orders, by the facts in the order in which Dust received them: no transfers.

    A customer's orders stand in a row by when they were placed. Each gets what the limits leave after those before it.
    The tier is what the customer's orders of the window before had got, when the order was first settled.
    """

    known: dict[int, Sale] = field(default_factory=dict)
    rules: dict[int, Rules] = field(default_factory=dict)
    factors: dict[int, Fraction] = field(default_factory=dict)

    def receive(self, sale: Sale, rules: Rules) -> None:
        before = self.known.get(sale.number)
        if before is None:
            self.rules[sale.number] = rules
            self.factors[sale.number] = self._factor(sale, rules)
        elif (before.version, before.money_moved) > (sale.version, sale.money_moved) or before.canceled:
            return
        self.known[sale.number] = sale

    def forget(self, number: int) -> None:
        """Medusa has deleted the order."""
        self.known.pop(number, None)

    def _factor(self, sale: Sale, rules: Rules) -> Fraction:
        earned = self.shares(sale.customer)
        total = Fraction(0)
        for earlier in self._orders_of(sale.customer):
            own = self.rules[earlier.number]
            inside = sale.created - timedelta(days=rules.tier_days) < earlier.created <= sale.created
            if inside and not earlier.unpaid(own):
                total += earlier.spent(own) if rules.tier_by_money else earned[earlier.number]
        reached = [factor for threshold, factor in rules.levels if threshold <= total]
        return reached[-1] if reached else Fraction(1)

    def shares(self, customer: str) -> dict[int, int]:
        """The points of each of the customer's orders."""
        earned: dict[int, int] = {}
        before: list[Sale] = []
        for sale in self._orders_of(customer):
            rules = self.rules[sale.number]
            most = sale.worth(rules, self.factors[sale.number])
            if rules.per_day is not None:
                day = [earlier for earlier in before if earlier.created.date() == sale.created.date()]
                most = min(most, max(0, rules.per_day - _sum(earned, day)))
            if rules.window is not None:
                points, days = rules.window
                window = [earlier for earlier in before if earlier.created > sale.created - timedelta(days=days)]
                most = min(most, max(0, points - _sum(earned, window)))
            earned[sale.number] = most
            before.append(sale)
        return earned

    def _orders_of(self, customer: str) -> list[Sale]:
        own = [sale for sale in self.known.values() if sale.customer == customer]
        return sorted(own, key=lambda sale: (sale.created, sale.number))


def _sum(earned: dict[int, int], sales: Iterable[Sale]) -> int:
    return sum(earned[sale.number] for sale in sales)
