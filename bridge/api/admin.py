"""Admin API for merchants and operators: products, customers, inbox, programme, reconcile. CONTRACT, "Admin API"."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi import Body as FromBody
from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from bridge.api.schemas import (
    BalanceResponse,
    Body,
    Cursor,
    Dust,
    EventId,
    Id,
    Limit,
    Listing,
    PathId,
    RedemptionList,
    Text,
    TransactionList,
    TransactionResponse,
    balance_view,
    decode_cursor,
    decode_number_cursor,
    encode_cursor,
    idempotency_key,
    transaction_list,
    transaction_view,
)
from bridge.api.store import redemption_list
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import FieldErrors, Unavailable, field_error
from bridge.http.auth import AdminOperator, Operator, operator
from bridge.http.medusa_threads import FOR_OPERATORS
from bridge.http.problems import describe_problems, field_problems
from bridge.ids import CustomerId, ProductId
from bridge.inbox.erasure import erase_customer
from bridge.inbox.history import Outcome, read_history
from bridge.inbox.listing import EventSummary, count_failed, count_waiting, list_events, oldest_waiting, read_event_row
from bridge.inbox.process_one import retry_all, retry_event
from bridge.inbox.reconcile import reconcile
from bridge.inbox.selection import EventFilter
from bridge.inbox.tables import EventState
from bridge.ledger.adjust import adjust_balance
from bridge.ledger.statements import read_balance, read_expiring, read_totals, read_transactions
from bridge.medusa.client import get_medusa
from bridge.products.settings import (
    ProductSettings,
    Wanted,
    delete_product,
    list_products,
    read_product,
    set_products,
)
from bridge.products.variants import NOT_CHECKED, why_not_priced
from bridge.programme.currencies import ask_currencies, require_currencies, save_currencies
from bridge.programme.rules import Programme
from bridge.programme.versions import Version, add_version, current_version, list_versions
from bridge.queue.enqueue import INBOX_DRAIN, PRODUCTS_MIRROR, REDEMPTIONS_SWEEP, wake
from bridge.redemptions.pricing.rewards import require_one_price
from bridge.redemptions.service import count_open, list_redemptions
from bridge.redemptions.tables import State
from bridge.reports.customer_export import export_customer
from bridge.reports.explain import explain
from bridge.settlement.escrow import read_waiting
from bridge.settlement.repository import unpaid_orders
from bridge.settlement.tiers import read_tier

router = APIRouter(
    prefix="/admin/dust",
    tags=["admin"],
    dependencies=[Depends(operator)],
    responses=describe_problems(401, 503),
)


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
    unpaid_orders: list[str] = Field(description="The newest orders with dust-only products not paid with points")


@router.get("/overview")
def read_overview() -> Overview:
    """Return the key figures of the programme."""
    until = now() + _SOON
    with transaction() as connection:
        waiting = read_waiting(connection)
        return Overview(
            **vars(read_totals(connection)),
            escrow=waiting.dust,
            escrow_orders=waiting.orders,
            expiring=read_expiring(connection, until=until),
            expiring_until=until,
            open_redemptions=count_open(connection),
            waiting_events=count_waiting(connection),
            failed_events=count_failed(connection),
            oldest_waiting_event_at=oldest_waiting(connection),
            unpaid_orders=[str(each) for each in unpaid_orders(connection, limit=_MAX_UNPAID)],
        )


class ProductRequest(Body):
    """Points settings of a product. `dust_only` requires a `dust_price`."""

    dust_only: Annotated[bool, Field(strict=True)] = False
    dust_price: Annotated[Dust | None, Field(validate_default=True)] = None

    # Validated on the field, not on the model, so that a form can show the error next to the price.
    @field_validator("dust_price")
    @classmethod
    def _dust_only_has_a_price(cls, price: int | None, others: ValidationInfo) -> int | None:
        if others.data.get("dust_only") and price is None:
            raise ValueError("a product that only dust can buy needs a price in dust")
        return price


class ProductBatchRequest(ProductRequest):
    product_id: Id


class ProductBatch(Body):
    products: Annotated[list[ProductBatchRequest], Field(min_length=1, max_length=1000)]


class AdminProduct(BaseModel):
    product_id: str
    dust_only: bool
    dust_price: int | None
    updated_by: str
    updated_at: datetime
    warning: str | None = Field(default=None, description="What could not be checked, and what to do about it")
    mirrored: bool = Field(description="Whether Medusa's product metadata has these settings")
    mirror_error: str | None


class AdminProductList(BaseModel):
    products: list[AdminProduct]
    next_cursor: str | None = None


class Deleted(BaseModel):
    """The response to a DELETE, in the shape that Medusa uses."""

    id: str
    object: str
    deleted: bool = True


@router.get("/products", responses=describe_problems(422))
def read_products(limit: Limit = 100, cursor: Cursor = None) -> AdminProductList:
    """List the products with points settings, ordered by id."""
    with transaction() as connection:
        found = list_products(connection, limit=limit + 1, after=decode_cursor(Listing.PRODUCTS, cursor))
    following = encode_cursor(Listing.PRODUCTS, found[limit - 1].product_id if len(found) > limit else None)
    return AdminProductList(products=[_product(each) for each in found[:limit]], next_cursor=following)


@router.post("/products", responses=describe_problems(400, 422, 503))
async def write_products(batch: ProductBatch, who: AdminOperator) -> AdminProductList:
    """Set many products at once. It succeeds for all of them or for none."""
    wanted = {each.product_id: each for each in batch.products}
    fields = {each.product_id: f"products.{number}.dust_price" for number, each in enumerate(batch.products)}
    products = await FOR_OPERATORS.run(_set_products, list(wanted.values()), who.id, fields)
    return AdminProductList(products=products)


@router.get("/products/{product_id}", responses=describe_problems(404, 422))
def read_one_product(product_id: PathId) -> AdminProduct:
    """Return the points settings of one product."""
    with transaction() as connection:
        return _product(read_product(connection, ProductId(product_id)))


@router.put("/products/{product_id}", responses=describe_problems(400, 422, 503))
async def write_product(product_id: PathId, wish: ProductRequest, who: AdminOperator) -> AdminProduct:
    """Set the points settings of one product. Medusa's product metadata follows within seconds.

    A product whose variants have different prices is refused. `warning` is set if Medusa could not be asked.
    """
    batch = [ProductBatchRequest(product_id=product_id, dust_only=wish.dust_only, dust_price=wish.dust_price)]
    products = await FOR_OPERATORS.run(_set_products, batch, who.id, {product_id: "dust_price"})
    return products[0]


@router.delete("/products/{product_id}", responses=describe_problems(404, 422))
def drop_product(product_id: PathId, who: AdminOperator) -> Deleted:
    """Remove the points settings of a product."""
    with transaction() as connection:
        delete_product(connection, ProductId(product_id), actor=who.id, now=now())
    wake(PRODUCTS_MIRROR)
    return Deleted(id=product_id, object="dust_product")


def _set_products(batch: list[ProductBatchRequest], actor: str, fields: dict[str, str]) -> list[AdminProduct]:
    """Write the settings. `fields` maps each product id to the request field with its price, for error messages."""
    warning = None
    try:
        refused = why_not_priced({ProductId(each.product_id) for each in batch if each.dust_price}, get_medusa)
    except Unavailable:
        refused, warning = {}, NOT_CHECKED
    if refused:
        raise FieldErrors([{"field": fields[product], "message": why} for product, why in refused.items()])
    with transaction() as connection:
        written = set_products(
            connection,
            [
                Wanted(product_id=ProductId(each.product_id), dust_only=each.dust_only, dust_price=each.dust_price)
                for each in batch
            ],
            actor=actor,
            now=now(),
        )
    wake(PRODUCTS_MIRROR)
    return [_product(each, warning if each.dust_price else None) for each in written]


def _product(settings: ProductSettings, warning: str | None = None) -> AdminProduct:
    return AdminProduct(**vars(settings), warning=warning)


@router.get("/customers/{customer_id}", responses=describe_problems(422))
def read_customer(customer_id: PathId) -> BalanceResponse:
    """Return a customer's balance and tier. Unknown customers get zeros."""
    with transaction() as connection:
        tier = read_tier(connection, CustomerId(customer_id), now=now())
        return balance_view(read_balance(connection, CustomerId(customer_id)), tier)


