"""Reports as rows of plain values, for tables, CSV files and JSON."""

import csv
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from bridge.csv_cells import safe_cell
from bridge.ledger.postings import Kind
from bridge.medusa.currencies import format_amount, rounded_amount
from bridge.reports.breakage import Cohort
from bridge.reports.closes import Close
from bridge.reports.expiring import ExpiringMonth
from bridge.reports.liability import Liability
from bridge.reports.marketing import Figures, Marketing
from bridge.reports.movements import Movements
from bridge.settlement.kept_forecasts import KeptForecasts

Sheet = list[dict[str, Any]]
# Kinds that never change a balance have no column.
_KINDS = [kind.value for kind in Kind if kind not in {Kind.HOLD, Kind.RELEASE}]


def liability_sheet(found: Liability) -> Sheet:
    """One row."""
    return [
        {
            "at": found.at.isoformat(),
            "outstanding": found.outstanding,
            "owed_by_customers": found.owed_by_customers,
            "held": found.held,
            "pending": found.pending,
            "escrow": found.escrow,
            "customers": found.customers,
            "programme_version": found.programme_version,
            **{f"value_{code}": format_amount(amount, code) for code, amount in found.value.items()},
            **{kind: found.movements.get(kind, 0) for kind in _KINDS},
        }
    ]


def movements_sheet(found: Iterable[Movements]) -> Sheet:
    """A row for each period, a column for each kind."""
    return [
        {
            "start": each.start.isoformat(),
            "opening": each.opening,
            **{kind: each.moved.get(kind, 0) for kind in _KINDS},
            "closing": each.closing,
        }
        for each in found
    ]


def expiring_sheet(found: Iterable[ExpiringMonth]) -> Sheet:
    return [{**vars(each), "month": f"{each.month:%Y-%m}" if each.month else "never"} for each in found]


def breakage_sheet(found: Iterable[Cohort]) -> Sheet:
    return [
        {**vars(each), "month": f"{each.month:%Y-%m}", "other": each.other, "breakage": str(each.breakage)}
        for each in found
    ]


def closes_sheet(found: Iterable[Close]) -> Sheet:
    sheet: Sheet = []
    for close in found:
        row = liability_sheet(close.liability)[0]
        del row["at"]
        sheet.append({"day": close.day.isoformat(), **row, "digest": close.digest})
    return sheet


def marketing_sheet(found: Marketing) -> Sheet:
    """A row for each month, then one for the whole period; rates and sums of money are of that row."""
    rows = [_figures_row(f"{month:%Y-%m}", figures) for month, figures in found.months.items()]
    return [*rows, _figures_row("total", found.total)]


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
        amounts = {
            "revenue": money.revenue,
            "basket_redeemers": money.redeemers.average,
            "basket_others": money.others.average,
            "referral_revenue": money.referral_revenue,
            "cost": money.cost,
        }
        code = money.currency_code
        row |= {
            f"{name}_{code}": None if amount is None else rounded_amount(amount, code)
            for name, amount in amounts.items()
        }
        row[f"cost_share_{code}"] = money.cost_share
    return {name: "" if value is None else value for name, value in row.items()}


def forecasts_sheet(found: KeptForecasts) -> Sheet:
    return [{"outcome": outcome.value, "orders": orders} for outcome, orders in found.outcomes.items()]


def write_csv(sheet: Sheet, file: TextIO, *, empty: Sequence[str] = ()) -> None:
    """Write a line of names, then one line per row. Currencies can differ between rows: each gets a column."""
    names = list(dict.fromkeys(name for row in sheet for name in row)) or list(empty)
    writer = csv.DictWriter(file, names, restval="")
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in sheet)
