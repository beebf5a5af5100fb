"""A Medusa order as settlement needs it, with exact decimals. `order_shapes.py` has the shapes that Medusa sends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from bridge.errors import InvalidInput, wrong_fields
from bridge.ids import CustomerId, OrderId
from bridge.medusa.currencies import amount_to_pay
from bridge.medusa.exchanges import MoneyKept, money_kept
from bridge.medusa.order_credit import split_credit
from bridge.medusa.order_lines import CodeUse, Line, discount_with_tax, read_line, shipping_uses
from bridge.medusa.order_payment import read_payment
from bridge.medusa.order_shapes import ItemShape, OrderShape, ShippingMethodShape

_COMPLETED = {"completed", "archived"}
# Ordered lines are written with the order, at most a millisecond later; added lines need later calls.
_ONE_FLUSH = timedelta(milliseconds=200)


class OrderDetail(StrEnum):
    """Details that only some rules need, and that a snapshot of an older sender may lack."""

    CATEGORIES = "categories"
    COLLECTIONS = "collections"
    CUSTOMER_GROUPS = "customer groups"


class UnreadableOrder(InvalidInput):
    """The JSON is not an order of the known shape."""

    code = "unreadable_order"


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order at one moment. Amounts in major units of `currency_code`."""

    id: OrderId
    number: str | None
    """Medusa's `display_id`, which the shopper knows the order by."""
    customer_id: CustomerId | None
    is_guest: bool
    currency_code: str
    version: int
    created_at: datetime
    """When Medusa created its row; for a draft, when the draft was started."""
    placed_at: datetime
    updated_at: datetime
    is_draft: bool
    canceled: bool
    paid: bool
    """The order's full price was captured at some time. Also true while it costs nothing."""
    free: bool
    """It costs nothing now, and nothing ever paid for it. An order edit may raise its price."""
    paid_share: Decimal
    """The paid share of its price, 0 to 1, without items that a claim or an exchange added."""
    paid_share_without_credit: Decimal
    """The same, without what gift cards and store credit paid at placement."""
    paid_with_credit: Decimal
    """What gift cards and store credit paid at placement."""
    completed: bool
    lines: tuple[Line, ...]
    shipping_uses: tuple[CodeUse, ...]
    shipping_net: Decimal
    shipping_gross: Decimal
    """Shipping of the order itself. The shipping of a return, an exchange or a claim is a fee and not included."""
    promotion_codes: frozenset[str]
    customer_group_ids: frozenset[str]
    knows: frozenset[OrderDetail]
    """The details that the facts contain. For others, an empty value has no meaning."""
    money_kept: MoneyKept
    """The share of its money that the shop keeps, with gift cards and store credit counted as money."""
    money_kept_without_credit: MoneyKept
    """The same, without what they paid at placement."""
    money_moved: Decimal
    """The sum of all captured and refunded money: it only grows."""
    has_unpaid_exchange: bool
    """Whether something that a claim or an exchange added is not paid yet."""
    email: str | None = field(repr=False)
    """The e-mail of the order, used only for a guest's points. Never logged, never stored in clear."""
    cart_id: str | None = None
    customer_missing: bool = False
    """The facts have the customer's id only, so that `is_guest` is a guess: Medusa has deleted the customer."""
    gone: bool = False
    """Medusa no longer has the order. It then counts as canceled, and nothing else about it is known."""

    def kept_share(self, line: Line | None, *, include_credit: bool) -> Decimal:
        """Return the share of a line's money (of the shipping's if None) that the shop keeps, from 0 to 1.

        It is below 1 after a refund without a return, and for unpaid items that a claim or an exchange added.
        """
        shares = self.money_kept if include_credit else self.money_kept_without_credit
        return shares.swapped if line and line.swapped_in else shares.bought

    @property
    def codes(self) -> frozenset[str]:
        """Every promotion code of the order, whether or not it still takes anything off."""
        on_lines = {use.code for line in self.lines for use in line.code_uses}
        return self.promotion_codes | on_lines | {use.code for use in self.shipping_uses}

    def uses_of(self, code: str) -> list[tuple[Line, CodeUse]]:
        """Return the lines that the code takes something off, each with what it takes off."""
        return [(line, use) for line in self.lines for use in line.code_uses if use.code == code]


