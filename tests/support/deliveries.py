"""Sign and send events as Medusa's plugin does."""

import time
from typing import Any

from pydantic import SecretStr

from bridge.http.standard_webhooks import sign
from bridge.ids import new_id
from bridge.setting_types import webhook_key

WEBHOOK_SECRET = "whsec_c3VwZXItc2VjcmV0LWR1c3Qta2V5LTAxMjM="
OTHER_WEBHOOK_SECRET = "whsec_b3RoZXItc2VjcmV0LWR1c3Qta2V5LTAxMjM="


def signed_headers(
    body: bytes, *, event_id: str | None = None, timestamp: int | None = None, secret: str = WEBHOOK_SECRET
) -> dict[str, str]:
    event_id, timestamp = event_id or new_id("msg"), int(time.time()) if timestamp is None else timestamp
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(webhook_key(SecretStr(secret)), event_id, timestamp, body),
    }


def deliver(client: Any, body: bytes, **how: Any) -> Any:
    """Post a signed event. Returns the response."""
    return client.post("/webhooks/medusa", content=body, headers=signed_headers(body, **how))
