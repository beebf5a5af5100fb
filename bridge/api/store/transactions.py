"""Store API: the customer's transactions."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, Field

from bridge.api.store.routing import store_router
from bridge.db import transaction
from bridge.http.auth import Customer
from bridge.http.paging import Cursor, Limit, Listing, decode_number_cursor, split_page
from bridge.http.problems import describe_problems
from bridge.http.schemas import FromAttributes
from bridge.ledger.adjust import ADJUSTMENT
from bridge.ledger.customer_statement import EntryState, StatementEntry, read_statement
from bridge.ledger.postings import Kind, Transaction
from bridge.settlement.order_points import read_order_numbers

router = store_router()


class TransactionResponse(FromAttributes):
    id: str
    amount: int = Field(description="Whole points: positive for a credit, negative for a debit")
    type: str = Field(examples=["credit", "debit"])
    kind: str = Field(
        examples=["earn", "bonus", "adjust", "import", "redeem", "refund", "reverse", "expire", "transfer"]
    )
    reference_type: str
    reference_id: str
    description: str
    balance_after: int
    event_at: datetime = Field(description="When it happened in the shop")
    created_at: datetime = Field(description="When it was recorded")


class OwnTransactionResponse(TransactionResponse):
    """A transaction of the customer, or its points that are still pending.

    The amounts of all `booked` ones add up to the balance, those of all `pending` ones to the pending points. A
    transaction can be listed once in each state.
    """

    state: EntryState
    matures_at: datetime | None = Field(
        description="When the pending points can be spent; null if they are booked, or wait for the order to be paid"
    )
    expires_at: datetime | None = Field(
        description="When the first of the points that are left of it expire; null if none do"
    )
    order_number: str | None = Field(description="Number of the order that it belongs to, as the shopper knows it")


class OwnTransactionListResponse(BaseModel):
    transactions: list[OwnTransactionResponse]
    next_cursor: str | None


@router.get("/transactions", responses=describe_problems(401, 422, 503))
def read_own_transactions(
    customer_id: Customer, limit: Limit = 20, cursor: Cursor = None
) -> OwnTransactionListResponse:
    """List the customer's transactions and pending points, newest first."""
    before = decode_number_cursor(Listing.STATEMENT, cursor)
    with transaction() as connection:
        entries = read_statement(connection, customer_id, limit=limit + 1, before=before)
        numbers = read_order_numbers(connection, {order for entry in entries if (order := order_of(entry))})
    page, following = split_page(Listing.STATEMENT, entries, limit, lambda entry: entry.position)
    return OwnTransactionListResponse(
        transactions=[_own_transaction(entry, numbers) for entry in page], next_cursor=following
    )


def order_of(entry: StatementEntry | Transaction) -> str | None:
    """Return the id of the order that a transaction belongs to."""
    return entry.reference_id if entry.reference_type == "order" else entry.order_id


def _own_transaction(entry: StatementEntry, numbers: Mapping[str, str]) -> OwnTransactionResponse:
    """The entry for the customer: with order numbers, and without what is meant for the shop."""
    order_id = order_of(entry)
    number = numbers.get(order_id) if order_id else None
    # Transactions of redemptions name their order in the description.
    description = entry.description.replace(f" ({order_id})", f" (order {number})" if number else "")
    if entry.kind in {Kind.MERGE, Kind.UNMERGE}:
        description = "To your other account" if entry.amount < 0 else "From your other account"
    changed = {
        "type": "credit" if entry.amount > 0 else "debit",
        # An adjustment's reference is the shop's internal reason.
        "reference_id": entry.id if entry.reference_type == ADJUSTMENT else entry.reference_id,
        "description": description,
        "order_number": number,
    }
    return OwnTransactionResponse(**vars(entry) | changed)
