"""`dust report …`: reports for a merchant's accounting, as a table, CSV, JSON or a chart."""

import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.output import AsJson, as_utc, console, print_json, print_rows, read_time, whole_file
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import InvalidInput
from bridge.medusa.currencies import format_money
from bridge.reports import sheets
from bridge.reports.breakage import breakage as read_breakage
from bridge.reports.closes import close_days, differences, list_closes
from bridge.reports.expiring import expiring_by_month
from bridge.reports.liability import liability as read_liability
from bridge.reports.marketing import marketing as read_marketing
from bridge.reports.movements import MAX_PERIODS, Period, count_periods
from bridge.reports.movements import movements as read_movements
from bridge.reports.reading import reading
from bridge.settlement.kept_forecasts import FORECAST_RETENTION, read_forecast_outcomes

group = typer.Typer(help="Reports from the ledger.", no_args_is_help=True)

AsCsv = Annotated[
    Path | None, typer.Option("--csv", help="Write a CSV file instead. - is standard output.", allow_dash=True)
]
AsPlot = Annotated[Path | None, typer.Option("--plot", help="Write a chart as SVG instead.")]


@group.command()
def liability(
    at: Annotated[datetime | None, typer.Option(help="A past time (UTC). Default: now.", parser=read_time)] = None,
    csv: AsCsv = None,
    as_json: AsJson = False,
) -> None:
    """What the programme owes, now or at a past time. Example: dust report liability --at 2026-11-01"""
    with reading() as connection:
        liability = read_liability(connection, as_utc(at) or now())
    if as_json:
        print_json(sheets.liability_document(liability))
        return
    if csv:
        _write_csv(sheets.liability_sheet(liability), csv)
        return
    console.print(
        f"At {liability.at:%Y-%m-%d %H:%M} UTC, {liability.customers} customers,"
        f" rules version {liability.programme_version}:"
    )
    console.print(f"  outstanding {liability.outstanding}, of which held {liability.held}; pending {liability.pending}")
    if liability.escrow:
        console.print(f"  guests      {liability.escrow} wait to be claimed")
    if liability.owed_by_customers:
        console.print(f"  below zero  {liability.owed_by_customers}")
    for code, value in liability.value.items():
        console.print(f"  worth       {format_money(value, code)}")
    rows = [{"kind": kind, "dust": dust} for kind, dust in sorted(liability.movements.items())]
    print_rows(rows, ("kind", "dust"), empty="No transactions yet.")
    console.print("✓ the movements add up" if liability.adds_up else "✗ the movements do not add up: run dust audit")


@group.command()
def movements(
    since: Annotated[
        datetime | None, typer.Option(help="The first day (UTC). Default: 30 days ago.", parser=read_time)
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="The day after the last. Default: tomorrow.", parser=read_time)
    ] = None,
    by: Annotated[Period, typer.Option(help="One row for each day or month.")] = Period.DAY,
    csv: AsCsv = None,
    plot: AsPlot = None,
    as_json: AsJson = False,
) -> None:
    """Points in and out. Example: dust report movements --since 2026-01-01 --by month --csv 2026.csv"""
    first, last = as_utc(since), as_utc(until)
    end = last.date() if last else now().date() + timedelta(days=1)
    start = first.date() if first else end - timedelta(days=30)
    if start >= end:
        raise InvalidInput("--until must be after --since.")
    if count_periods(start=start, until=end, period=by) > MAX_PERIODS:
        raise InvalidInput(f"That is more than {MAX_PERIODS} rows: use --by month, or fewer days.")
    with reading() as connection:
        periods = read_movements(connection, start=start, until=end, period=by)
    if plot:
        # Imported here because it takes a third of a second.
        from bridge.reports.plot import plot_movements

        plot_movements(periods, plot)
        console.print(f"{len(periods)} periods are in {plot}")
        return
    _print(sheets.movements_sheet(periods), csv=csv, as_json=as_json, empty="No such day.")


@group.command()
def expiring(csv: AsCsv = None, plot: AsPlot = None, as_json: AsJson = False) -> None:
    """Points that expire, by month, unless they are spent. Example: dust report expiring"""
    with reading() as connection:
        months = expiring_by_month(connection)
    if plot:
        from bridge.reports.plot import plot_expiring

        plot_expiring(months, plot)
        console.print(f"{len(months)} months are in {plot}")
        return
    _print(sheets.expiring_sheet(months), csv=csv, as_json=as_json, empty="There are no points.")