def read_order(document: Mapping[str, Any]) -> Order:
    """Read an order from JSON with numbers parsed as `Decimal`. Raises `UnreadableOrder`, which names the fields."""
    try:
        order = OrderShape.model_validate(document)
    except ValidationError as error:
        fields = wrong_fields(error)
        raise UnreadableOrder(
            f"The order cannot be read: {fields} missing, of the wrong kind or out of range."
        ) from error
    return order_of(order)


def order_of(order: OrderShape) -> Order:
    """Return the order that Medusa's JSON describes."""
    swapped_line_ids = _swapped_line_ids(order)
    refunded, paid_with_credit = split_credit(order)
    payment = read_payment(
        order, swapped_line_ids, credit=paid_with_credit, returned=_returned(order, swapped_line_ids)
    )
    shipping_net, shipping_gross = _shipping(order)
    return Order(
        id=OrderId(order.id),
        number=None if order.display_id is None else str(order.display_id),
        customer_id=CustomerId(order.customer_id) if order.customer_id else None,
        # Medusa creates a customer record for a guest; an order created by hand may have none.
        is_guest=not order.customer_id or (order.customer is not None and order.customer.has_account is False),
        currency_code=order.currency_code.lower(),
        version=order.version,
        created_at=order.created_at,
        placed_at=order.created_at,
        updated_at=order.updated_at,
        is_draft=order.is_draft_order,
        # A cancel leaves the totals as they were, so only these two fields show it.
        canceled=order.status == "canceled" or order.canceled_at is not None,
        paid=payment.paid,
        free=payment.costs_nothing and not (payment.captured or payment.credit),
        paid_share=payment.share(include_credit=True),
        paid_share_without_credit=payment.share(include_credit=False),
        paid_with_credit=paid_with_credit,
        completed=order.status in _COMPLETED,
        lines=tuple(read_line(item, swapped_in=item.id in swapped_line_ids) for item in order.items),
        shipping_uses=tuple(shipping_uses(order)),
        shipping_net=shipping_net,
        shipping_gross=shipping_gross,
        promotion_codes=frozenset(p.code for p in order.promotions or () if p and p.code),
        money_kept=_money_kept(order, swapped_line_ids, refunded),
        money_kept_without_credit=_money_kept(order, swapped_line_ids, refunded + paid_with_credit),
        money_moved=order.summary.paid_total + order.summary.refunded_total if order.summary else Decimal(0),
        # Also before the first capture, when `_shares` counts the ordered items as paid: a payment would change that.
        has_unpaid_exchange=bool(swapped_line_ids)
        and amount_to_pay(order.total - _received(order), order.currency_code) > 0,
        email=order.email,
        cart_id=order.cart.id if order.cart else None,
        customer_missing=order.customer is None and order.customer_id is not None,
        customer_group_ids=_group_ids(order),
        knows=frozenset(_known(order)),
    )


def deleted_order(
    order_id: OrderId, *, customer_id: str | None, is_guest: bool, currency_code: str, version: int,
    placed_at: datetime, updated_at: datetime,
) -> Order:  # fmt: skip
    """Return an `Order` for an order that Medusa no longer has: its owner and its times, without any amounts."""
    document: dict[str, Any] = {
        "id": order_id,
        "customer_id": customer_id,
        "customer": {"has_account": not is_guest},
        "currency_code": currency_code,
        "status": "canceled",
        "version": version,
        "created_at": placed_at,
        "updated_at": updated_at,
        "total": 0,
        "items": [],
    }
    return replace(read_order(document), gone=True)


def _group_ids(order: OrderShape) -> frozenset[str]:
    return frozenset(group.id for group in order.customer.groups or ()) if order.customer else frozenset()


def _known(order: OrderShape) -> Iterable[OrderDetail]:
    if all(item.product is not None for item in order.items):
        yield OrderDetail.CATEGORIES
    if all(item.product is not None and "collection_id" in item.product.model_fields_set for item in order.items):
        yield OrderDetail.COLLECTIONS
    if order.customer_id is None or (order.customer is not None and "groups" in order.customer.model_fields_set):
        yield OrderDetail.CUSTOMER_GROUPS


def _swapped_line_ids(order: OrderShape) -> frozenset[str]:
    """Return the lines that a claim or an exchange added.

    An order does not say which lines were added; it shows whether it had a claim or an exchange, and when lines were
    created. A claim writes off its items, and an exchange has a return. Lines added after the order was placed then
    count as theirs. Lines added by an earlier order edit count too: they earn what was paid for them.
    """
    if order.summary is None or not _has_claim_or_exchange(order):
        return frozenset()
    return frozenset(i.id for i in order.items if i.created_at and i.created_at - order.created_at > _ONE_FLUSH)


