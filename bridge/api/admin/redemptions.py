"""Admin API: the redemptions of all customers."""

from typing import Annotated

from fastapi import Query

from bridge.api.admin.routing import admin_router
from bridge.api.store.redemptions import RedemptionListResponse, redemption_list, redemption_response
from bridge.db import transaction
from bridge.http.paging import Cursor, Limit, Listing, decode_cursor
from bridge.http.problems import describe_problems
from bridge.http.schemas import Id
from bridge.ids import CustomerId
from bridge.redemptions.repository import list_redemptions
from bridge.redemptions.tables import RedemptionState

router = admin_router()


@router.get("/redemptions", responses=describe_problems(422))
def read_redemptions(
    limit: Limit = 20,
    cursor: Cursor = None,
    state: RedemptionState | None = None,
    customer_id: Annotated[Id | None, Query()] = None,
) -> RedemptionListResponse:
    """List the redemptions of all customers, newest first."""
    with transaction() as connection:
        redemptions = list_redemptions(
            connection,
            customer_id=CustomerId(customer_id) if customer_id else None,
            state=state,
            before=decode_cursor(Listing.REDEMPTIONS, cursor),
            limit=limit + 1,
        )
    return redemption_list(redemptions, limit, redemption_response)
