"""An order that takes the process down that settles it, as a fault in a library of C might. Its id begins with the
mark in `FAULTS_POISON`."""

import os
import signal
from collections.abc import Iterable
from typing import Any


def install(mark: str) -> None:
    from bridge.inbox import process_batch, process_one

    settle = process_batch.settle_orders

    def settle_or_die(connection: Any, orders: Iterable[Any], **more: Any) -> Any:
        orders = list(orders)
        if any(order.id.startswith(mark) for order in orders):
            os.kill(os.getpid(), signal.SIGKILL)
        return settle(connection, orders, **more)

    process_batch.settle_orders = process_one.settle_orders = settle_or_die
