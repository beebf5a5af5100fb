"""Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, for incoming and outgoing webhooks."""

import base64
import hashlib
import hmac


def sign(key: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """The value of the `webhook-signature` header."""
    return f"v1,{base64.b64encode(digest(key, event_id, timestamp, body)).decode()}"


def digest(key: bytes, event_id: str, timestamp: int, body: bytes) -> bytes:
    return hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256)