def _has_claim_or_exchange(order: OrderShape) -> bool:
    # Items that came back damaged are written off too, without a claim.
    claimed = any(
        (item.detail.written_off_quantity or 0) > (item.detail.return_dismissed_quantity or 0)
        for item in order.items
        if item.detail
    )
    # Who cancels an exchange or a claim cancels its return, and removes the lines that it added (2.21.2).
    returns = [returned for returned in order.returns or () if returned.status != "canceled"]
    return claimed or any(returned.exchange_id or returned.claim_id for returned in returns)


def _money_kept(order: OrderShape, swapped_line_ids: frozenset[str], not_kept: Decimal) -> MoneyKept:
    """Return `money_kept` of an order. `not_kept` is what the shop does not keep although no goods came back."""
    if not swapped_line_ids and not not_kept:
        # The usual case: the shop keeps everything.
        return MoneyKept()
    before_credit = order.total + order.credit_line_total
    total = before_credit - not_kept
    swapped_price = sum((item.total for item in order.items if item.id in swapped_line_ids), Decimal(0))
    # Credit payments are taken off the order's total. They count as given unless they are part of `not_kept`.
    money = _received(order) + total - order.total
    if order.summary is not None and order.summary.paid_total <= 0:
        # Before the first capture, the ordered items count as paid. Otherwise an order that earned when it was placed
        # would lose its points when it is exchanged before it is paid, because Medusa then withdraws the authorization
        # and requires another one.
        money = max(money, before_credit - swapped_price + _returned(order, swapped_line_ids) - not_kept)
    return money_kept(total=total, not_kept=not_kept, swapped_price=swapped_price, money=money)


def _returned(order: OrderShape, swapped_line_ids: frozenset[str]) -> Decimal:
    """Return the price of the ordered goods that came back, with tax and after discounts."""
    return sum((_came_back_total(order, item) for item in order.items if item.id not in swapped_line_ids), Decimal(0))


def _came_back_total(order: OrderShape, item: ItemShape) -> Decimal:
    received, dismissed = item.return_received_total or Decimal(0), item.return_dismissed_total
    quantity = (item.detail and item.detail.return_dismissed_quantity) or Decimal(0)
    if dismissed is None and quantity:
        # From an older sender. The line's first price follows from its unit price and the tax on the rest of the order.
        net = sum((item.total - item.tax_total for item in order.items), Decimal(0))
        gross = sum((item.total for item in order.items), Decimal(0))
        with_tax = gross / net if net > 0 and not item.is_tax_inclusive else Decimal(1)
        off = discount_with_tax(item.adjustments) / item.quantity if item.quantity else Decimal(0)
        dismissed = max(item.unit_price * with_tax - off, Decimal(0)) * quantity
    return received + (dismissed or Decimal(0))


def _shipping(order: OrderShape) -> tuple[Decimal, Decimal]:
    """Return the price of shipping the order itself, without and with tax. Fees for a return or a swap are left out."""
    fees = [method for method in order.shipping_methods or () if method and _is_fee(method, order)]
    gross = order.shipping_total - sum((method.total or Decimal(0) for method in fees), Decimal(0))
    tax = order.shipping_tax_total - sum((method.tax_total or Decimal(0) for method in fees), Decimal(0))
    return max(gross - tax, Decimal(0)), max(gross, Decimal(0))


def _is_fee(method: ShippingMethodShape, order: OrderShape) -> bool:
    if method.detail is not None:
        return bool(method.detail.return_id or method.detail.exchange_id or method.detail.claim_id)
    # Without `detail`, a method added later counts as a fee if something came back or was swapped.
    added = method.created_at is not None and method.created_at - order.created_at > _ONE_FLUSH
    return added and bool(order.returns or _has_claim_or_exchange(order))


def _received(order: OrderShape) -> Decimal:
    """Return the money received less refunds, plus what is authorized."""
    if order.summary is None:
        return order.total
    amounts = [
        (collection.authorized_amount or 0) - (collection.captured_amount or 0) for collection in order.live_collections
    ]
    authorized = sum((max(amount, Decimal(0)) for amount in amounts), Decimal(0))
    return order.summary.transaction_total + authorized
