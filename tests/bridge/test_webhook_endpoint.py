"""`POST /webhooks/medusa`: each documented response, and no other."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text
from starlette.types import Message

from bridge.clock import now
from bridge.db import dispose_engine, transaction
from bridge.inbox.events import MalformedEvent, read_event, read_stored_order
from bridge.queue.enqueue import INBOX_DRAIN
from bridge.settings import get_settings
from bridge.webhooks.signature import BadSignature, verify
from tests.support.deliveries import OTHER_WEBHOOK_SECRET, WEBHOOK_SECRET, deliver, signed_headers
from tests.support.orders import event, line, order, order_event, sample

BODY = order_event(order())


def kept() -> list[Any]:
    with transaction() as connection:
        return list(connection.execute(text("SELECT id, type, state, subject, payload FROM webhook_event ORDER BY id")))


def test_a_signed_event_is_stored_byte_for_byte_and_a_task_enqueued(api: TestClient, enqueued: list[Any]) -> None:
    answer = deliver(api, BODY, event_id="msg_1")
    assert (answer.status_code, answer.json()) == (202, {"id": "msg_1", "status": "accepted"})
    assert [(row.id, row.type, row.state, row.subject) for row in kept()] == [
        ("msg_1", "order.placed", "pending", "order_1")
    ]
    assert bytes(kept()[0].payload) == BODY
    assert enqueued == [(INBOX_DRAIN,)]


def test_the_same_id_again_is_a_duplicate(api: TestClient, enqueued: list[Any]) -> None:
    deliver(api, BODY, event_id="msg_1")
    answer = deliver(api, BODY, event_id="msg_1")
    assert (answer.status_code, answer.json()) == (200, {"id": "msg_1", "status": "duplicate"})
    assert len(kept()) == 1
    assert len(enqueued) == 1


def test_an_event_type_without_effect_is_stored_and_ignored(api: TestClient, enqueued: list[Any]) -> None:
    answer = deliver(api, event("cart.updated", {"id": "cart_1"}), event_id="msg_1")
    assert (answer.status_code, answer.json()) == (202, {"id": "msg_1", "status": "ignored"})
    assert [row.state for row in kept()] == ["ignored"]
    assert enqueued == []


def test_the_vector_signed_by_the_real_plugin_verifies() -> None:
    vector = sample("webhook_forwarded_signed")
    moment = now().fromtimestamp(int(vector["headers"]["webhook-timestamp"]), tz=now().tzinfo)
    key = get_settings_key(vector["secret"])
    assert verify(vector["headers"], vector["body"].encode(), [key], now=moment) == vector["headers"]["webhook-id"]


def get_settings_key(secret: str) -> bytes:
    from pydantic import SecretStr

    from bridge.setting_types import webhook_key

    return webhook_key(SecretStr(secret))


def test_secrets_rotate(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, enqueued: list[Any]) -> None:
    monkeypatch.setenv("DUST_WEBHOOK_SECRETS", f"{OTHER_WEBHOOK_SECRET},{WEBHOOK_SECRET}")
    get_settings.cache_clear()
    from bridge.app import create_app

    with TestClient(create_app()) as client:
        assert deliver(client, BODY, secret=WEBHOOK_SECRET).status_code == 202
        assert deliver(client, BODY, secret=OTHER_WEBHOOK_SECRET).status_code == 202


def test_one_fitting_signature_among_several_is_enough(api: TestClient) -> None:
    headers = signed_headers(BODY)
    headers["webhook-signature"] = f"v1,AAAA v2,whatever garbage {headers['webhook-signature']}"
    assert api.post("/webhooks/medusa", content=BODY, headers=headers).status_code == 202


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize(
    "value",
    [None, "", " ", "x", "v1,", "v1,!!!", "-1", "1e9", "99999999999999999999", "ÿþ", "v1,ÿ", "٣", "1 2", "a" * 9_000],
)
def test_invalid_headers_are_401(api: TestClient, name: str, value: str | None) -> None:
    headers: dict[str, Any] = signed_headers(BODY)
    headers.pop(name)
    if value is not None:
        headers[name] = value.encode("utf-8")
    answer = api.post("/webhooks/medusa", content=BODY, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "bad_signature"
    assert kept() == []


@pytest.mark.parametrize("seconds", [-301, 301])
def test_old_and_future_events_are_refused(api: TestClient, seconds: int) -> None:
    assert deliver(api, BODY, timestamp=int(time.time()) + seconds).status_code == 401


def test_a_body_changed_by_one_byte_is_refused(api: TestClient) -> None:
    answer = api.post("/webhooks/medusa", content=BODY + b" ", headers=signed_headers(BODY))
    assert answer.status_code == 401


def test_another_secret_is_refused(api: TestClient) -> None:
    assert deliver(api, BODY, secret=OTHER_WEBHOOK_SECRET).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b"\xff\xfe", None),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"NaN", None),
        (b"[" * 200_000, None),
        (b'{"a":' * 100_000, None),
        (b'{"timestamp": "2026-11-22T06:00:00Z", "data": {}}', "type"),
        (b'{"type": "order.placed", "timestamp": "soon", "data": {"id": "order_1"}}', "timestamp"),
        (b'{"type": "order.placed", "timestamp": "2026-11-22T06:00:00", "data": {"id": "order_1"}}', "timestamp"),
        # Postgres stores these years, and Python cannot read them: no batch with the event could be processed.
        (b'{"type": "order.placed", "timestamp": "0001-01-01T00:00:00+05:00", "data": {"id": "order_1"}}', "timestamp"),
        (b'{"type": "order.placed", "timestamp": "9999-12-31T23:59:59-05:00", "data": {"id": "order_1"}}', "timestamp"),
        (b'{"type": "order.placed", "timestamp": "2026-11-22T06:00:00Z", "data": []}', "data"),
        (b'{"type": "order.placed", "timestamp": "2026-11-22T06:00:00Z", "data": {}}', "data.id"),
        (b'{"type": "order.placed", "timestamp": "2026-11-22T06:00:00Z", "data": {"id": "\\u0000"}}', "data.id"),
        (b'{"type": "order.placed", "timestamp": "2026-11-22T06:00:00Z", "data": {"id": 7}}', "data.id"),
        (b'{"type": "a\\nb", "timestamp": "2026-11-22T06:00:00Z", "data": {}}', "type"),
        (b'{"type": 7, "timestamp": "2026-11-22T06:00:00Z", "data": {}}', "type"),
        (b'{"type": "x", "timestamp": "2026-11-22T06:00:00Z", "data": {"a": Infinity}}', None),
        (b'{"type": "x", "timestamp": "2026-11-22T06:00:00Z", "data": {"a": 1e99999999999999999999}}', None),
    ],
)
def test_a_signed_body_that_is_no_event_is_400_and_not_stored(api: TestClient, body: bytes, field: str | None) -> None:
    answer = deliver(api, body)
    assert answer.status_code == 400
    assert answer.json().get("field") == field
    assert kept() == []


@given(st.binary(max_size=3), st.integers(0), st.integers(0, 3), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
), st.booleans())  # fmt: skip
@hypothesis_settings(max_examples=500)
def test_any_bytes_are_read_as_json_or_refused(junk: bytes, at: int, cut: int, value: Any, ascii_: bool) -> None:
    text_ = json.dumps({"type": "order.placed", "timestamp": "2026-11-22T06:00:00Z", "data": {"id": "o", "x": value}},
                       ensure_ascii=ascii_)  # fmt: skip
    body = text_.encode(errors="surrogatepass")
    at %= len(body) + 1
    body = body[:at] + junk + body[at + cut :]
    try:
        parsed = read_event(body)
    except MalformedEvent:
        return
    assert parsed.data == json.loads(body, parse_float=Decimal)["data"]
    stored = read_stored_order(
        body, type=parsed.type, event_at=parsed.event_at, subject=parsed.subject, needs=frozenset(), now=now()
    )
    assert stored == parsed.snapshot(needs=frozenset(), now=now())


@given(st.data())
@hypothesis_settings(max_examples=300)
def test_an_order_is_the_same_however_its_event_is_read(data: Any) -> None:
    """Amounts are doubles, as JavaScript prints them."""
    amount = st.floats(0, 1e9) | st.integers(0, 10**9) | st.decimals(0, 10**6, places=2).map(float)
    document = order("order_1", lines=[line("ordli_1", price=20, quantity=2), line("ordli_2", price=7)])
    for part in (document, *document["items"]):
        for name in ("total", "subtotal", "tax_total", "discount_total"):
            part[name] = data.draw(amount)
    body = event("order.placed", {"id": "order_1", "order": document})
    parsed = read_event(body)
    stored = read_stored_order(
        body, type=parsed.type, event_at=parsed.event_at, subject=parsed.subject, needs=frozenset(), now=now()
    )
    assert stored is not None
    assert stored == parsed.snapshot(needs=frozenset(), now=now())


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("total", 999),
        ("id", "ordli_9"),
        ("items", []),
        ("quantity", 7),
        ("customer_id", "cus_9"),
        ("status", "canceled"),
        ("order", order("order_1", lines=[line(price=70)])),
        ("data", {"id": "order_2", "order": order("order_2")}),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_of_a_key_that_is_there_twice_the_last_counts_however_the_event_is_read(
    name: str, other: Any, first: bool
) -> None:
    written = order_event(order()).decode()
    at = written.index(f'"{name}": ')
    twice = f'"{name}": {json.dumps(other)}, '
    if first:
        body = written[:at] + twice + written[at:]
    else:
        _, end = json.JSONDecoder().raw_decode(written, at + len(name) + 4)
        body = written[:end] + ", " + twice.removesuffix(", ") + written[end:]
    event = read_event(body.encode())
    stored = read_stored_order(
        body.encode(), type=event.type, event_at=event.event_at, subject=event.subject, needs=frozenset(), now=now()
    )
    assert stored == event.snapshot(needs=frozenset(), now=now())


def test_a_body_over_a_mebibyte_is_413_before_anything_else(api: TestClient) -> None:
    answer = deliver(api, json.dumps({"type": "x", "data": "y" * 1024 * 1024}).encode())
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"


def test_other_endpoints_have_the_same_limit(api: TestClient) -> None:
    answer = api.post("/store/dust/quote", content=b"x" * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_wrong_content_length_does_not_avoid_the_limit(api: TestClient) -> None:
    def chunks() -> Any:
        for _ in range(40):
            yield b"z" * 65_536

    headers = signed_headers(b"")
    assert api.post("/webhooks/medusa", content=chunks(), headers=headers).status_code == 413


def test_a_postgres_that_is_away_is_503_with_retry_after(
    api: TestClient, monkeypatch: pytest.MonkeyPatch, enqueued: list[Any]
) -> None:
    there = get_settings().database_url
    monkeypatch.setenv("DUST_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    get_settings.cache_clear()
    dispose_engine()
    try:
        answer = deliver(api, BODY)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["code"] == "database_unavailable"
        assert enqueued == []
    finally:
        monkeypatch.setenv("DUST_DATABASE_URL", str(there))
        get_settings.cache_clear()
        dispose_engine()


_header_bytes = st.binary(max_size=300).filter(lambda b: b"\r" not in b and b"\n" not in b)


@given(_header_bytes, _header_bytes, _header_bytes, st.binary(max_size=100))
@hypothesis_settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_no_random_bytes_pass_or_crash_the_verification(a: bytes, b: bytes, c: bytes, body: bytes) -> None:
    headers = {
        "webhook-id": a.decode("latin-1"),
        "webhook-timestamp": b.decode("latin-1"),
        "webhook-signature": c.decode("latin-1"),
    }
    with pytest.raises(BadSignature):
        verify(headers, body, [b"k" * 32], now=now())


@pytest.mark.parametrize("path", ["/webhooks/medusa", "/store/dust/quote/guest"])
def test_a_sender_that_disconnects_is_no_error(api: TestClient, path: str) -> None:
    sent: list[Message] = []
    parts: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    asyncio.run(api.app({**scope, "scheme": "http"}, receive, send))
    assert sent[0]["status"] == 400
