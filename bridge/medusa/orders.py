"""A Medusa order as we read it: only what settlement needs, exact decimals, nothing else trusted.

Source: `GET /admin/orders/:id?fields=ORDER_FIELDS` of Medusa 2.21.2; a webhook's snapshot has the same shape.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bridge.errors import InvalidInput, wrong_fields
from bridge.ids import CustomerId, OrderId
from bridge.medusa.swaps import Shares, kept_shares

ORDER_FIELDS = ",".join((
    "id,display_id,status,version,created_at,updated_at,canceled_at,currency_code,customer_id,email,is_draft_order",
    "payment_status,fulfillment_status,customer.id,customer.has_account,customer.groups.id,region_id",
    "total,subtotal,tax_total,item_total,item_subtotal,item_tax_total",
    "discount_total,discount_subtotal,discount_tax_total,shipping_total,shipping_subtotal,shipping_tax_total",
    "original_item_total,original_item_subtotal,credit_line_total,summary.*,metadata",
    "items.id,items.title,items.product_id,items.variant_id,items.variant_sku,items.quantity,items.unit_price",
    "items.is_tax_inclusive,items.total,items.subtotal,items.tax_total,items.discount_total,items.discount_subtotal",
    "items.metadata,items.detail.*,items.adjustments.*,items.product.categories.id,items.product.collection_id",
    "items.created_at,items.return_received_total",
    "shipping_methods.id,shipping_methods.discount_total,shipping_methods.adjustments.*",
    "promotions.id,promotions.code,promotions.metadata",
    "payment_collections.id,payment_collections.status,payment_collections.amount",
    "payment_collections.authorized_amount,payment_collections.captured_amount",
    "payment_collections.refunded_amount,payment_collections.payments.id",
    "payment_collections.payments.amount,payment_collections.payments.captured_at",
    "payment_collections.payments.refunds.*,transactions.*",
    "returns.id,returns.status,returns.refund_amount,returns.received_at,returns.items.*",
    "returns.exchange_id,returns.claim_id,cart.id",
))  # fmt: skip
"""The `fields` query that CONTRACT documents for snapshots and that the bridge uses when it fetches."""

# Payment states that mean captured. Medusa also says the last two of an order of which only a part was captured.
_CAPTURED = {"captured", "partially_refunded", "refunded"}
# Medusa 2.21.2 takes a payment for complete when it is short of one cent at most (`getLastPaymentStatus`).
_CENT = Decimal("0.01")
_COMPLETED = {"completed", "archived"}
# Lines that were ordered are written with the order, at most a millisecond later; what is added takes calls of its own.
_ONE_FLUSH = timedelta(milliseconds=200)


class Detail(StrEnum):
    """What only some rules look at, and what a snapshot of an older sender may not carry."""

    CATEGORIES = "categories"
    COLLECTIONS = "collections"
    CUSTOMER_GROUPS = "customer groups"


class UnreadableOrder(InvalidInput):
    """The JSON is not an order of the shape we know."""

    code = "unreadable_order"


@dataclass(frozen=True, kw_only=True)
class CodeUse:
    """How much of a promotion code a line uses as it now is: money with tax, and units of the line.

    `given` is what the code took off at first, with tax, before anything was returned.
    """

    code: str
    amount: Decimal
    units: Decimal
    given: Decimal


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line item as it now is: after discounts and after what was returned. `net` is without tax, `gross` with it."""

    id: str
    product_id: str | None
    category_ids: frozenset[str]
    collection_id: str | None
    units: Decimal
    """How many of them the customer keeps."""
    net: Decimal
    gross: Decimal
    code_uses: tuple[CodeUse, ...]
    kept_share: Decimal = Decimal(1)
    """How much of the line's money the shop keeps: below 1 after a refund that no return stands behind, and for what a
    claim or an exchange added as long as it is not paid."""
    stands: bool = True
    """Whether anything of it is with the customer, or on the way: not all of it came back."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order at one moment. Money in major units of `currency_code`."""

    id: OrderId
    customer_id: CustomerId | None
    is_guest: bool
    currency_code: str
    version: int
    placed_at: datetime
    updated_at: datetime
    is_draft: bool
    canceled: bool
    paid: bool
    """All that the order costs was captured at some time. Also while it costs nothing."""
    free: bool
    """It costs nothing as it now is, and nothing was ever captured: an order edit may make it cost something."""
    paid_share: Decimal
    """How much of what it costs has been paid, 0 to 1. What a claim or an exchange added is not part of this."""
    completed: bool
    lines: tuple[Line, ...]
    shipping_uses: tuple[CodeUse, ...]
    shipping_net: Decimal
    shipping_gross: Decimal
    promotion_codes: frozenset[str]
    customer_group_ids: frozenset[str]
    knows: frozenset[Detail]
    """What of the details the facts tell; of the others nothing follows from their being empty."""
    kept_share: Decimal
    """As the lines', for shipping."""
    money_moved: Decimal
    """All that was ever captured and refunded, together: it only grows."""
    awaits_payment: bool
    """Whether something that a claim or an exchange added is not paid yet."""
    email: str | None = field(repr=False)
    """Whose order it says it is; for a guest's dust only, never logged and never kept in clear."""

    @property
    def age(self) -> tuple[int, datetime, Decimal]:
        """Newer facts compare greater. Medusa counts `version` up with each change of lines and moves `updated_at`.

        A payment moves neither, but then more money has moved.
        """
        return (self.version, self.updated_at, self.money_moved)

    @property
    def codes(self) -> frozenset[str]:
        """Every promotion code that the order knows of, whether or not it still takes anything off."""
        on_lines = {use.code for line in self.lines for use in line.code_uses}
        return self.promotion_codes | on_lines | {use.code for use in self.shipping_uses}

    def uses_of(self, code: str) -> list[CodeUse]:
        """What the code takes off the lines."""
        return [use for line in self.lines for use in line.code_uses if use.code == code]


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# Postgres keeps no NUL, and no shop sells for more: both would break the batch that the order comes in.
_Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
_Number = Annotated[Decimal, Field(ge=-(10**15), le=10**15)]


