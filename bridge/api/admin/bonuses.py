"""Admin API: bonuses that a merchant gives manually."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from bridge.api.admin.routing import admin_router
from bridge.api.admin.schemas import Dust, Reason
from bridge.api.store.transactions import TransactionResponse
from bridge.clock import now
from bridge.db import transaction
from bridge.http.auth import AdminOperator
from bridge.http.idempotency_header import IdempotencyKey
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, Id, Text
from bridge.ids import CustomerId
from bridge.settlement.manual_bonuses import MAX_CUSTOMERS, MAX_DAYS, Bonus, NewBonus, give_bonus

router = admin_router()


class BonusRequest(Body):
    """A bonus for one customer (`customer_id`) or for many (`customer_ids`). Each of them gets `amount`."""

    customer_id: Id | None = None
    customer_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_CUSTOMERS)] | None = None
    amount: Dust
    reason: Reason
    description: Annotated[
        Text, Field(max_length=500, description="Text for the customer; default: A bonus from the shop")
    ] = ""
    expires_after_days: Annotated[
        int | None,
        Field(strict=True, ge=1, le=MAX_DAYS, description="Default: as the programme says for earned points"),
    ] = None
    matures_after_days: Annotated[
        int, Field(strict=True, ge=0, le=MAX_DAYS, description="Until then the points are pending and cannot be spent")
    ] = 0

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.customer_id is None) == (self.customer_ids is None):
            raise ValueError("give customer_id or customer_ids")
        return self


class BonusTransaction(TransactionResponse):
    customer_id: str


class BonusResponse(BaseModel):
    id: str
    amount: int = Field(description="Points for each customer; pending until matures_at")
    reason: str
    description: str
    customers: int
    matures_at: datetime | None
    expires_at: datetime | None
    created_at: datetime
    transactions: list[BonusTransaction] = Field(description="One row per customer, ordered by customer id")


@router.post("/bonuses", status_code=201, responses=describe_problems(400, 409, 422))
def give(body: BonusRequest, operator: AdminOperator, key: IdempotencyKey) -> BonusResponse:
    """Give points to one customer or to many. It succeeds for all of them or for none."""
    customers = [body.customer_id] if body.customer_id else body.customer_ids or []
    with transaction() as connection:
        given = give_bonus(
            connection,
            NewBonus(
                customer_ids=tuple(CustomerId(customer) for customer in customers),
                **body.model_dump(exclude={"customer_id", "customer_ids"}),
            ),
            idempotency_key=key,
            actor=operator,
            now=now(),
        )
    return bonus_response(given)


def bonus_response(bonus: Bonus) -> BonusResponse:
    rows = [BonusTransaction.model_validate(dict(row._mapping)) for row in bonus.transactions]
    return BonusResponse.model_validate({**bonus.row._mapping, "transactions": rows})
