"""Signed events, sent one after the other while services restart."""

import json
import threading
import time
from copy import deepcopy
from datetime import UTC, datetime

import httpx

from bridge.ids import new_id
from tests.support.containers.engine import PROJECT
from tests.support.deliveries import signed_headers

# The points of the example order under the default rules.
POINTS_OF_AN_ORDER = 20
CUSTOMERS = tuple(f"cus_load_{number}" for number in range(5))
_PAUSE_SECONDS = 0.1
_EXAMPLE = json.loads((PROJECT / "docs/examples/order-placed.json").read_bytes())


def order_event(customer: str) -> bytes:
    """An order of this customer, placed now, as Medusa's plugin sends it."""
    event, moment = deepcopy(_EXAMPLE), datetime.now(UTC).isoformat()
    order = event["data"]["order"]
    event["data"]["id"] = order["id"] = new_id("order")
    order |= {"customer_id": customer, "created_at": moment, "updated_at": moment}
    order["customer"]["id"] = customer
    for item in order["items"]:
        item["id"] = new_id("ordli")
    return json.dumps(event | {"timestamp": moment}).encode()


class Load:
    """Sends events until the block ends. An event without a 2xx answer is sent again, as the plugin does."""

    def __init__(self, url: str, secret: str) -> None:
        self._url, self._secret = f"{url}/webhooks/medusa", secret
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send_all)
        self.accepted = dict.fromkeys(CUSTOMERS, 0)
        self.refused = 0

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "the API takes no events"

    def _send_all(self) -> None:
        with httpx.Client(timeout=10, trust_env=False) as client:
            while not self._stopping.is_set():
                for customer in CUSTOMERS:
                    self._send(client, order_event(customer))
                    self.accepted[customer] += 1

    def _send(self, client: httpx.Client, body: bytes) -> None:
        event_id = new_id("msg")
        while True:
            time.sleep(_PAUSE_SECONDS)
            headers = signed_headers(body, event_id=event_id, secret=self._secret)
            try:
                if client.post(self._url, content=body, headers=headers).is_success:
                    return
            except httpx.TransportError:
                pass
            self.refused += 1
