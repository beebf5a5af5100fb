"""Signed webhooks of about 3 KB with a whole order of two lines, as Medusa's plugin sends them."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
from pydantic import SecretStr

from bridge.setting_types import webhook_key
from tests.support.deliveries import WEBHOOK_SECRET
from tests.support.orders import event, line, order

_KEY = webhook_key(SecretStr(WEBHOOK_SECRET))
_ORDER, _CUSTOMER = "order_0NUMBER0000000000000000000", "cus_0NUMBER000000000000000000"
_LINES = [
    line("ordli_1", price=20, quantity=2, product_id="prod_shirt"),
    line("ordli_2", price=7, product_id="prod_shorts"),
]
# 47 points at the default rate.
WORTH = 47
# As JSON.stringify writes it, without spaces.
# The processes that are measured go by the machine's clock, and take no order from the future.
_PLACED = datetime.now(UTC) - timedelta(days=1)
_DOCUMENT = order(_ORDER, customer_id=_CUSTOMER, lines=_LINES, placed=_PLACED)
_EVENT = event("order.placed", {"id": _ORDER, "order": _DOCUMENT}, _PLACED)
_BODY = json.dumps(json.loads(_EVENT), separators=(",", ":"))
_PARTS = tuple(
    part.split(_CUSTOMER.encode()) for part in _BODY.encode().split(_ORDER.encode())
)  # between orders, then between customers

Customer = Callable[[int], int]


def customer_name(number: int) -> str:
    return f"cus_{number:026}"


def order_name(number: int) -> str:
    return f"order_{number:026}"


def body(number: int, customer: int) -> bytes:
    """Return the body of an event with this order of this customer."""
    customer_id = customer_name(customer).encode()
    return order_name(number).encode().join(customer_id.join(parts) for parts in _PARTS)


def webhook(number: int, customer: int) -> bytes:
    """Return a whole HTTP request, signed now."""
    content, timestamp = body(number, customer), int(time.time())
    signed = b"msg_%026d.%d." % (number, timestamp)
    signature = base64.b64encode(hmac.digest(_KEY, signed + content, hashlib.sha256))
    return (
        b"POST /webhooks/medusa HTTP/1.1\r\nhost: dust\r\ncontent-type: application/json\r\n"
        b"webhook-id: msg_%026d\r\nwebhook-timestamp: %d\r\nwebhook-signature: v1,%b\r\ncontent-length: %d\r\n\r\n%b"
        % (number, timestamp, signature, len(content), content)
    )


def read(path: str, token: str) -> bytes:
    """Return a GET request with a bearer token."""
    return f"GET {path} HTTP/1.1\r\nhost: dust\r\nauthorization: Bearer {token}\r\n\r\n".encode()


def fill_inbox(
    connection: psycopg.Connection, events: int, *, customer: Customer, first: int = 0, count: bool = True
) -> None:
    """Insert a backlog of events as the endpoint would have stored them. With `count` the statistics are updated."""
    now = datetime.now(UTC)
    columns = "id, type, subject, source, payload, event_at, received_at, state, next_attempt_at"
    with connection.cursor() as cursor, cursor.copy(f"COPY webhook_event ({columns}) FROM STDIN") as rows:
        for number in range(first, first + events):
            content = body(number, customer(number))
            rows.write_row((
                f"msg_{number:026}", "order.placed", order_name(number), "webhook", content, now, now, "pending", now
            ))  # fmt: skip
    if count:
        connection.execute("ANALYZE webhook_event")