@router.get("/customers/{customer_id}/transactions", responses=describe_problems(422))
def read_customer_transactions(
    customer_id: PathId,
    limit: Limit = 20,
    cursor: Cursor = None,
    memos: Annotated[
        bool, Query(description="Include rows that changed no balance: holds, releases, pending points")
    ] = False,
) -> TransactionList:
    """List a customer's transactions, newest first."""
    before = decode_number_cursor(Listing.TRANSACTIONS, cursor)
    with transaction() as connection:
        rows = read_transactions(
            connection, CustomerId(customer_id), limit=limit + 1, before_version=before, memos=memos
        )  # fmt: skip
    return transaction_list(rows, limit)


class LotPartResponse(BaseModel):
    lot_id: str
    dust: int
    expires_at: datetime | None


class StepResponse(BaseModel):
    sentence: str
    transaction_id: str
    amount: int
    balance_after: int
    reference_type: str
    reference_id: str
    programme_version: int | None
    event_at: datetime
    lots: list[LotPartResponse]


class ExplanationResponse(BaseModel):
    balance: BalanceResponse
    summary: list[str] = Field(description="What makes up the balance now, in sentences for the customer")
    steps: list[StepResponse] = Field(description="How the balance came about, oldest first")


@router.get("/customers/{customer_id}/explain", responses=describe_problems(422))
def explain_customer(customer_id: PathId) -> ExplanationResponse:
    """Explain a balance: every transaction in a sentence, with its rule version, lots and expiry."""
    with transaction() as connection:
        found = explain(connection, CustomerId(customer_id))
    return ExplanationResponse(
        balance=balance_view(found.balance, found.tier),
        summary=list(found.summary),
        steps=[
            StepResponse(**{**vars(step), "lots": [LotPartResponse(**vars(part)) for part in step.lots]})
            for step in found.steps
        ],
    )


