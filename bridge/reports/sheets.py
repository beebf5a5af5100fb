"""Reports as rows of plain values, for tables, CSV files and JSON."""

import csv
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from bridge.csv_cells import safe_cell
from bridge.ledger.postings import Kind
from bridge.medusa.currencies import format_amount
from bridge.reports.breakage import Cohort
from bridge.reports.closes import Close
from bridge.reports.expiring import ExpiringMonth
from bridge.reports.liability import Liability
from bridge.reports.movements import Movements

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


def write_csv(sheet: Sheet, file: TextIO, *, empty: Sequence[str] = ()) -> None:
    """Write a line of names, then one line per row. Currencies can differ between rows: each gets a column."""
    names = list(dict.fromkeys(name for row in sheet for name in row)) or list(empty)
    writer = csv.DictWriter(file, names, restval="")
    writer.writeheader()
    writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in sheet)
