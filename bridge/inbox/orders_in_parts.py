"""Read orders from Medusa by their ids, in smaller parts where it does not give all of them in one answer."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.ids import OrderId
from bridge.medusa.client import Json, Medusa
from bridge.medusa.errors import MedusaAway

_SMALLER = 4


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some of the requested orders. `documents` has those that Medusa lists, which leaves out drafts.

    `failure` is the reason if Medusa fails at these; then it is a single one.
    """

    order_ids: Sequence[OrderId]
    documents: Mapping[OrderId, Json]
    failure: str | None = None


def orders_in_parts(medusa: Medusa, order_ids: Sequence[OrderId], *, max_seconds: float) -> Iterator[Part]:
    """Yield the orders: all at once, or in quarters, and quarters of these, as long as Medusa fails at them.

    Stops after `max_seconds`, but never before the first part. So each run completes some orders, even if Medusa hangs
    at one of them or takes seconds for each. Raises `MedusaAway`.
    """
    end, parts, is_first = time.monotonic() + max_seconds, [order_ids] if order_ids else [], True
    while parts and (is_first or time.monotonic() < end):
        part = parts.pop()
        try:
            documents = {OrderId(str(document.get("id"))): document for document in medusa.orders_by_id(part)}
        except MedusaAway as error:
            if not error.only_this_call:
                raise
            if len(part) > 1:
                size = math.ceil(len(part) / _SMALLER)
                parts += reversed([part[start : start + size] for start in range(0, len(part), size)])
                continue
            yield Part(order_ids=part, documents={}, failure=error.message)
        else:
            yield Part(order_ids=part, documents=documents)
        is_first = False
