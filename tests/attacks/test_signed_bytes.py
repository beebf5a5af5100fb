"""A signature covers the id, the timestamp and every byte of the body: a change of any of them is refused."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.http.standard_webhooks import sign
from bridge.setting_types import webhook_key
from bridge.webhooks.signature import BadSignature, verify
from tests.support.deliveries import deliver, signed_headers
from tests.support.orders import order, order_event, sample

BODY = order_event(order())
KEY = b"k" * 32

quick = hypothesis_settings(
    max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)  # fmt: skip


@st.composite
def another(draw: st.DrawFn, original: bytes) -> bytes:
    """The bytes with one or a few of them changed, added, removed or swapped; never equal to the original."""
    changed = bytearray(original)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(changed) - 1))
        match draw(st.sampled_from(["bit", "byte", "more", "less", "swap", "cut"])):
            case "bit":
                changed[at] ^= 1 << draw(st.integers(0, 7))
            case "byte":
                changed[at] = draw(st.integers(0, 255))
            case "more":
                changed[at:at] = draw(st.binary(min_size=1, max_size=4))
            case "less" if len(changed) > 1:
                del changed[at]
            case "swap":
                other = draw(st.integers(0, len(changed) - 1))
                changed[at], changed[other] = changed[other], changed[at]
            case "cut" if at:
                del changed[at:]
    result = bytes(changed)
    return result if result != original else original + b"\x00"


def kept() -> int:
    with transaction() as connection:
        return int(connection.scalar(text("SELECT count(*) FROM webhook_event")) or 0)


def refused(api: TestClient, body: bytes, headers: Any) -> None:
    response = api.post("/webhooks/medusa", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "bad_signature"), response.text


@pytest.fixture
def empty_after(api: TestClient) -> Iterator[None]:
    yield
    assert kept() == 0
    # The unchanged delivery is valid.
    assert deliver(api, BODY).status_code == 202


@given(changed=another(BODY))
@quick
@pytest.mark.usefixtures("empty_after")
def test_a_changed_body_is_refused(api: TestClient, changed: bytes) -> None:
    refused(api, changed, signed_headers(BODY))


@given(data=st.data(), name=st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]))
@quick
@pytest.mark.usefixtures("empty_after")
def test_a_changed_header_is_refused(api: TestClient, data: st.DataObject, name: str) -> None:
    headers: dict[str, Any] = signed_headers(BODY)
    changed = data.draw(another(headers[name].encode())).replace(b"\r", b"_").replace(b"\n", b"_")
    if same_signature(name, headers[name], changed):
        return
    refused(api, BODY, {**headers, name: changed})


def same_signature(name: str, before: str, changed: bytes) -> bool:
    """Whether both headers have the same signature: base64 has unused bits, and spaces separate signatures."""
    text_ = changed.decode("latin-1").strip()
    if name != "webhook-signature":
        # A server strips what surrounds a value.
        return text_ == before
    return before in text_.split(" ") or before[:-2] == text_[: len(before) - 2]


@given(body=st.binary(max_size=300), at=st.integers(0, 10**6))
@quick
def test_the_timestamp_and_the_id_are_signed_too(body: bytes, at: int) -> None:
    """A delivery that was observed cannot be sent again later or with another id."""
    timestamp = int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(KEY, "msg_1", timestamp, body),
    }
    assert verify(headers, body, [KEY], now=now()) == "msg_1"
    for other in ({"webhook-id": f"msg_{at + 2}"}, {"webhook-timestamp": str(timestamp + 1 + at % 200)}):
        with pytest.raises(BadSignature):
            verify({**headers, **other}, body, [KEY], now=now())


@given(left=st.binary(max_size=20), right=st.binary(max_size=20), ago=st.integers(0, 200))
@quick
def test_the_boundaries_between_id_timestamp_and_body_cannot_be_moved(left: bytes, right: bytes, ago: int) -> None:
    """They are signed as one text with dots in between: a body that holds a second of today between dots, in a
    shopper's note perhaps, must not become the body of another delivery whose id is the first half."""
    stamp = int(time.time())
    body = left + b".%d." % (stamp - ago) + right
    signature = sign(KEY, "msg_1", stamp, body)
    moved = f"msg_1.{stamp}.".encode() + left
    headers = {"webhook-id": moved.decode("latin-1"), "webhook-timestamp": str(stamp - ago)}
    with pytest.raises(BadSignature):
        verify({**headers, "webhook-signature": signature}, right, [KEY], now=now())


def test_the_real_plugins_delivery_survives_no_changed_bit() -> None:
    captured = sample("webhook_forwarded_signed")
    headers, body = captured["headers"], captured["body"].encode()
    key = webhook_key(SecretStr(captured["secret"]))
    moment = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert verify(headers, body, [key], now=moment) == headers["webhook-id"]
    for bit in range(len(body) * 8):
        changed = bytearray(body)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSignature):
            verify(headers, bytes(changed), [key], now=moment)
