"""Reports as rows of plain values, for tables, CSV files and JSON."""

import csv
from collections.abc import Iterable
from typing import Any, TextIO

from bridge.csv_cells import safe_cell
from bridge.ledger.postings import Kind
from bridge.medusa.currencies import format_amount, rounded_amount
from bridge.reports.breakage import Cohort
from bridge.reports.closes import Close
from bridge.reports.expiring import ExpiringMonth
from bridge.reports.liability import Liability
from bridge.reports.marketing import Figures, Marketing, Money
from bridge.reports.movements import Movements
from bridge.settlement.kept_forecasts import ForecastOutcomes

Sheet = list[dict[str, Any]]
# Kinds that never change a balance have no column.
_KINDS = [kind.value for kind in Kind if kind not in {Kind.HOLD, Kind.RELEASE}]


def liability_document(report: Liability) -> dict[str, Any]:
    value = {code: format_amount(amount, code) for code, amount in report.value.items()}
    return {**vars(report), "value": value, "adds_up": report.adds_up}


def liability_sheet(report: Liability) -> Sheet:
    """One row."""
    figures = {name: figure for name, figure in vars(report).items() if name not in {"value", "movements"}}
    values = {f"value_{code}": format_amount(amount, code) for code, amount in report.value.items()}
    movements = {kind: report.movements.get(kind, 0) for kind in _KINDS}
    return [{**figures, "at": report.at.isoformat(), **values, **movements}]


def movements_sheet(periods: Iterable[Movements]) -> Sheet:
    """A row for each period, a column for each kind."""
    return [
        {
            "start": period.start.isoformat(),
            "opening": period.opening,
            **{kind: period.moved.get(kind, 0) for kind in _KINDS},
            "closing": period.closing,
        }
        for period in periods
    ]


def expiring_sheet(months: Iterable[ExpiringMonth]) -> Sheet:
    return [{**vars(month), "month": f"{month.month:%Y-%m}" if month.month else "never"} for month in months]


def breakage_sheet(cohorts: Iterable[Cohort]) -> Sheet:
    return [
        {**vars(cohort), "month": f"{cohort.month:%Y-%m}", "other": cohort.other, "breakage": str(cohort.breakage)}
        for cohort in cohorts
    ]


def closes_sheet(closes: Iterable[Close]) -> Sheet:
    sheet: Sheet = []
    for close in closes:
        row = liability_sheet(close.liability)[0]
        del row["at"]
        sheet.append({"day": close.day.isoformat(), **row, "digest": close.digest})
    return sheet


def marketing_sheet(report: Marketing) -> Sheet:
    """A row for each month, then one for the whole period; rates and sums of money are of that row."""
    rows = [_figures_row(f"{month:%Y-%m}", figures) for month, figures in report.months.items()]
    return [*rows, _figures_row("total", report.total)]


def _figures_row(month: str, figures: Figures) -> dict[str, Any]:
    row: dict[str, Any] = {
        "month": month,
        "active_members": figures.active_members,
        "redeeming_members": figures.redeeming_members,
        "redeeming_share": figures.redeeming_share,
        "orders": figures.orders,
        "points_issued": figures.points_issued,
        "points_spent": figures.points_spent,
        "redemption_rate": figures.redemption_rate,
        "repeat_rate_redeemers": figures.redeemers.repeat_rate,
        "repeat_rate_others": figures.others.repeat_rate,
        "referred_customers": figures.referred_customers,
        "referral_orders": figures.referral_orders,
    }
    for money in figures.money:
        row |= {f"{name}_{money.currency_code}": value for name, value in money_document(money).items()}
    return {name: "" if value is None else value for name, value in row.items()}


def money_document(money: Money) -> dict[str, Any]:
    """Sums in the currency's decimals, and the share of the cost; None where there is nothing to divide by."""
    amounts = {
        "revenue": money.revenue,
        "basket_redeemers": money.redeemers.average,
        "basket_others": money.others.average,
        "referral_revenue": money.referral_revenue,
        "cost": money.cost,
    }
    code = money.currency_code
    rounded = {name: None if amount is None else rounded_amount(amount, code) for name, amount in amounts.items()}
    return {**rounded, "cost_share": money.cost_share}


def forecasts_sheet(forecasts: ForecastOutcomes) -> Sheet:
    return [{"outcome": outcome.value, "orders": orders} for outcome, orders in forecasts.outcomes.items()]


def write_csv(sheet: Sheet, file: TextIO) -> None:
    """Write a line of names, then one line per row. Currencies can differ between rows: each gets a column."""
    names = list(dict.fromkeys(name for row in sheet for name in row))
    writer = csv.DictWriter(file, names, restval="")
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in sheet)
