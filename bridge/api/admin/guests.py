"""Admin API: points of guest orders in escrow, claims, and merges of accounts of one person."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.db import transaction
from bridge.http.auth import AdminOperator
from bridge.http.paging import Cursor, Limit, Listing, decode_cursor, split_page
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, FromAttributes, Id, PathCustomerId, PathOrderId
from bridge.ids import CustomerId
from bridge.inbox.customers import claim_by_support
from bridge.ledger.merges import merge_customers, merges_of, unmerge_customer
from bridge.reports.explain import explain_escrow
from bridge.settlement.escrow import list_escrows, read_escrow, read_escrow_totals
from bridge.settlement.referrals import settle_referrals
from bridge.settlement.tables import EscrowState, Proof
from bridge.settlement.write import settle_limits

router = admin_router()

Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=320, pattern=r"^[^\s@\x00]+@[^\s@\x00]+$"),
]


class EscrowResponse(FromAttributes):
    order_id: str
    state: EscrowState
    dust: int = Field(description="Points in escrow now; 0 once they are claimed or expired")
    placed_at: datetime
    expires_at: datetime
    customer_id: str | None = Field(description="The customer who claimed it")
    proof: Proof | None = Field(description="How the customer proved that the order was theirs")
    claimed_at: datetime | None


class EscrowDetail(EscrowResponse):
    sentences: list[str] = Field(description="What happened, oldest first")


class EscrowListResponse(BaseModel):
    waiting_orders: int = Field(description="Number of all orders in escrow, not only of this page")
    waiting_dust: int
    escrows: list[EscrowResponse]
    next_cursor: str | None


@router.get("/escrow", responses=describe_problems(422))
def read_escrows(limit: Limit = 20, cursor: Cursor = None, state: EscrowState | None = None) -> EscrowListResponse:
    """List the points of guest orders in escrow, newest first, with the totals."""
    with transaction() as connection:
        waiting = read_escrow_totals(connection)
        before = decode_cursor(Listing.ESCROWS, cursor)
        escrows = list_escrows(connection, state=state, before=before, limit=limit + 1)
    page, following = split_page(Listing.ESCROWS, escrows, limit, lambda escrow: escrow.order_id)
    return EscrowListResponse(
        waiting_orders=waiting.orders, waiting_dust=waiting.dust, escrows=page, next_cursor=following
    )


@router.get("/escrow/{order_id}", responses=describe_problems(404, 422))
def read_one_escrow(order_id: PathOrderId) -> EscrowDetail:
    """Show the escrow of one guest order and explain it in sentences."""
    with transaction() as connection:
        escrow = read_escrow(connection, order_id)
        sentences = explain_escrow(connection, escrow)
    return EscrowDetail.model_validate({**vars(escrow), "sentences": sentences})


class ClaimRequest(Body):
    email: Annotated[Email, Field(description="The e-mail address of the orders; it is not stored")]
    dry_run: Annotated[bool, Field(strict=True, description="Only return what would be claimed")] = False


class ClaimedOrder(BaseModel):
    order_id: str
    dust: int


class ClaimResponse(BaseModel):
    customer_id: str
    dry_run: bool
    dust: int
    orders: list[ClaimedOrder]


@router.post("/customers/{customer_id}/claim", responses=describe_problems(400, 409, 422))
def claim(customer_id: PathCustomerId, body: ClaimRequest, operator: AdminOperator) -> ClaimResponse:
    """Give a customer the points of their guest orders, once they have proved to you that the e-mail address is theirs.

    Orders with this address that become known later follow within a minute. Repeating the request is harmless.
    """
    with transaction() as connection:
        orders = claim_by_support(connection, customer_id, body.email, dry_run=body.dry_run, actor=operator, now=now())
    return ClaimResponse(
        customer_id=customer_id,
        dry_run=body.dry_run,
        dust=sum(orders.values()),
        orders=[ClaimedOrder(order_id=order_id, dust=dust) for order_id, dust in sorted(orders.items())],
    )


class MergeResponse(FromAttributes):
    id: str
    customer_id: str = Field(description="The account that was merged; it is empty afterwards")
    survivor_id: str = Field(description="The account that everything was moved to")
    merged_at: datetime
    merged_by: str
    unmerged_at: datetime | None = Field(description="When it was undone")
    unmerged_by: str | None


class MergeRequest(Body):
    into: Id


class UnmergeResponse(FromAttributes):
    merge: MergeResponse
    brought: int = Field(
        description="All points that the account had brought, pending ones included; negative for debt"
    )
    returned: int = Field(description="The points that went back: those neither spent nor held meanwhile")


class MergeListResponse(BaseModel):
    merges: list[MergeResponse]


@router.get("/customers/{customer_id}/merges", responses=describe_problems(422))
def read_merges(customer_id: PathCustomerId) -> MergeListResponse:
    """List every merge of this customer's account, undone ones included, oldest first."""
    with transaction() as connection:
        return MergeListResponse(merges=merges_of(connection, customer_id))


@router.post("/customers/{customer_id}/merge", responses=describe_problems(400, 409, 422))
def merge(customer_id: PathCustomerId, body: MergeRequest, operator: AdminOperator) -> MergeResponse:
    """Merge this account `into` another one of the same person: everything moves there, now and in the future.

    This account must not have open redemptions. Repeating the request is harmless.
    """
    with transaction() as connection:
        done = merge_customers(connection, customer_id, CustomerId(body.into), actor=operator, now=now())
    with transaction() as connection:
        settle_referrals(connection, [done.customer_id, done.survivor_id], now=now())
    return MergeResponse.model_validate(done)


@router.post("/customers/{customer_id}/unmerge", responses=describe_problems(409, 422))
def unmerge(customer_id: PathCustomerId, operator: AdminOperator) -> UnmergeResponse:
    """Undo a merge. The points that this account had brought come back, unless they are spent or held."""
    with transaction() as connection:
        done = unmerge_customer(connection, customer_id, actor=operator, now=now())
    accounts = [done.merge.customer_id, done.merge.survivor_id]
    with transaction() as connection:
        settle_limits(connection, accounts, since=done.merge.merged_at, now=now())
    with transaction() as connection:
        settle_referrals(connection, accounts, now=now())
    return UnmergeResponse.model_validate(done)
