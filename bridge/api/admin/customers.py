"""Admin API: one customer's balance, transactions, explanation, adjustments, erasure and export."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from bridge.api.admin.routing import admin_router
from bridge.api.admin.schemas import Reason
from bridge.api.store.balance import BalanceResponse, balance_response
from bridge.api.store.transactions import TransactionResponse, order_of
from bridge.clock import now
from bridge.db import transaction
from bridge.http.auth import AdminOperator
from bridge.http.idempotency_header import IdempotencyKey
from bridge.http.paging import Cursor, Limit, Listing, decode_number_cursor, split_page
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, FromAttributes, PathCustomerId, Text
from bridge.inbox.erasure import erase_customer
from bridge.ledger.adjust import adjust_balance
from bridge.ledger.postings import Kind, Transaction
from bridge.ledger.queries import read_balance, read_transactions
from bridge.queue.enqueue import REDEMPTIONS_SWEEP, enqueue
from bridge.redemptions.tables import RedemptionKind
from bridge.reports.customer_export import export_customer
from bridge.reports.explain import explain
from bridge.settlement.order_points import read_order_numbers
from bridge.settlement.tier_history import read_tier

router = admin_router()


@router.get("/customers/{customer_id}", responses=describe_problems(422))
def read_customer(customer_id: PathCustomerId) -> BalanceResponse:
    """Return a customer's balance and tier. Unknown customers get zeros."""
    with transaction() as connection:
        tier = read_tier(connection, customer_id, now=now())
        return balance_response(read_balance(connection, customer_id), tier)


class CustomerTransaction(TransactionResponse):
    order_id: str | None = Field(description="Id of the order that it belongs to")
    order_number: str | None = Field(description="The number of that order in Medusa; null if it is not known")


class CustomerTransactionListResponse(BaseModel):
    transactions: list[CustomerTransaction]
    next_cursor: str | None


@router.get("/customers/{customer_id}/transactions", responses=describe_problems(422))
def read_customer_transactions(
    customer_id: PathCustomerId,
    limit: Limit = 20,
    cursor: Cursor = None,
    memos: Annotated[
        bool, Query(description="Include rows that changed no balance: holds, releases, pending points")
    ] = False,
) -> CustomerTransactionListResponse:
    """List a customer's transactions, newest first."""
    before = decode_number_cursor(Listing.TRANSACTIONS, cursor)
    with transaction() as connection:
        rows = read_transactions(connection, customer_id, limit=limit + 1, before_version=before, memos=memos)
        numbers = read_order_numbers(connection, {order for row in rows if (order := order_of(row))})
    page, following = split_page(Listing.TRANSACTIONS, rows, limit, lambda row: row.version)
    return CustomerTransactionListResponse(
        transactions=[_transaction(row, numbers) for row in page], next_cursor=following
    )


def _transaction(row: Transaction, numbers: Mapping[str, str]) -> CustomerTransaction:
    order_id = order_of(row)
    number = numbers.get(order_id) if order_id else None
    # Transactions of redemptions name their order in the description. Here it has fields of its own.
    description = row.description.replace(f" ({order_id})", "")
    return CustomerTransaction(**vars(row) | {"description": description, "order_id": order_id, "order_number": number})


class LotPartResponse(FromAttributes):
    lot_id: str
    dust: int
    expires_at: datetime | None


class RedeemedResponse(FromAttributes):
    kind: RedemptionKind
    reward: str | None = Field(description="Name of the reward, as it was then")
    value: str | None = Field(description="The discount in major units; null if it depended on the cart")
    currency_code: str | None
    percent: str | None
    units: int = Field(description="Units of products that were paid with points or free")
    redeemed_at: datetime


class OrderRulesResponse(FromAttributes):
    multipliers: list[str] = Field(description="Names of the multipliers")
    fixed: list[str] = Field(description="Points for each unit of some products, instead of the rate")
    excluded: bool = Field(description="Whether some products earn nothing")
    tier: str | None
    tier_factor: str | None
    note: str | None = Field(description="Why it earns less than it is worth, in English")


class StepResponse(FromAttributes):
    sentence: str = Field(description="In English. The other fields are for a sentence in another language")
    transaction_id: str
    kind: Kind
    amount: int
    pending: int
    held: int
    balance_after: int
    reference_type: str
    reference_id: str
    description: str
    order_number: str | None
    claimed_at: datetime | None = Field(description="When the customer claimed the order, which was a guest's")
    redeemed: RedeemedResponse | None = Field(description="What the points were redeemed for")
    rates: dict[str, str] = Field(description="`earn`: points for each unit of money, by currency")
    rules: OrderRulesResponse | None = Field(description="`earn`: rules other than the rate that changed the points")
    programme_version: int | None
    event_at: datetime
    lots: list[LotPartResponse]


class ExplanationResponse(BaseModel):
    balance: BalanceResponse
    summary: list[str] = Field(description="What makes up the balance now, in sentences for the customer")
    steps: list[StepResponse] = Field(description="How the balance came about, oldest first")


@router.get("/customers/{customer_id}/explain", responses=describe_problems(422))
def explain_customer(customer_id: PathCustomerId) -> ExplanationResponse:
    """Explain a balance: every transaction in a sentence, with its rule version, lots and expiry."""
    with transaction() as connection:
        explanation = explain(connection, customer_id)
    return ExplanationResponse(
        balance=balance_response(explanation.balance, explanation.tier),
        summary=list(explanation.summary),
        steps=explanation.steps,
    )


class ErasedResponse(BaseModel):
    customer_id: str
    events_stripped: int = Field(description="Number of event bodies from which more than ids was removed")
    message: str = "What identified the person is gone; the ledger and the liability stay."


@router.post("/customers/{customer_id}/erase", responses=describe_problems(422))
def erase(customer_id: PathCustomerId, operator: AdminOperator) -> ErasedResponse:
    """Erase personal data: strip event bodies to ids and release open redemptions. The ledger stays as it is."""
    with transaction() as connection:
        stripped = erase_customer(connection, customer_id, actor=operator, now=now())
    enqueue(REDEMPTIONS_SWEEP)
    return ErasedResponse(customer_id=customer_id, events_stripped=stripped)


@router.get("/customers/{customer_id}/export", responses=describe_problems(422))
def export(customer_id: PathCustomerId) -> dict[str, Any]:
    """Export all data about a customer as one document."""
    with transaction() as connection:
        return export_customer(connection, customer_id)


class Adjustment(Body):
    amount: Annotated[int, Field(strict=True, description="Whole points: positive to credit, negative to debit")]
    reason: Reason
    description: Annotated[Text, Field(max_length=500, description="Text for the customer")] = ""


@router.post("/customers/{customer_id}/adjustments", status_code=201, responses=describe_problems(400, 409, 422))
def adjust(
    customer_id: PathCustomerId, body: Adjustment, operator: AdminOperator, key: IdempotencyKey
) -> TransactionResponse:
    """Credit or debit points manually."""
    with transaction() as connection:
        row = adjust_balance(
            connection,
            customer_id,
            body.amount,
            reason=body.reason,
            description=body.description,
            idempotency_key=key,
            actor=operator,
            now=now(),
        )
    return TransactionResponse.model_validate(row)