class _Adjustment(_Shape):
    code: _Text | None = None
    amount: _Number
    total: _Number | None = None


class _Category(_Shape):
    id: _Text


class _Product(_Shape):
    categories: tuple[_Category, ...] | None = None
    collection_id: _Text | None = None


class _Detail(_Shape):
    written_off_quantity: _Number | None = None
    return_received_quantity: _Number | None = None


class _Item(_Shape):
    id: _Text
    created_at: AwareDatetime | None = None
    product_id: _Text | None = None
    product: _Product | None = None
    unit_price: _Number = Decimal(0)
    quantity: _Number = Decimal(0)
    detail: _Detail | None = None
    total: _Number
    subtotal: _Number
    tax_total: _Number
    discount_total: _Number | None = None
    is_tax_inclusive: bool = False
    return_received_total: _Number | None = None
    adjustments: tuple[_Adjustment, ...] | None = None


class _ShippingMethod(_Shape):
    discount_total: _Number | None = None
    adjustments: tuple[_Adjustment, ...] | None = None


class _Group(_Shape):
    id: _Text


class _Customer(_Shape):
    has_account: bool | None = None
    groups: tuple[_Group, ...] | None = None


class _Promotion(_Shape):
    code: _Text | None = None


class _Return(_Shape):
    exchange_id: _Text | None = None
    claim_id: _Text | None = None


class _PaymentCollection(_Shape):
    status: _Text | None = None
    amount: _Number | None = None
    authorized_amount: _Number | None = None
    captured_amount: _Number | None = None


class _Summary(_Shape):
    paid_total: _Number
    transaction_total: _Number
    refunded_total: _Number = Decimal(0)


class _Order(_Shape):
    id: _Text
    customer_id: _Text | None = None
    customer: _Customer | None = None
    # Whatever stands here: only its hash is kept.
    email: str | None = None
    currency_code: _Text
    status: _Text
    is_draft_order: bool = False
    payment_status: _Text | None = None
    version: Annotated[int, Field(ge=0, lt=2**31)]
    created_at: AwareDatetime
    updated_at: AwareDatetime
    canceled_at: AwareDatetime | None = None
    total: _Number
    credit_line_total: _Number = Decimal(0)
    shipping_total: _Number = Decimal(0)
    shipping_tax_total: _Number = Decimal(0)
    items: tuple[_Item, ...]
    shipping_methods: tuple[_ShippingMethod | None, ...] | None = None
    # A deleted promotion leaves a null in the list.
    promotions: tuple[_Promotion | None, ...] | None = None
    # These are needed for claims and exchanges only; a snapshot without them is an order without those.
    returns: tuple[_Return, ...] | None = None
    payment_collections: tuple[_PaymentCollection, ...] | None = None
    summary: _Summary | None = None


