"""Store API: the customer's referral code, and entering the code of another customer."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, field_validator
from sqlalchemy import Connection

from bridge.api.store.routing import store_router
from bridge.clock import now
from bridge.db import transaction
from bridge.http.auth import Customer
from bridge.http.problems import describe_problems
from bridge.http.schemas import Body, FromAttributes
from bridge.http.thread_limits import FOR_CUSTOMERS
from bridge.ids import CustomerId
from bridge.inbox.customers import find_accounts
from bridge.programme.versions import current_version, versions_by_number
from bridge.settlement.referral_codes import own_code, read_referral_results, referral_of, referrer_of, state_code
from bridge.settlement.referrals import Referral

router = store_router()


class OfferResponse(FromAttributes):
    referrer: int = Field(description="Points for the customer whose code is used")
    referred: int = Field(description="Points for the new customer who enters the code")


class StatedResponse(BaseModel):
    """The referral that brought this customer to the shop."""

    stated_at: datetime
    bonus: int = Field(description="Points that were promised")
    received: int = Field(description="Points credited for it; 0 until an order is paid, or if no paid order remains")


class BroughtResponse(FromAttributes):
    stated: int = Field(description="New customers who entered the code")
    qualified: int = Field(description="New customers with a paid order that still counts")
    dust: int = Field(description="Points that the referrals brought")
    notes: list[str] = Field(description="Why some referrals brought nothing")


class ReferralResponse(BaseModel):
    code: str
    offer: OfferResponse | None = Field(description="What a referral brings both customers now; null: nothing")
    referred_by: StatedResponse | None = Field(
        description="The referral that brought this customer; null if there is none"
    )
    brought: BroughtResponse


_CODE = r"^[A-Za-z0-9]{1,20}$"


class CodeStatement(Body):
    code: Annotated[str, StringConstraints(strip_whitespace=True), Field(json_schema_extra={"pattern": _CODE})]

    # Shoppers type it, and pydantic's message would show them the pattern.
    @field_validator("code")
    @classmethod
    def _letters_and_digits(cls, code: str) -> str:
        if not re.fullmatch(_CODE, code):
            raise ValueError("Please check the referral code: it has letters and digits only.")
        return code


@router.get("/referral", responses=describe_problems(401, 422, 503))
def read_own_referral(customer_id: Customer) -> ReferralResponse:
    """Show the customer's referral code, what it has brought, and the referral that brought them."""
    with transaction() as connection:
        return _response(connection, customer_id, referral_of(connection, customer_id))


@router.post("/referral", status_code=201, responses=describe_problems(400, 401, 404, 409, 422, 429, 503))
async def state_referral(customer_id: Customer, body: CodeStatement) -> ReferralResponse:
    """Enter the code of the customer who recommended the shop, before the first order. Repeating it changes nothing.

    The e-mail addresses of both accounts are read from Medusa, so that customers cannot refer a second account of
    their own.
    """
    return await FOR_CUSTOMERS.run(_state_referral, customer_id, body)


def _state_referral(customer_id: CustomerId, body: CodeStatement) -> ReferralResponse:
    with transaction() as connection:
        referrer_id = referrer_of(connection, body.code)
        offered = current_version(connection).programme.bonuses.referral.offered
        asks = offered and referral_of(connection, customer_id) is None and referrer_id != customer_id
    # No transaction is open during the call to Medusa.
    accounts = find_accounts([customer_id, referrer_id]) if asks else {}
    with transaction() as connection:
        stated = state_code(connection, customer_id, body.code, accounts=accounts, now=now())
        return _response(connection, customer_id, stated)


def _response(connection: Connection, customer_id: CustomerId, stated: Referral | None) -> ReferralResponse:
    rules = current_version(connection).programme.bonuses.referral
    return ReferralResponse(
        code=own_code(connection, customer_id, now=now()),
        offer=rules if rules.offered else None,
        referred_by=_stated(connection, stated) if stated else None,
        brought=read_referral_results(connection, customer_id),
    )


def _stated(connection: Connection, row: Referral) -> StatedResponse:
    version = versions_by_number(connection, {row.programme_version})[row.programme_version]
    return StatedResponse(
        stated_at=row.stated_at,
        bonus=version.programme.bonuses.referral.referred,
        received=row.referred_booked - row.referred_not_taken,
    )
