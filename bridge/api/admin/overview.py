"""Admin API: the key figures of the programme."""

from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.queries import count_events, oldest_waiting
from bridge.inbox.tables import EventState
from bridge.ledger.queries import read_expiring, read_totals
from bridge.redemptions.repository import count_open
from bridge.settlement.escrow import read_escrow_totals
from bridge.settlement.repository import orders_with_unpaid_dust_only

router = admin_router()


# The overview shows what expires within this time.
_SOON = timedelta(days=30)
_MAX_UNPAID = 20


class Overview(BaseModel):
    """Key figures of the programme: whole points, and counts."""

    customers: int = Field(description="Customers who have or had points")
    outstanding: int = Field(description="Points that customers own, held points included")
    held: int = Field(description="Points held for open redemptions")
    pending: int = Field(description="Points earned that have not matured; not part of outstanding")
    escrow: int = Field(description="Points of guest orders that are not claimed yet; not part of outstanding")
    escrow_orders: int = Field(description="Number of guest orders in escrow")
    expiring: int = Field(description="Points that expire by expiring_until unless they are spent")
    expiring_until: datetime
    open_redemptions: int
    waiting_events: int
    failed_events: int
    oldest_waiting_event_at: datetime | None
    unpaid_orders: list[str] = Field(description="The newest orders with points-only products not paid with points")


@router.get("/overview")
def read_overview() -> Overview:
    """Return the key figures of the programme."""
    until = now() + _SOON
    with transaction() as connection:
        waiting = read_escrow_totals(connection)
        return Overview(
            **vars(read_totals(connection)),
            escrow=waiting.dust,
            escrow_orders=waiting.orders,
            expiring=read_expiring(connection, until=until),
            expiring_until=until,
            open_redemptions=count_open(connection),
            waiting_events=count_events(connection, EventState.PENDING),
            failed_events=count_events(connection, EventState.FAILED),
            oldest_waiting_event_at=oldest_waiting(connection),
            unpaid_orders=[str(order) for order in orders_with_unpaid_dust_only(connection, limit=_MAX_UNPAID)],
        )