class ErasedResponse(BaseModel):
    customer_id: str
    events_stripped: int = Field(description="Number of event bodies from which more than ids was removed")
    message: str = "What identified the person is gone; the books and the liability stay."


@router.post("/customers/{customer_id}/erase", responses=describe_problems(422))
def erase(customer_id: PathId, who: AdminOperator) -> ErasedResponse:
    """Erase personal data: strip event bodies to ids and release open redemptions. The ledger stays as it is."""
    with transaction() as connection:
        stripped = erase_customer(connection, CustomerId(customer_id), actor=who.id, now=now())
    wake(REDEMPTIONS_SWEEP)
    return ErasedResponse(customer_id=customer_id, events_stripped=stripped)


@router.get("/customers/{customer_id}/export", responses=describe_problems(422))
def export(customer_id: PathId) -> dict[str, Any]:
    """Export all data about a customer as one document."""
    with transaction() as connection:
        return export_customer(connection, CustomerId(customer_id))


class Adjustment(Body):
    amount: Annotated[int, Field(strict=True, description="Whole points: positive to credit, negative to debit")]
    reason: Annotated[
        Text, Field(min_length=1, max_length=200, description="Reason, for your records; customers do not see it")
    ]
    description: Annotated[Text, Field(max_length=500, description="Text for the customer")] = ""


@router.post("/customers/{customer_id}/adjustments", status_code=201, responses=describe_problems(400, 409, 422))
def adjust(
    customer_id: PathId, wish: Adjustment, who: AdminOperator, key: Annotated[str, Depends(idempotency_key)]
) -> TransactionResponse:
    """Credit or debit points manually."""
    with transaction() as connection:
        row = adjust_balance(
            connection,
            CustomerId(customer_id),
            wish.amount,
            reason=wish.reason,
            description=wish.description,
            idempotency_key=key,
            actor=who.id,
            now=now(),
        )
    return transaction_view(row)


@router.get("/redemptions", responses=describe_problems(422))
def read_redemptions(
    limit: Limit = 20,
    cursor: Cursor = None,
    state: State | None = None,
    customer_id: Annotated[Id | None, Query()] = None,
) -> RedemptionList:
    """List the redemptions of all customers, newest first."""
    with transaction() as connection:
        found = list_redemptions(
            connection,
            customer_id=CustomerId(customer_id) if customer_id else None,
            state=state,
            before=decode_cursor(Listing.REDEMPTIONS, cursor),
            limit=limit + 1,
        )
    return redemption_list(found, limit)