def read_order(document: Mapping[str, Any]) -> Order:
    """Read an order from JSON whose numbers were parsed as `Decimal`. Raises `UnreadableOrder`, naming the fields."""
    try:
        order = _Order.model_validate(document)
    except ValidationError as error:
        fields = wrong_fields(error)
        raise UnreadableOrder(
            f"The order cannot be read: {fields} missing, of the wrong kind or out of range."
        ) from error
    swapped = _swapped_in(order)
    shares = _shares(order, swapped)
    return Order(
        id=OrderId(order.id),
        customer_id=CustomerId(order.customer_id) if order.customer_id else None,
        # Medusa keeps a record of its own for a guest; an order by hand may have none at all.
        is_guest=not order.customer_id or (order.customer is not None and order.customer.has_account is False),
        currency_code=order.currency_code.lower(),
        version=order.version,
        placed_at=order.created_at,
        updated_at=order.updated_at,
        is_draft=order.is_draft_order,
        # A cancel leaves the totals as they were, so only these two say it.
        canceled=order.status == "canceled" or order.canceled_at is not None,
        paid=_is_paid(order, swapped),
        free=order.total == 0 and not _captured(order),
        paid_share=_paid_share(order, swapped),
        completed=order.status in _COMPLETED,
        lines=tuple(_line(item, shares.swapped if item.id in swapped else shares.bought) for item in order.items),
        shipping_uses=tuple(_shipping_uses(order)),
        shipping_net=order.shipping_total - order.shipping_tax_total,
        shipping_gross=order.shipping_total,
        promotion_codes=frozenset(p.code for p in order.promotions or () if p and p.code),
        kept_share=shares.bought,
        money_moved=order.summary.paid_total + order.summary.refunded_total if order.summary else Decimal(0),
        # Also where trust covers it all as yet: a payment of a part would say otherwise.
        awaits_payment=bool(swapped) and order.total > _received(order),
        email=order.email,
        customer_group_ids=_group_ids(order),
        knows=frozenset(_known(order)),
    )


def _is_paid(order: _Order, swapped: frozenset[str]) -> bool:
    """By the amounts, since `payment_status` calls an order refunded of which a part was captured and refunded."""
    captured = _captured(order)
    # An order that costs nothing has no payment that could arrive.
    return order.total == 0 or (captured > 0 and captured + _CENT >= _to_capture(order, swapped))


def _paid_share(order: _Order, swapped: frozenset[str]) -> Decimal:
    if _is_paid(order, swapped):
        return Decimal(1)
    captured = _captured(order)
    return captured / _to_capture(order, swapped) if captured > 0 else Decimal(0)


def _captured(order: _Order) -> Decimal:
    """All that was ever captured, whether or not it was refunded later."""
    amounts = [each.captured_amount or Decimal(0) for each in order.payment_collections or ()]
    captured = max(order.summary.paid_total if order.summary else Decimal(0), sum(amounts, Decimal(0)))
    if captured or order.payment_status not in _CAPTURED:
        return captured
    # Neither amount came along: believe the status, unless all of its payments are of nothing. Those are captured at
    # once, and stay so when an order edit makes the order cost something (2.21.2).
    asked = [each.amount for each in order.payment_collections or () if each.status != "canceled"]
    of_nothing = bool(asked) and all(amount == 0 for amount in asked)
    return Decimal(0) if of_nothing else max(order.total + order.credit_line_total, Decimal(0))


def _to_capture(order: _Order, swapped: frozenset[str]) -> Decimal:
    """What has to be captured in all, above 0 unless it costs nothing.

    A refund without a return is a credit line that lowers the total; it was captured before all the same.
    """
    refunded = order.summary.refunded_total if order.summary else Decimal(0)
    later = sum((item.total for item in order.items if item.id in swapped), Decimal(0))
    return order.total + min(order.credit_line_total, refunded) - later


def _group_ids(order: _Order) -> frozenset[str]:
    return frozenset(group.id for group in order.customer.groups or ()) if order.customer else frozenset()


def _known(order: _Order) -> Iterable[Detail]:
    if all(item.product is not None for item in order.items):
        yield Detail.CATEGORIES
    if all(item.product is not None and "collection_id" in item.product.model_fields_set for item in order.items):
        yield Detail.COLLECTIONS
    if order.customer_id is None or (order.customer is not None and "groups" in order.customer.model_fields_set):
        yield Detail.CUSTOMER_GROUPS


def _swapped_in(order: _Order) -> frozenset[str]:
    """The lines that a claim or an exchange added. An order does not say which; it says whether it had any, and when.

    A claim writes off what it is about, and an exchange has a return; what was added later than the order was placed is
    theirs then. (What an order edit added before them counts too: it earns what was paid for it all the same.)
    """
    written_off = any(item.detail and item.detail.written_off_quantity for item in order.items)
    if order.summary is None or not (written_off or any(r.exchange_id or r.claim_id for r in order.returns or ())):
        return frozenset()
    return frozenset(i.id for i in order.items if i.created_at and i.created_at - order.created_at > _ONE_FLUSH)


