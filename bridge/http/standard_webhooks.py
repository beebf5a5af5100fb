"""Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, for incoming and outgoing webhooks."""

import base64
import hashlib
import hmac
import json
from typing import Any

from pydantic import SecretStr

from bridge.clock import real_now
from bridge.ids import new_id
from bridge.setting_types import webhook_key


def signed_event(secret: SecretStr, event: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    """The headers and the body of an event that is sent like Medusa's plugin sends it."""
    body = json.dumps(event).encode()
    return signed_headers(webhook_key(secret), new_id("msg"), int(real_now().timestamp()), body), body


def signed_headers(key: bytes, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(key, event_id, timestamp, body),
    }


def sign(key: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """The value of the `webhook-signature` header."""
    return f"v1,{base64.b64encode(digest(key, event_id, timestamp, body)).decode()}"


def digest(key: bytes, event_id: str, timestamp: int, body: bytes) -> bytes:
    return hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