class EventResponse(BaseModel):
    id: str
    type: str
    subject: str | None
    source: str
    state: EventState
    attempts: int
    error_code: str | None
    reason: str | None
    event_at: datetime
    received_at: datetime
    next_attempt_at: datetime | None
    handled_at: datetime | None


class AttemptResponse(BaseModel):
    at: datetime
    outcome: Outcome
    attempt: int = Field(description="Number of the attempt, counted from the last requested retry")
    error_code: str | None
    reason: str | None
    actor: str | None = Field(description="Who requested the retry")


class EventDetail(EventResponse):
    body: str = Field(description="The raw body as received")
    history: list[AttemptResponse] = Field(description="Failed attempts and retries, oldest first")


class EventList(BaseModel):
    events: list[EventResponse]
    next_cursor: str | None


class RetryResponse(BaseModel):
    id: str
    retried: bool
    message: str


# Event types and error codes use only these characters. Some others (NUL) would be an error in Postgres.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,100}$")]


class RetryRequest(Body):
    """Filter for failed events. An empty filter selects all of them."""

    type: Name | None = None
    subject: Id | None = None
    code: Annotated[Name | None, Field(description="The `error_code`")] = None
    since: AwareDatetime | None = Field(None, description="Only events received at this time or later")
    until: AwareDatetime | None = Field(None, description="Only events received before this time")


class RetryManyResponse(BaseModel):
    retried: int
    message: str


@router.get("/events", responses=describe_problems(422))
def read_events(
    limit: Limit = 20,
    cursor: Cursor = None,
    state: EventState | None = None,
    type: Annotated[Name | None, Query()] = None,
    subject: Annotated[Id | None, Query(description="Id of the order, customer, …")] = None,
    code: Annotated[Name | None, Query(description="The `error_code`")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Only events received at this time or later")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Only events received before this time")] = None,
) -> EventList:
    """List the events of the inbox, newest first."""
    only = EventFilter(state=state, type=type, subject=subject, code=code, since=since, until=until)
    with transaction() as connection:
        found = list_events(connection, only, before=decode_cursor(Listing.EVENTS, cursor), limit=limit + 1)
    following = encode_cursor(Listing.EVENTS, found[limit - 1].position if len(found) > limit else None)
    return EventList(events=[_event(each) for each in found[:limit]], next_cursor=following)


@router.post("/events/retry", name="retry_events", status_code=202, responses=describe_problems(400, 422))
def retry_many(who: AdminOperator, wish: RetryRequest | None = None) -> RetryManyResponse:
    """Retry failed events: all of them, or those that match the filter. Repeating the request is harmless."""
    retried = 0
    for number in retry_all(EventFilter(**(wish or RetryRequest()).model_dump()), actor=who.id):
        retried += number
        wake(INBOX_DRAIN)
    return RetryManyResponse(retried=retried, message=f"{retried} events will be handled again.")


@router.get("/events/{event_id}", responses=describe_problems(404, 422))
def read_one_event(event_id: EventId) -> EventDetail:
    """Return one event with its raw body and its history."""
    with transaction() as connection:
        event = read_event_row(connection, event_id)
        history = read_history(connection, event_id)
    return EventDetail(
        **_event(event).model_dump(),
        body=event.payload.decode("utf-8", "replace"),
        history=[AttemptResponse(**vars(attempt)) for attempt in history],
    )


@router.post("/events/{event_id}/retry", name="retry_event", status_code=202, responses=describe_problems(404, 422))
def retry(event_id: EventId, who: AdminOperator) -> RetryResponse:
    """Retry a failed event. Events in other states do not change."""
    with transaction() as connection:
        retried = retry_event(connection, event_id, now=now(), actor=who.id)
    if retried:
        wake(INBOX_DRAIN)
    message = "It will be handled again." if retried else "Nothing to do: it has not failed."
    return RetryResponse(id=event_id, retried=retried, message=message)


def _event(event: EventSummary) -> EventResponse:
    return EventResponse(**{name: getattr(event, name) for name in EventResponse.model_fields})


class ProgrammeResponse(Programme):
    """The programme in force, with its version."""

    version: int
    author: str
    created_at: datetime | None


class VersionList(BaseModel):
    versions: list[ProgrammeResponse]
    next_cursor: str | None