def _shares(order: _Order, swapped: frozenset[str]) -> Shares:
    """See `kept_shares`. A refund without a return leaves the items alone and is in `credit_line_total` only."""
    if not swapped and not order.credit_line_total:
        # As nearly every order is: the shop keeps all of it.
        return Shares()
    before_credit = order.total + order.credit_line_total
    gross = sum((item.total for item in order.items if item.id in swapped), Decimal(0))
    return kept_shares(
        total=order.total,
        credit=order.credit_line_total,
        swapped=gross,
        money=_money(order, swapped, before_credit - gross),
    )


def _money(order: _Order, swapped: frozenset[str], bought: Decimal) -> Decimal:
    """What the customer has given, or has authorized. Before the first payment is captured, what was ordered counts.

    So an order that earns when it is placed, and is paid later, may be exchanged without losing its dust meanwhile:
    Medusa withdraws the authorization then, and wants another one.
    """
    money = _received(order)
    if order.summary is None or order.summary.paid_total > 0:
        return money
    returned = sum((item.return_received_total or 0 for item in order.items if item.id not in swapped), Decimal(0))
    return max(money, bought + returned - order.credit_line_total)


def _received(order: _Order) -> Decimal:
    """What came in less what went back, and what is authorized."""
    if order.summary is None:
        return order.total
    live = [each for each in order.payment_collections or () if each.status != "canceled"]
    authorized = sum((max((c.authorized_amount or 0) - (c.captured_amount or 0), Decimal(0)) for c in live), Decimal(0))
    return order.summary.transaction_total + authorized


def _line(item: _Item, kept_share: Decimal) -> Line:
    return Line(
        id=item.id,
        product_id=item.product_id,
        category_ids=frozenset(c.id for c in item.product.categories or ()) if item.product else frozenset(),
        collection_id=item.product.collection_id if item.product else None,
        units=_standing_quantity(item),
        net=item.total - item.tax_total,
        gross=item.total,
        code_uses=tuple(_code_uses(item)),
        kept_share=kept_share,
        stands=item.detail is None or item.quantity > (item.detail.return_received_quantity or 0),
    )


def _code_uses(item: _Item) -> Iterable[CodeUse]:
    """Split the line's discount over its codes.

    Adjustments keep the amount of the full line after a return, only `discount_total` shrinks with it: half of the
    line returned means half of each code used. (order_after_return_and_refund.json: adjustments of 2.50 with tax, of
    which 1.25 remain.)
    """
    given = _given(item.adjustments)
    whole = _sum(item.adjustments)
    if whole <= 0:
        return
    left = item.discount_total if item.discount_total is not None else whole
    # What a unit of this line costs with tax, before discounts, as far as the line still stands.
    before_discounts = item.total + left
    standing = _standing_quantity(item)
    for code, amount in given.items():
        effective = amount * left / whole
        units = effective * standing / before_discounts if before_discounts > 0 else Decimal(0)
        yield CodeUse(code=code, amount=effective, units=units, given=amount)


def _shipping_uses(order: _Order) -> Iterable[CodeUse]:
    """What codes take off the shipping. Tried on Medusa 2.21.2: a return of items leaves it as it was."""
    if order.shipping_methods is None:
        # A snapshot without them. Medusa lists no code that takes nothing off, so one that no line has is for shipping.
        on_lines = {code for item in order.items for code in _given(item.adjustments)}
        for promotion in order.promotions or ():
            if promotion and promotion.code and promotion.code not in on_lines:
                yield CodeUse(code=promotion.code, amount=Decimal(1), units=Decimal(0), given=Decimal(1))
    for method in order.shipping_methods or ():
        whole = _sum(method.adjustments) if method else Decimal(0)
        if method is None or whole <= 0:
            continue
        left = method.discount_total if method.discount_total is not None else whole
        for code, amount in _given(method.adjustments).items():
            yield CodeUse(code=code, amount=amount * left / whole, units=Decimal(0), given=amount)


def _given(adjustments: Iterable[_Adjustment] | None) -> dict[str, Decimal]:
    """What each code takes off, by these adjustments."""
    given: dict[str, Decimal] = defaultdict(Decimal)
    for adjustment in adjustments or ():
        if adjustment.code and _with_tax(adjustment) > 0:
            given[adjustment.code] += _with_tax(adjustment)
    return given


def _sum(adjustments: Iterable[_Adjustment] | None) -> Decimal:
    return sum((_with_tax(adjustment) for adjustment in adjustments or ()), Decimal(0))


def _with_tax(adjustment: _Adjustment) -> Decimal:
    return adjustment.total if adjustment.total is not None else adjustment.amount


def _standing_quantity(item: _Item) -> Decimal:
    """How many units the line's present subtotal stands for: what was returned no longer counts."""
    if item.unit_price <= 0:
        return item.quantity - ((item.detail and item.detail.return_received_quantity) or Decimal(0))
    stands = item.total + (item.discount_total or 0) if item.is_tax_inclusive else item.subtotal
    return stands / item.unit_price
