"""Credit lines of an order: refunds without a return, and gift cards or store credit that paid for it."""

from decimal import Decimal

from bridge.medusa.order_shapes import OrderShape


def split_credit(order: OrderShape) -> tuple[Decimal, Decimal]:
    """Split the credit lines into refunds without a return (or forgiven amounts), and payments at placement.

    A negative line returns money as store credit: then less of the order was paid with credit.
    """
    if order.credit_lines is None:
        # From an older sender. The first version has the credit at placement, less what was refunded since.
        given_back = order.summary.refunded_total if order.summary else Decimal(0)
        at_placement = order.credit_line_total - given_back if order.version <= 1 else Decimal(0)
        at_placement = max(at_placement, Decimal(0))
        return order.credit_line_total - at_placement, at_placement
    lines = [line for line in order.credit_lines if line]
    refunded = sum((line.amount for line in lines if not line.at_placement and line.amount > 0), Decimal(0))
    given_back = sum((line.amount for line in lines if line.amount < 0), Decimal(0))
    paid = sum((line.amount for line in lines if line.at_placement and line.amount > 0), Decimal(0))
    return refunded, max(paid + given_back, Decimal(0))
