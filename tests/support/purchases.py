"""An order as a shopper and a merchant see it, and the facts that Medusa gives of it; for random sequences.

What it should earn is worked out here by an arithmetic of its own, from the few figures that a person would note down.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Any

from tests.support.orders import PLACED, line, order


@dataclass(kw_only=True)
class Purchase:
    """What is true of an order now. One line was ordered; an exchange may have swapped another one in."""

    id: str
    customer: str
    price: int
    quantity: int
    placed: datetime = PLACED
    returned: int = 0
    credit: int = 0
    """Refunded without a return."""
    canceled: bool = False
    code: str | None = None
    discount: int = 0
    version: int = 1
    swapped: int = 0
    """What the item costs that an exchange put on the order; 0 without one."""
    captured: int = 0
    refunded: int = 0
    rate: int | None = None
    """The earning rate that was in force when it was first settled."""
    waits_for_payment: bool = False
    """Whether the rules of its first settlement require payment before it earns."""
    seen: tuple[int, int] = (0, 0)
    """The version of the newest facts that Dust has received."""
    due: bool = False
    """Whether it is paid, or has nothing to pay, by the newest facts of Dust, or was paid in any earlier ones."""
    was_paid: bool = False
    """The same without what can end: an order that costs nothing is paid only as long as it does."""

    @property
    def age(self) -> tuple[int, int]:
        """The marks of how new the facts are. A payment changes only the sum of moved money."""
        return self.version, self.captured + self.refunded

    @property
    def paid(self) -> bool:
        return self.captured > 0

    def share_kept(self) -> Fraction:
        return Fraction(self.quantity - self.returned, self.quantity)

    def bought(self) -> Fraction:
        """The price of the ordered units that the customer keeps."""
        return (self.price * self.quantity - self.discount) * self.share_kept()

    def total(self) -> Fraction:
        return self.bought() + self.swapped - self.credit

    def given(self) -> Fraction:
        """What the customer has paid, less refunds. Before the first capture, the ordered items count as paid."""
        on_trust = self.price * self.quantity - self.discount - self.credit
        return Fraction(self.captured - self.refunded if self.paid else on_trust)

    def earned(self) -> int:
        """The points of the order as it is now. Unpaid money is missing for the items that were swapped in."""
        if self.canceled or self.rate is None or (self.waits_for_payment and not self.due):
            return 0
        missing = max(Fraction(0), self.total() - self.given())
        kept = max(Fraction(0), self.total() - min(missing, Fraction(self.swapped)))
        return floor(self.rate * kept * (self.share_that_is_paid() if self.waits_for_payment else 1))

    def to_pay(self) -> Fraction:
        """What has to be captured in all, without what was swapped in: what is refunded later was captured before."""
        return self.total() + self.refunded - self.swapped

    def share_that_is_paid(self) -> Fraction:
        """Of an order that was paid, and then raised by an edit."""
        if self.total() <= 0 or self.captured >= self.to_pay():
            return Fraction(1)
        return Fraction(self.captured) / self.to_pay()

    def discount_used(self) -> Fraction:
        return Fraction(0) if self.canceled else self.discount * self.share_kept()

    def dust_used(self, dust: int, value: Fraction) -> int:
        """How much of a redemption of these points, worth this amount of money, the order uses."""
        return min(dust, ceil(self.discount_used() / value * dust))

    def receive(self, facts: dict[str, Any], *, rate: int, waits: bool) -> bool:
        """Dust receives these facts. The first ones fix the rules, and outdated ones change nothing."""
        if self.rate is None:
            self.rate, self.waits_for_payment = rate, waits
        age = (facts["version"], facts["summary"]["paid_total"] + facts["summary"]["refunded_total"])
        if age < self.seen:
            return False
        self.seen = age
        captured, refunded = facts["summary"]["paid_total"], facts["summary"]["refunded_total"]
        swapped = sum(item["total"] for item in facts["items"] if item["id"].startswith("swap_"))
        # Medusa treats an order as paid if one cent is missing.
        paid = captured > 0 and captured + 0.01 >= facts["total"] + refunded - swapped
        self.due = paid or self.was_paid or facts["total"] <= 0
        self.was_paid |= paid or (captured > 0 and facts["total"] <= 0)
        return True

    def facts(self) -> dict[str, Any]:
        """The order as Medusa gives it. What tells of an exchange and of money is as captured, see decision 15."""
        ordered = line(
            f"line_{self.id}",
            price=self.price,
            quantity=self.quantity,
            returned=self.returned,
            discount=self.discount,
            code=self.code,
        )
        ordered |= {
            "created_at": _iso(self.placed),
            "return_received_total": float(self.price * self.quantity - self.discount - self.bought()),
        }
        lines = [ordered]
        if self.swapped:
            added = line(f"swap_{self.id}", price=self.swapped)
            lines.append(added | {"created_at": _iso(self.placed + timedelta(hours=1)), "return_received_total": 0})
        document = order(
            self.id,
            customer_id=self.customer,
            placed=self.placed,
            version=self.version,
            status="canceled" if self.canceled else "pending",
            payment_status="captured" if self.paid else "authorized",
            credit=self.credit,
            lines=lines,
        )
        kept = self.captured - self.refunded
        return document | {
            "returns": [{"id": f"return_{self.id}", "exchange_id": f"oexc_{self.id}"}] if self.swapped else [],
            "summary": {"paid_total": self.captured, "refunded_total": self.refunded, "transaction_total": kept},
            "payment_collections": [
                # Medusa withdraws an authorization when an exchange comes before the capture.
                {"status": "completed", "authorized_amount": self.captured, "captured_amount": self.captured}
                if self.paid
                else {"status": "canceled" if self.swapped else "authorized", "authorized_amount": 0}
            ],
        }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
