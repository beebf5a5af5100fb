"""A shop that sells at a steady rate while a test stops or kills parts of Dust."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx

from bridge.clock import now
from tests.support.deliveries import deliver
from tests.support.orders import line, order, order_event
from tests.support.processes import eventually

CUSTOMERS, WORTH = 10, 7
# Enough events that some are always being processed, with CPU left for the workers.
_PAUSE_SECONDS = 0.02


class SteadyOrders:
    """Posts events of new orders one after the other until it is closed. A refused event is posted again."""

    def __init__(self, url: str) -> None:
        self.acknowledged = 0
        self.refused = 0
        self._url = url
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._sell)
        self._thread.start()

    def _sell(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            while not self._closing.wait(_PAUSE_SECONDS):
                number = self.acknowledged
                customer_id = f"cus_{number % CUSTOMERS}"
                placed = now() - timedelta(hours=1)
                document = order(
                    f"order_{number:05}", customer_id=customer_id, lines=[line(price=WORTH)], placed=placed
                )
                if deliver(client, order_event(document), event_id=f"msg_{number:05}").status_code == 202:
                    self.acknowledged += 1
                else:
                    self.refused += 1

    def sell_more(self, number: int = 100) -> None:
        """Wait until this many more were acknowledged."""
        goal = self.acknowledged + number
        eventually(lambda: self.acknowledged >= goal)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    @property
    def balances(self) -> dict[str, int]:
        """The balance that each customer must have in the end."""
        return {
            f"cus_{number}": WORTH * len(range(number, self.acknowledged, CUSTOMERS)) for number in range(CUSTOMERS)
        }


@contextmanager
def selling(url: str) -> Iterator[SteadyOrders]:
    orders = SteadyOrders(url)
    try:
        yield orders
    finally:
        orders.close()
