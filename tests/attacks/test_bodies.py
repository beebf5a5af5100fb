"""Request bodies that are expensive to process get an error response, and the endpoint serves the next request."""

import gzip
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.db import transaction
from bridge.http.body_limits import MAX_BYTES
from bridge.inbox.process_batch import process_batch
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.orders import line, order, order_event

MANY = 100_000
HEAD = b'{"type": "order.placed", "timestamp": "2026-11-22T06:00:00Z", "data": '
BOMBS = {
    "lists in lists": b"[" * MANY + b"]" * MANY,
    "objects in objects": b'{"a":' * MANY + b"1" + b"}" * MANY,
    "never closed": b"[" * MANY,
    "a number of many digits": b"9" * 800_000,
    "an exponent": b"1e999999999",
    "not a number": b"NaN",
    "endless": b"-Infinity",
    "a text of many escapes": b'"' + b"\\u0041" * MANY + b'"',
    "half a surrogate": b'"\\ud800"',
    "a NUL": b'"\\u0000"',
    "many keys": b"{" + b",".join(b'"%d":0' % n for n in range(60_000)) + b"}",
    "one key many times": b"{" + b",".join([b'"id":"order_1"'] * 40_000) + b"}",
    "bytes that are no text": b'"\xff\xfe\xfd"',
    "UTF-16": '{"id": "order_1"}'.encode("utf-16"),
    "blanks": b" " * 1_000_000,
}


def assert_open(api: TestClient) -> None:
    """The endpoint still accepts an ordinary event."""
    assert deliver(api, order_event(order("order_after", lines=[line(price=7)]))).status_code == 202
    while process_batch().taken:
        pass
    assert api.get("/store/dust", headers=tokens.customer()).json() == {"points": 7}


def in_plain_words(response: Any) -> None:
    assert response.status_code in {400, 413, 422}, response.text[:500]
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) < 20_000


@pytest.mark.parametrize("bomb", BOMBS)
def test_signed_events_that_are_expensive_to_process(api: TestClient, bomb: str) -> None:
    in_plain_words(deliver(api, BOMBS[bomb]))
    # A signed event with a readable id is stored, and then fails or is settled. It never blocks others.
    inside = deliver(api, HEAD + b'{"id": "order_9", "order": ' + BOMBS[bomb] + b"}}")
    assert inside.status_code in {202, 400}, inside.text[:500]
    assert_open(api)
    with transaction() as connection:
        left = connection.execute(text("SELECT state FROM webhook_event WHERE state = 'pending'")).all()
    # A pending event waits for Medusa, because its order has to be read there.
    assert len(left) <= 1


@pytest.mark.parametrize("bomb", BOMBS)
def test_requests_that_are_expensive_to_process(api: TestClient, bomb: str) -> None:
    for method, path, credentials in (
        ("POST", "/store/dust/quote", tokens.customer()),
        ("POST", "/store/dust/redemptions", {**tokens.customer(), "idempotency-key": "k"}),
        ("POST", "/store/dust/quote/guest", {}),
        ("PUT", "/admin/dust/programme", tokens.admin()),
        ("POST", "/admin/dust/programme/drafts", tokens.admin()),
        ("PUT", "/admin/dust/products/prod_1", tokens.admin()),
        ("POST", "/admin/dust/customers/cus_1/adjustments", {**tokens.admin(), "idempotency-key": "k"}),
        ("POST", "/admin/dust/reconcile", tokens.admin()),
    ):
        headers = {**credentials, "content-type": "application/json"}
        in_plain_words(api.request(method, path, content=BOMBS[bomb], headers=headers))
        field = b'{"dust": ' + BOMBS[bomb] + b', "currency_code": "eur"}'
        in_plain_words(api.request(method, path, content=field, headers=headers))
    assert_open(api)


def test_a_compressed_body_is_not_decompressed(api: TestClient) -> None:
    packed = gzip.compress(json.dumps({"dust": 1, "note": "a" * 50 * MAX_BYTES}).encode())
    assert len(packed) < MAX_BYTES
    headers = {**tokens.customer(), "content-type": "application/json", "content-encoding": "gzip"}
    in_plain_words(api.post("/store/dust/quote", content=packed, headers=headers))
    in_plain_words(deliver(api, packed))
    assert_open(api)
