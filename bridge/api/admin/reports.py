"""Admin API: reports for merchants and accountants, as JSON or CSV."""

import io
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field

from bridge.api.admin.routing import admin_router
from bridge.clock import now
from bridge.errors import field_error
from bridge.http.paging import Cursor, Limit, Listing, decode_cursor, invalid_cursor, split_page
from bridge.http.problems import describe_problems
from bridge.http.schemas import FromAttributes
from bridge.http.thread_limits import FOR_REPORTS
from bridge.medusa.times import IsoTime
from bridge.reports import sheets
from bridge.reports.breakage import breakage
from bridge.reports.closes import Close, list_closes
from bridge.reports.expiring import expiring_by_month
from bridge.reports.liability import liability
from bridge.reports.marketing import Figures, marketing
from bridge.reports.movements import MAX_PERIODS, Period, count_periods, movements
from bridge.reports.reading import reading
from bridge.settlement.kept_forecasts import FORECAST_RETENTION, read_forecast_outcomes

router = admin_router("/reports", tag="reports")

# Python's dates end with the year 9999, and a month must fit after it.
_LAST_DAY = date(2999, 12, 31)

Format = Annotated[Literal["json", "csv"], Query(description="csv: a text/csv file with one header line")]
_AS_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


class _Figures(FromAttributes):
    """Base of models whose shares, which are decimals, are shown as text."""

    model_config = ConfigDict(coerce_numbers_to_str=True)


class LiabilityResponse(BaseModel):
    """The liability at one moment, in whole points, computed from the ledger."""

    at: datetime
    outstanding: int = Field(description="Sum of all positive balances")
    owed_by_customers: int = Field(description="Sum of all negative balances, as a positive number")
    held: int
    pending: int
    escrow: int = Field(description="Points of guest orders not claimed yet; not part of outstanding")
    customers: int
    movements: dict[str, int] = Field(description="Sums by kind; their total is outstanding minus owed_by_customers")
    adds_up: bool = Field(description="Whether the movements have that total")
    value: dict[str, str] = Field(description="Discount that the outstanding points are worth, by currency")
    programme_version: int


class MovementsResponse(FromAttributes):
    """One day or month that begins on `start`. `opening` plus the sum of `moved` is `closing`."""

    start: date
    opening: int
    moved: dict[str, int] = Field(description="Whole points by kind of transaction")
    closing: int


class MovementsListResponse(BaseModel):
    periods: list[MovementsResponse]


class ExpiringMonthResponse(FromAttributes):
    month: date | None = Field(description="First day of the month; null: points that never expire")
    dust: int
    held: int = Field(description="The part of `dust` that is held for open redemptions")
    pending: int = Field(description="Points that have not matured; not part of `dust`")
    customers: int


class ExpiringListResponse(BaseModel):
    months: list[ExpiringMonthResponse]


class CohortResponse(_Figures):
    """The points issued in one month, and what happened to them."""

    month: date
    issued: int
    spent: int
    taken_back: int
    expired: int
    remaining: int
    other: int = Field(description="Manual corrections, and points that settled a negative balance")
    breakage: str = Field(description="Expired share of the points that were issued and not taken back")


class CohortListResponse(BaseModel):
    months: list[CohortResponse]


class CloseResponse(LiabilityResponse):
    """The daily close: the liability at the end of a day in UTC."""

    day: date
    digest: str = Field(
        description="SHA-256 of the whole ledger at that time. Keep a copy: it proves that the past was not rewritten"
    )
    closed_at: datetime


class CloseListResponse(BaseModel):
    closes: list[CloseResponse]
    next_cursor: str | None


@router.get("/liability", response_model=LiabilityResponse, responses=_AS_CSV | describe_problems(422))
@FOR_REPORTS.applied
def report_liability(
    at: Annotated[IsoTime | None, Query(description="A past moment; default: now")] = None,
    format: Format = "json",
) -> LiabilityResponse | Response:
    """Report the liability at a moment. A later request for the same moment returns the same result."""
    with reading() as connection:
        report = liability(connection, at or now())
    if format == "csv":
        return _csv(sheets.liability_sheet(report), "liability")
    return LiabilityResponse(**sheets.liability_document(report))


