"""Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, for incoming and outgoing webhooks."""

import base64
import hashlib
import hmac


def signed_headers(key: bytes, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a signed webhook."""
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
