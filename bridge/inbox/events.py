"""What an event says, read from its raw body. Types and payloads: CONTRACT "Webhooks in", Medusa 2.21.2."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from bridge.errors import InvalidInput
from bridge.ids import ID_PATTERN
from bridge.medusa.orders import Order, OrderDetail, UnreadableOrder, read_order
from bridge.settlement.facts import MAX_CLOCK_SKEW


class About(StrEnum):
    """What a type of event is about, and so what is done with it."""

    ORDER = "order"
    PAYMENT = "payment"
    CUSTOMER = "customer"
    PRODUCT = "product"
    CART = "cart"


EVENT_TYPES: Mapping[str, About] = {
    "order.placed": About.ORDER,
    "order.updated": About.ORDER,
    "order.completed": About.ORDER,
    "order.canceled": About.ORDER,
    "order.return_received": About.ORDER,
    "order-edit.confirmed": About.ORDER,
    "order.claim_created": About.ORDER,
    "order.exchange_created": About.ORDER,
    "order.transfer_requested": About.ORDER,
    "payment.captured": About.PAYMENT,
    "payment.refunded": About.PAYMENT,
    "customer.created": About.CUSTOMER,
    "customer.updated": About.CUSTOMER,
    "customer.deleted": About.CUSTOMER,
    "product.deleted": About.PRODUCT,
    # The plugin's own: Medusa has no event of this kind that names the code.
    "dust.code_removed": About.CART,
}
"""The types that have an effect; every other type is kept and ignored."""

# What the label of a metric says of all other types: they are the sender's to choose, and there may be any number.
_OTHER = "other"


class MalformedEvent(InvalidInput):
    """The body is not a JSON object of the shape an event has."""

    code = "malformed_event"
    status = 400


# The event of a checkout is sent with the order; a payment provider may take minutes in between.
_PLACED_LATE = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event as it says of itself. `subject` is the id it is about; `data` has numbers as exact decimals."""

    type: str
    event_at: datetime
    subject: str | None
    data: Mapping[str, Any]

    @property
    def about(self) -> About | None:
        """None for a type Dust has no use for."""
        return EVENT_TYPES.get(self.type)

    @property
    def concerns_order(self) -> bool:
        """Whether it is an order that has to be settled: the order's own event, or one of its payment."""
        return self.about in {About.ORDER, About.PAYMENT}

    @property
    def codes(self) -> list[str]:
        """The promotion codes that the event names."""
        codes = self.data.get("codes")
        return [code for code in codes if isinstance(code, str)] if isinstance(codes, list) else []

    def snapshot(self, *, needs: frozenset[OrderDetail], now: datetime) -> Order | None:
        """The order that came along, if it is usable: readable, the one the event is about, and not of the future.

        `needs` are details that the rules look at and that snapshots of older senders do not carry.
        """
        document = self.data.get("order")
        if not isinstance(document, dict):
            return None
        try:
            order = read_order(document)
        except UnreadableOrder:
            return None
        is_another = self.about is About.ORDER and order.id != self.subject
        is_future = max(order.placed_at, order.updated_at) > now + MAX_CLOCK_SKEW
        return None if is_another or is_future or not needs <= order.knows else self.date_order(order)

    def date_order(self, order: Order) -> Order:
        """The order as placed when this event says, where that is clearly later than when it was begun: as a draft.

        Medusa 2.21.2 sends `order.placed` when a draft is converted, which moves `updated_at` and keeps `created_at`.
        An order that was never a draft has neither so late.
        """
        placed_at = min(self.event_at, order.updated_at)
        is_converted = self.type == "order.placed" and placed_at - order.placed_at > _PLACED_LATE
        return replace(order, placed_at=placed_at) if is_converted else order


# No white space, no control characters: a type ends up in logs and in metric labels.
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]
_Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=False)

    type: _Name
    timestamp: AwareDatetime
    data: dict[str, Any]


class _Subject(BaseModel):
    id: _Id | None = None
    order_id: _Id | None = None
    cart_id: _Id | None = None


def metric_label(type_: str) -> str:
    """The type, where it is one of a few."""
    return type_ if type_ in EVENT_TYPES else _OTHER


def log_ids(type_: str, subject: str | None) -> dict[str, str]:
    """What an event is about, as log lines name it: `order_id`, `customer_id`, …"""
    about = EVENT_TYPES.get(type_)
    if about is None or subject is None:
        return {}
    # A payment may come with its order's id, and that is then the subject.
    return {"order_id" if subject.startswith("order_") else f"{about.value}_id": subject}


def read_event(body: bytes) -> Event:
    """Read a body. Raises `MalformedEvent`, naming the field and what would be right."""
    document = _read_json(body)
    try:
        envelope = _Envelope.model_validate(document)
    except ValidationError as error:
        raise _malformed(error) from error
    try:
        names = _Subject.model_validate(envelope.data) if envelope.type in EVENT_TYPES else _Subject()
    except ValidationError as error:
        raise _malformed(error, "data") from error
    subject = names.order_id or names.id
    if EVENT_TYPES.get(envelope.type) is About.PAYMENT:
        subject = names.order_id or _snapshot_id(envelope.data) or names.id
    if EVENT_TYPES.get(envelope.type) is About.CART:
        subject = names.cart_id
    if envelope.type in EVENT_TYPES and subject is None:
        field = "data.cart_id" if EVENT_TYPES[envelope.type] is About.CART else "data.id"
        raise MalformedEvent(f"{field}: {envelope.type} must say what it is about", field=field)
    return Event(type=envelope.type, event_at=envelope.timestamp, subject=subject, data=envelope.data)


def _malformed(error: ValidationError, *parents: str) -> MalformedEvent:
    first = error.errors()[0]
    field = ".".join([*parents, *map(str, first["loc"])]) or "body"
    return MalformedEvent(f"{field}: {first['msg']}", field=field)


def read_kept_event(body: bytes, *, type: str, event_at: datetime, subject: str | None) -> Event:
    """An event of the inbox, of which the row says already what `read_event` found in its body when it was received.

    Raises `MalformedEvent`.
    """
    document = _read_json(body)
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise MalformedEvent("data: it must be an object", field="data")
    return Event(type=type, event_at=event_at, subject=subject, data=data)


_JSON = msgspec.json.Decoder(float_hook=Decimal)


def _read_json(body: bytes) -> Any:
    """Numbers become exact decimals. Raises `MalformedEvent`."""
    try:
        return _JSON.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, RecursionError):
        # It takes less than half as long, and refuses what Python's own reader takes: a byte order mark, UTF-16, half
        # of a surrogate pair.
        try:
            return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, ArithmeticError, RecursionError) as error:
            # The second is a number that even a decimal has no room for.
            raise MalformedEvent("The body is not JSON (or too deeply nested).") from error


def _snapshot_id(data: Mapping[str, Any]) -> str | None:
    """The order that a payment's event brought along."""
    snapshot = data.get("order")
    found = snapshot.get("id") if isinstance(snapshot, dict) else None
    return (
        found if isinstance(found, str) and 0 < len(found) <= 255 and found.isascii() and found.isprintable() else None
    )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def only_ids(body: bytes) -> bytes:
    """The same event without anything that came along."""
    try:
        event = read_event(body)
    except MalformedEvent:
        return b"{}"
    names = ("id", "order_id", "cart_id")
    ids = {name: event.data[name] for name in names if isinstance(event.data.get(name), str)}
    return json.dumps({"type": event.type, "timestamp": event.event_at.isoformat(), "data": ids}).encode()
