"""The story without Medusa: orders captured from a real one, signed and sent like the plugin does.

Without a shop there are no promotions, so this story earns and reverses, and redeems nothing.
"""

import json
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from bridge.development.demo.install import Report
from bridge.development.stack.processes import until
from bridge.development.stack.up import StackUrls
from bridge.http.standard_webhooks import signed_event
from bridge.ids import new_id

_SAMPLES = Path(__file__).parents[3] / "tests" / "samples"
_PATIENCE_SECONDS = 30.0
# (title, captured order, its event, expected balance)
_STEPS = (
    ("An order of 30.00 less 3.00 comes in: 27 points", "order_with_promotion_full_fields", "order.placed", 27),
    ("The same event again changes nothing", "order_with_promotion_full_fields", "order.placed", 27),
    ("One of two shirts is returned: 18 points are left", "order_after_return_and_refund", "order.return_received", 18),
)


def play(urls: StackUrls, report: Report) -> bool:
    """Play the story. Returns whether all steps had the expected result."""
    succeeded = True
    with httpx.Client(base_url=urls.api, timeout=30) as dust:
        customer = new_id("cus")
        order_id = new_id("order")
        for number, (title, sample, kind, expected) in enumerate(_STEPS, 1):
            report(f"{number}. {title}")
            document = json.loads((_SAMPLES / f"{sample}.json").read_text())
            document |= {"id": order_id, "customer_id": customer}
            answer = _deliver(dust, urls, {"type": kind, "timestamp": document["updated_at"], "data": {
                "id": order_id, "order": document,
            }})  # fmt: skip
            seen = _balance_becomes(dust, urls, customer, expected)
            succeeded &= seen == expected
            report(f"   {'✓' if seen == expected else '✗'} answered {answer}, balance {seen}")
    return succeeded


def _deliver(dust: httpx.Client, urls: StackUrls, event: dict[str, Any]) -> str:
    headers, body = signed_event(SecretStr(urls.environment["DUST_WEBHOOK_SECRETS"].split(",")[0]), event)
    return str(dust.post("/webhooks/medusa", content=body, headers=headers).json()["status"])


def _balance_becomes(dust: httpx.Client, urls: StackUrls, customer: str, expected: int) -> int:
    seen = 0
    headers = {"authorization": f"Bearer {urls.environment['DUST_ADMIN_TOKEN']}"}

    def matches() -> bool:
        nonlocal seen
        seen = dust.get(f"/admin/dust/customers/{customer}", headers=headers).json()["balance"]
        return bool(seen == expected)

    until(matches, _PATIENCE_SECONDS)
    return seen