# A GET adds these keys to the document. A PUT may send them back; they are ignored.
_READ_ONLY = ("version", "author", "created_at")


@router.get("/programme")
def read_programme(response: Response) -> ProgrammeResponse:
    """Return the programme in force. The ETag is the number of its version."""
    with transaction() as connection:
        version = current_version(connection)
    response.headers["ETag"] = _etag(version)
    return _programme(version)


IfMatch = Annotated[
    str | None,
    Header(description="The version that was read: 412 when another one is in force by now", examples=['"3"']),
]


@router.put("/programme", responses=describe_problems(400, 412, 422, 503))
async def write_programme(
    document: Annotated[
        dict[str, Any], FromBody(description="The programme document; missing keys get their defaults")
    ],
    who: AdminOperator,
    response: Response,
    if_match: IfMatch = None,
) -> ProgrammeResponse:
    """Create a new version of the programme. Orders that were already settled keep their version.

    A currency that the shop does not have is refused. While Medusa is unavailable, any three letters are accepted.
    """
    version = await FOR_OPERATORS.run(_write_programme, document, who, _version_of(if_match))
    response.headers["ETag"] = _etag(version)
    return _programme(version)


def _etag(version: Version) -> str:
    return f'"{version.number}"'


def _version_of(if_match: str | None) -> int | None:
    """The version that If-Match names; None for any."""
    if if_match is None or if_match.strip() == "*":
        return None
    number = if_match.strip().removeprefix("W/").strip('"')
    if not re.fullmatch(r"[0-9]{1,9}", number):
        raise field_error("If-Match", 'must be the number of a version, such as "3"')
    return int(number)


def _write_programme(document: dict[str, Any], who: Operator, replaces: int | None) -> Version:
    try:
        programme = Programme.model_validate({k: v for k, v in document.items() if k not in _READ_ONLY})
    except ValidationError as error:
        raise FieldErrors(field_problems(error)) from error
    currencies = ask_currencies(get_medusa)
    if currencies:
        require_currencies(programme, currencies)
    require_one_price(programme.redeem, get_medusa)
    with transaction() as connection:
        if currencies:
            save_currencies(connection, currencies, now=now())
        return add_version(connection, programme, author=who.id, now=now(), replaces=replaces)


@router.get("/programme/versions", responses=describe_problems(422))
def read_versions(limit: Limit = 20, cursor: Cursor = None) -> VersionList:
    """List all versions of the programme, newest first."""
    with transaction() as connection:
        found = list_versions(connection, limit=limit + 1, before=decode_number_cursor(Listing.VERSIONS, cursor))
    following = encode_cursor(Listing.VERSIONS, found[limit - 1].number if len(found) > limit else None)
    return VersionList(versions=[_programme(each) for each in found[:limit]], next_cursor=following)


def _programme(version: Version) -> ProgrammeResponse:
    return ProgrammeResponse(
        **dict(version.programme), version=version.number, author=version.author, created_at=version.created_at
    )


class ReconcileRequest(Body):
    since: AwareDatetime | None = Field(None, description="Start of the comparison; default: the last poll")
    dry_run: bool = False


class ReconcileResponse(BaseModel):
    since: datetime
    dry_run: bool
    orders_seen: int
    drifted: list[str] = Field(description="Orders whose changes Dust had not received")
    customers: list[str] = Field(description="New customers whose event Dust had not received")
    unreadable: list[str]


@router.post("/reconcile", responses=describe_problems(400, 409, 422, 503))
async def reconcile_now(wish: ReconcileRequest | None = None) -> ReconcileResponse:
    """Compare with Medusa now. Changes found go through the inbox like any event."""
    return await FOR_OPERATORS.run(_reconcile_now, wish or ReconcileRequest())


def _reconcile_now(wish: ReconcileRequest) -> ReconcileResponse:
    found = reconcile(get_medusa(), since=wish.since, dry_run=wish.dry_run)
    if not wish.dry_run:
        wake(INBOX_DRAIN)
    return ReconcileResponse(
        since=found.since,
        dry_run=wish.dry_run,
        orders_seen=found.orders_seen,
        drifted=[str(each) for each in found.drifted],
        customers=[str(each) for each in found.customers],
        unreadable=found.unreadable,
    )