@router.get("/movements", response_model=MovementsListResponse, responses=_AS_CSV | describe_problems(422))
@FOR_REPORTS.applied
def report_movements(
    since: Annotated[date | None, Query(description="First day (UTC); default: 30 days before `until`")] = None,
    until: Annotated[date | None, Query(description="Day after the last day (UTC); default: tomorrow")] = None,
    by: Period = Period.DAY,
    format: Format = "json",
) -> MovementsListResponse | Response:
    """Report movements per period, with opening and closing balance."""
    today = now().date()
    until = until or _later(today, 1)
    since = since or _later(until, -30)
    if since >= until:
        raise field_error("until", "must be after since")
    if until > _LAST_DAY:
        raise field_error("until", f"must be {_LAST_DAY} or earlier")
    if count_periods(start=since, until=until, period=by) > MAX_PERIODS:
        raise field_error("since", f"asks for more than {MAX_PERIODS} periods: ask by=month, or for fewer")
    with reading() as connection:
        periods = movements(connection, start=since, until=until, period=by)
    if format == "csv":
        return _csv(sheets.movements_sheet(periods), "movements")
    return MovementsListResponse(periods=periods)


@router.get("/expiring", response_model=ExpiringListResponse, responses=_AS_CSV | describe_problems(422))
@FOR_REPORTS.applied
def report_expiring(format: Format = "json") -> ExpiringListResponse | Response:
    """Report all points by the month in which they expire unless they are spent."""
    with reading() as connection:
        months = expiring_by_month(connection)
    if format == "csv":
        return _csv(sheets.expiring_sheet(months), "expiring")
    return ExpiringListResponse(months=months)


class ForecastsResponse(BaseModel):
    """How many orders earned what the last quote of their cart said, and why others did not."""

    since: datetime
    orders: int
    kept: int
    cart_changed: int = Field(description="The order has other lines, prices or shipping than the quoted cart")
    rules_changed: int = Field(description="Another version of the rules was in force when the order was placed")
    other_orders: int = Field(description="Other orders of the customer changed their tier, or what limits allow")
    unexplained: int = Field(description="None of these: please report it")
    unexplained_orders: list[str]


@router.get("/forecasts", response_model=ForecastsResponse, responses=_AS_CSV | describe_problems(422))
@FOR_REPORTS.applied
def report_forecasts(
    since: Annotated[IsoTime | None, Query(description="At most 90 days ago, which is the default")] = None,
    format: Format = "json",
) -> ForecastsResponse | Response:
    """Report how many quotes were kept: whether orders earned what the last quote of their cart said."""
    with reading() as connection:
        forecasts = read_forecast_outcomes(connection, since=since or now() - FORECAST_RETENTION)
    if format == "csv":
        return _csv(sheets.forecasts_sheet(forecasts), "forecasts")
    return ForecastsResponse(
        since=forecasts.since,
        orders=forecasts.orders,
        unexplained_orders=list(forecasts.unexplained),
        **{outcome.value: orders for outcome, orders in forecasts.outcomes.items()},
    )


_NOT_CAUSAL = (
    "Members who redeem often buy more anyway, so the difference to other members is not what the programme has caused."
)


class BuyersResponse(_Figures):
    buyers: int = Field(description="Members with an order in the period")
    repeaters: int = Field(description="Those with two or more orders in the period")
    repeat_rate: str | None


class MarketingMoneyResponse(_Figures):
    """The figures in one currency, in major units; null when there is nothing to divide by."""

    currency_code: str
    revenue: str
    basket_redeemers: str | None = Field(description="Average order of members who used points in the period")
    basket_others: str | None = Field(description="Average order of all other members")
    referral_orders: int
    referral_revenue: str
    cost: str = Field(description="What redemptions took off orders, with tax")
    cost_share: str | None = Field(description="`cost` as a share of `revenue`")


