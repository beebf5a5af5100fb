"""How much of an order has been paid, by Medusa's amounts."""

from dataclasses import dataclass
from decimal import Decimal

from bridge.medusa.currencies import amount_to_pay
from bridge.medusa.order_shapes import OrderShape

# Payment states that mean captured. Medusa also uses the last two for an order of which only a part was captured.
_CAPTURED = {"captured", "partially_refunded", "refunded"}
# Medusa 2.21.2 treats a payment as complete if at most one cent is missing (`getLastPaymentStatus`).
_CENT = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class OrderPayment:
    """What was paid of an order, by its amounts.

    `payment_status` is not used where there are amounts: it is `refunded` for an order of which a part was captured and
    refunded.
    """

    captured: Decimal
    """The sum ever captured, whether or not it was refunded later."""
    refunded: Decimal
    """The part of `captured` that was refunded, for a return or without one."""
    credit: Decimal
    """What gift cards and store credit paid when the order was placed."""
    to_capture: Decimal
    """The sum to capture in total, without `credit`; above 0 unless nothing is left to pay."""
    price: Decimal
    """What the order costs now, without `credit` and without what a claim or an exchange added."""
    costs_nothing: bool

    @property
    def paid(self) -> bool:
        # An order that costs nothing never has a payment.
        return self.costs_nothing or (self.captured + self.credit > 0 and self.captured + _CENT >= self.to_capture)

    def share(self, *, include_credit: bool) -> Decimal:
        """Return the paid share of what the order costs, 0 to 1.

        An edit has raised an order from 100 to 200, of which a gift card paid 50 and 50 were captured: one half is
        paid. Without the gift card it costs 150, and one third is captured. If 30 of the 50 were refunded before, for
        a return, it costs 170, and 70 are paid.
        """
        credit = self.credit if include_credit else Decimal(0)
        given, price = self.captured - self.refunded + credit, self.price + credit
        if self.costs_nothing or given + _CENT >= price:
            return Decimal(1)
        return max(given, Decimal(0)) / price


def read_payment(
    order: OrderShape, swapped_line_ids: frozenset[str], *, credit: Decimal, returned: Decimal
) -> OrderPayment:  # fmt: skip
    """Return what was paid.

    `swapped_line_ids` are the lines that a claim or an exchange added, `returned` is the price of what came back.
    """
    refunded = order.summary.refunded_total if order.summary else Decimal(0)
    # A refund without a return is a credit line.
    refunded_without_return = min(order.credit_line_total, refunded)
    refunded_for_goods = refunded - refunded_without_return
    if not _has_open_collection(order):
        # Refunds above the price of what came back were for units that an edit has removed, or without a return: older
        # versions of Medusa leave the total as it is then. Which of both matters only if an edit has added something.
        refunded_for_goods = min(refunded_for_goods, returned)
    price = order.total - sum((item.total for item in order.items if item.id in swapped_line_ids), Decimal(0))
    # Refunds have lowered the total, and are part of what was captured before.
    lowered_by = refunded_without_return + refunded_for_goods
    to_capture = price + lowered_by
    if swapped_line_ids:
        # A line of an earlier order edit counts as swapped in, so the price lacks it. A payment that was captured in
        # part was begun for all that was due.
        captured_in_part = (collection for collection in order.live_collections if collection.captured_amount)
        begun = sum((collection.amount or Decimal(0) for collection in captured_in_part), Decimal(0))
        to_capture = max(to_capture, min(begun, order.total + lowered_by))
    return OrderPayment(
        captured=_captured(order),
        refunded=refunded,
        credit=credit,
        to_capture=to_capture,
        price=price,
        costs_nothing=amount_to_pay(order.total, order.currency_code) <= 0,
    )


def _has_open_collection(order: OrderShape) -> bool:
    """Whether something is left to pay. Medusa opens a payment collection for what an edit adds (2.21.2)."""
    return any(
        (collection.amount or 0) - (collection.captured_amount or 0) > _CENT for collection in order.live_collections
    )


def _captured(order: OrderShape) -> Decimal:
    amounts = [collection.captured_amount or Decimal(0) for collection in order.payment_collections or ()]
    paid = max(order.summary.paid_total if order.summary else Decimal(0), sum(amounts, Decimal(0)))
    if paid or order.payment_status not in _CAPTURED:
        return paid
    # If both amounts are missing, the status decides, except for payments of 0. Medusa captures those at once, and they
    # stay captured if an order edit raises the order's total above 0 (2.21.2).
    collections = order.live_collections
    of_nothing = bool(collections) and all(collection.amount == 0 for collection in collections)
    return Decimal(0) if of_nothing else max(order.total + order.credit_line_total, Decimal(0))
