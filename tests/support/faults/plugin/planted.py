"""Planted bugs that the checker must find."""

import asyncio
from typing import Any
from uuid import uuid4


def _no_dedupe() -> None:
    """Asking again with the same key is a new adjustment."""
    from bridge.api.admin import customers

    adjust = customers.adjust_balance

    def forgetful(*args: Any, idempotency_key: str, **kwargs: Any) -> Any:
        return adjust(*args, idempotency_key=f"{idempotency_key} {uuid4()}", **kwargs)

    customers.adjust_balance = forgetful


def _no_lock() -> None:
    """An order's row is read, not locked, before the difference is booked."""
    from sqlalchemy.dialects.postgresql import insert

    from bridge.settlement import settle
    from bridge.settlement.repository import read_rows
    from bridge.settlement.tables import order_settlement

    def read_only(connection: Any, order_ids: Any) -> Any:
        connection.execute(
            insert(order_settlement).on_conflict_do_nothing(), [{"order_id": order_id} for order_id in order_ids]
        )
        return read_rows(connection, order_ids)

    settle.lock_rows = read_only


def _ack_before_commit() -> None:
    """The endpoint answers, and then commits."""
    from bridge.inbox.receive import Arrival, Receipt
    from bridge.webhooks import endpoint

    keep = endpoint._store_event
    under_way = set()

    async def later(arrival: Arrival) -> None:
        # Longer than a busy machine needs from the response to the kill.
        await asyncio.sleep(3)
        await keep(arrival)

    async def hasty(arrival: Arrival) -> Receipt:
        under_way.add(asyncio.create_task(later(arrival)))
        return Receipt.ACCEPTED

    endpoint._store_event = hasty


def _release_in_doubt() -> None:
    """When Medusa cannot be asked whether a code is gone, it is taken to be gone."""
    from bridge.errors import Unavailable
    from bridge.redemptions import medusa_sync

    delete = medusa_sync._delete_codes

    def hopeful(redemption: Any, medusa: Any) -> list[str]:
        try:
            return delete(redemption, medusa)
        except Unavailable:
            return []

    medusa_sync._delete_codes = hopeful


def _named() -> None:
    """Many small bugs, each for ids that contain its name."""
    import bugs_by_id

    bugs_by_id.plant_all()


BUGS = {
    "no-dedupe": _no_dedupe,
    "no-lock": _no_lock,
    "ack-before-commit": _ack_before_commit,
    "release-in-doubt": _release_in_doubt,
    "named": _named,
}


def plant(bug: str) -> None:
    BUGS[bug]()