class MarketingFigures(_Figures):
    """Shares have four decimal places, and are null when there is nothing to divide by."""

    active_members: int = Field(description="Members who ordered or used points")
    redeeming_members: int = Field(description="Those who used points on an order")
    redeeming_share: str | None
    orders: int
    points_issued: int = Field(description="Earned points and bonuses, less what was taken back")
    points_spent: int = Field(description="Less what was given back")
    redemption_rate: str | None = Field(description="Points spent for each point issued")
    redeemers: BuyersResponse
    others: BuyersResponse
    referred_customers: int
    referral_orders: int
    money: list[MarketingMoneyResponse]


class MarketingMonth(MarketingFigures):
    month: date = Field(description="The first day of the month")


class MarketingResponse(BaseModel):
    """Orders count by the day on which they were placed, with what is left of them today."""

    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    time_zone: str
    note: str = _NOT_CAUSAL
    total: MarketingFigures
    months: list[MarketingMonth]


@router.get("/marketing", response_model=MarketingResponse, responses=_AS_CSV | describe_problems(422))
@FOR_REPORTS.applied
def report_marketing(
    first: Annotated[
        date | None, Query(alias="from", description="First day, in the programme's time zone; default: twelve months")
    ] = None,
    last: Annotated[date | None, Query(alias="to", description="Last day; default: today")] = None,
    format: Format = "json",
) -> MarketingResponse | Response:
    """Report active members, redemptions, repeat orders, referrals and the programme's cost, in all and by month.

    Guests' orders count once an account has claimed them; canceled and returned ones do not count.
    """
    with reading() as connection:
        report = marketing(connection, first=first, last=last, now=now())
    if format == "csv":
        return _csv(sheets.marketing_sheet(report), "marketing")
    months = [MarketingMonth(month=month, **_marketing(figures)) for month, figures in report.months.items()]
    return MarketingResponse(**{**vars(report), "total": _marketing(report.total), "months": months})


@router.get("/breakage", response_model=CohortListResponse, responses=_AS_CSV | describe_problems(422))
@FOR_REPORTS.applied
def report_breakage(format: Format = "json") -> CohortListResponse | Response:
    """Report what happened to the points issued in each month."""
    with reading() as connection:
        cohorts = breakage(connection)
    if format == "csv":
        return _csv(sheets.breakage_sheet(cohorts), "breakage")
    return CohortListResponse(months=cohorts)


@router.get("/closes", response_model=CloseListResponse, responses=_AS_CSV | describe_problems(422))
@FOR_REPORTS.applied
def report_closes(limit: Limit = 20, cursor: Cursor = None, format: Format = "json") -> CloseListResponse | Response:
    """List the daily closes, newest first. The CSV has all of them, whatever `limit` and `cursor` are."""
    before = _day(decode_cursor(Listing.CLOSES, cursor))
    with reading() as connection:
        if format == "csv":
            return _csv(sheets.closes_sheet(list_closes(connection)), "closes")
        closes = list_closes(connection, limit=limit + 1, before=before)
    page, following = split_page(Listing.CLOSES, closes, limit, lambda close: close.day.isoformat())
    return CloseListResponse(closes=[_close(close) for close in page], next_cursor=following)


def _close(close: Close) -> CloseResponse:
    figures = sheets.liability_document(close.liability)
    return CloseResponse(day=close.day, digest=close.digest, closed_at=close.closed_at, **figures)


def _marketing(figures: Figures) -> dict[str, Any]:
    return {
        **vars(figures),
        "redeeming_share": figures.redeeming_share,
        "redemption_rate": figures.redemption_rate,
        "money": [{**vars(money), **sheets.money_document(money)} for money in figures.money],
    }


def _csv(sheet: sheets.Sheet, name: str) -> Response:
    file = io.StringIO(newline="")
    sheets.write_csv(sheet, file)
    return Response(
        file.getvalue(),
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="dust-{name}.csv"'},
    )


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise invalid_cursor() from None


def _later(day: date, days: int) -> date:
    """`day` plus `days`; `day` itself if Python's dates cannot represent the result (years 1 to 9999)."""
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return day