@group.command()
def breakage(csv: AsCsv = None, as_json: AsJson = False) -> None:
    """What happened to the points earned in each month. Example: dust report breakage --csv breakage.csv"""
    with reading() as connection:
        cohorts = read_breakage(connection)
    _print(sheets.breakage_sheet(cohorts), csv=csv, as_json=as_json, empty="No points were earned yet.")


@group.command()
def closes(
    verify: Annotated[bool, typer.Option("--verify", help="Compute every close again and compare it.")] = False,
    csv: AsCsv = None,
    as_json: AsJson = False,
) -> None:
    """The closing balances of each day. Example: dust report closes --verify"""
    with transaction() as connection:
        close_days(connection, now=now())
    with reading() as connection:
        closes = list_closes(connection)
        wrong: dict[date, list[str]] = {}
        if verify:
            with console.status("Recomputing each day …"):
                wrong = {close.day: lines for close in closes if (lines := list(differences(connection, close)))}
    _print(sheets.closes_sheet(closes), csv=csv, as_json=as_json, empty="There is no close yet.")
    for day, lines in wrong.items():
        for line in lines:
            print(f"✗ {day}: {line}", file=sys.stderr)
    if wrong:
        raise typer.Exit(1)


@group.command()
def forecasts(
    since: Annotated[
        datetime | None, typer.Option(help="The first day (UTC); else 90 days ago.", parser=read_time)
    ] = None,
    csv: AsCsv = None,
    as_json: AsJson = False,
) -> None:
    """How many orders earned what the last quote of their cart said. Example: dust report forecasts"""
    with reading() as connection:
        forecasts = read_forecast_outcomes(connection, since=as_utc(since) or now() - FORECAST_RETENTION)
    rows = sheets.forecasts_sheet(forecasts)
    if csv:
        _write_csv(rows, csv)
        return
    print_rows(rows, ("outcome", "orders"), as_json=as_json, empty="No quoted cart has become an order yet.")
    if forecasts.unexplained and not as_json:
        console.print(f"Please report these orders, nothing explains them: {', '.join(forecasts.unexplained)}")


@group.command()
def marketing(
    since: Annotated[
        datetime | None, typer.Option("--from", help="The first day. Default: twelve months.", parser=read_time)
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", help="The last day. Default: today.", parser=read_time)
    ] = None,
    csv: AsCsv = None,
    as_json: AsJson = False,
) -> None:
    """Members, repeat orders, referrals and cost, by month. Example: dust report marketing --from 2026-01-01"""
    with reading() as connection:
        report = read_marketing(
            connection, first=since.date() if since else None, last=until.date() if until else None, now=now()
        )
    sheet = sheets.marketing_sheet(report)
    if csv or as_json:
        _print(sheet, csv=csv, as_json=as_json, empty="")
        return
    names = [name for name in _worth_showing(sheet) if name != "month"]
    # Figures are lines here and months columns: there are more figures than a screen is wide.
    shown = [{"figure": name, **{row["month"]: row.get(name, "") for row in sheet}} for name in names]
    print_rows(shown, ("figure", *(row["month"] for row in sheet)))
    console.print("Members who redeem often buy more anyway: the comparison does not show what the points caused.")


def _print(sheet: sheets.Sheet, *, csv: Path | None, as_json: bool, empty: str) -> None:
    if csv:
        _write_csv(sheet, csv)
        return
    columns = _worth_showing(sheet)
    rows: list[dict[str, Any]] = sheet if as_json else [{name: row[name] for name in columns} for row in sheet]
    print_rows(rows, columns, as_json=as_json, empty=empty)


def _worth_showing(sheet: sheets.Sheet) -> list[str]:
    """Columns for a screen: without kinds that are 0 in every row, and without the digest."""
    names = dict.fromkeys(name for row in sheet for name in row if name != "digest")
    return [name for name in names if name in {"opening", "closing"} or any(row.get(name) for row in sheet)]


def _write_csv(sheet: sheets.Sheet, file: Path) -> None:
    if str(file) == "-":
        sheets.write_csv(sheet, sys.stdout)
        return
    with whole_file(file) as opened:
        sheets.write_csv(sheet, opened)
    console.print(f"{len(sheet)} rows are in {file}")
