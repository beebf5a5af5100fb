"""Store API: the customer's transactions."""

from collections.abc import Callable
from datetime import datetime

from pydantic import BaseModel, Field

from bridge.api.store.routing import store_router
from bridge.db import transaction
from bridge.http.auth import Customer
from bridge.http.paging import Cursor, Limit, Listing, decode_number_cursor, encode_cursor
from bridge.http.problems import describe_problems
from bridge.ledger.adjust import ADJUSTMENT
from bridge.ledger.postings import Transaction
from bridge.ledger.statements import read_transactions

router = store_router()


class TransactionResponse(BaseModel):
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


def transaction_view(row: Transaction) -> TransactionResponse:
    return TransactionResponse.model_validate(row, from_attributes=True)


class TransactionList(BaseModel):
    transactions: list[TransactionResponse]
    next_cursor: str | None


def own_transaction_view(row: Transaction) -> TransactionResponse:
    """The transaction for the customer. An adjustment's reference is the shop's internal reason, so it is replaced."""
    view = transaction_view(row)
    return view.model_copy(update={"reference_id": view.id}) if row.reference_type == ADJUSTMENT else view


def transaction_list(
    rows: list[Transaction], limit: int, *, view: Callable[[Transaction], TransactionResponse] = transaction_view
) -> TransactionList:
    """One page from `rows`, which were read with a limit of `limit + 1` to see whether there is a next page."""
    return TransactionList(
        transactions=[view(row) for row in rows[:limit]],
        next_cursor=encode_cursor(Listing.TRANSACTIONS, rows[limit - 1].version if len(rows) > limit else None),
    )


@router.get("/transactions", responses=describe_problems(401, 422, 503))
def read_own_transactions(customer_id: Customer, limit: Limit = 20, cursor: Cursor = None) -> TransactionList:
    """List the customer's transactions, newest first."""
    before = decode_number_cursor(Listing.TRANSACTIONS, cursor)
    with transaction() as connection:
        rows = read_transactions(connection, customer_id, limit=limit + 1, before_version=before, memos=False)
    return transaction_list(rows, limit, view=own_transaction_view)
