"""Commands for the rules: show, check, simulate on past orders, and set them."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.output import (
    ACTOR,
    AlwaysJson,
    AsJson,
    Limit,
    as_utc,
    console,
    counted,
    counting,
    print_json,
    print_result,
    print_rows,
    read_time,
    say,
    to_utc,
)
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import InvalidInput
from bridge.medusa.client import get_medusa
from bridge.programme.versions import Version, add_version, current_version, list_versions, version_numbered
from bridge.redemptions.programme_document import parse_document, read_document
from bridge.simulation.compare import Comparison, Slice, as_document, begins_at_nothing, compare

_BAR_WIDTH = 40

group = typer.Typer(help="The rules for earning and redeeming points.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A programme document, JSON.", exists=True, dir_okay=False)]


@group.command()
def show(
    version: Annotated[int | None, typer.Option(min=0, help="An earlier version. Default: the current one.")] = None,
    as_json: AlwaysJson = False,
) -> None:
    """Print the rules as JSON, in the format of `set`. Example: dust programme show > rules.json"""
    with transaction() as connection:
        chosen = version_numbered(connection, version)
    print_json(_as_json(chosen))


def _as_json(version: Version) -> dict[str, Any]:
    heading = {"version": version.number, "author": version.author, "created_at": version.created_at}
    return {**heading, **version.programme.document()}


@group.command()
def versions(limit: Limit = 20, as_json: AsJson = False) -> None:
    """List the versions of the rules, newest first. Example: dust programme versions"""
    with transaction() as connection:
        rows = [_as_json(version) for version in list_versions(connection, limit=limit)]
    columns = ("version", "author", "created_at")
    print_rows(rows, columns, as_json=as_json, empty="The rules were never changed.")


@group.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Check a document, and show what it would change. Example: dust programme check rules.json"""
    wanted = read_document(_load(file))
    with transaction() as connection:
        present = current_version(connection)
    changes = _changes(present.programme.document(), wanted.document())
    if as_json:
        print_json({"valid": True, "version": present.number, "changes": changes})
        return
    console.print("✓ it is valid")
    print_rows(changes, ("rule", "now", "then"), empty="It changes nothing.")


@group.command(name="set")
def set_rules(file: File, as_json: AsJson = False) -> None:
    """Make a document the current rules. Settled orders keep theirs. Example: dust programme set rules.json"""
    wanted = read_document(_load(file))
    with transaction() as connection:
        added = add_version(connection, wanted, author=ACTOR, now=now())
    print_result(_as_json(added), f"Version {added.number} is in force.", as_json=as_json)


def _load(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"{file} is not a programme: it must be a JSON object.")
    return document


def _changes(present: Any, wanted: Any, path: str = "") -> list[dict[str, str]]:
    """All rules that differ, with their paths in the document."""
    if isinstance(present, dict) and isinstance(wanted, dict):
        names = sorted(present.keys() | wanted.keys())
        return [
            change
            for name in names
            for change in _changes(present.get(name), wanted.get(name), f"{path}.{name}".removeprefix("."))
        ]
    if present == wanted:
        return []
    return [{"rule": path, "now": json.dumps(present), "then": json.dumps(wanted)}]


@group.command()
def simulate(
    file: File,
    since: Annotated[datetime, typer.Option(help="Orders placed then or later (UTC).", parser=read_time)],
    until: Annotated[
        datetime | None, typer.Option(help="Orders placed before then (UTC). Default: all.", parser=read_time)
    ] = None,
    top: Annotated[int, typer.Option(min=0, max=1000, help="How many of the most affected orders to list.")] = 10,
    plot: Annotated[Path | None, typer.Option(help="Also write a chart as SVG.", dir_okay=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Show what orders would have earned by other rules. Example: dust programme simulate rules.json --since 2026-01-01

    Orders are read from Medusa as they are now, and settled by the current rules and by the changed ones in temporary
    tables; nothing is written. Every order counts as new. Orders before --since do not count for limits and tiers.
    """
    wanted = parse_document(_load(file))
    with transaction() as connection:
        present = current_version(connection)
    moment = now()
    start, end = to_utc(since), as_utc(until) or moment
    with counting("Replaying", "orders", quiet=as_json) as step:
        comparison = compare(
            get_medusa().orders_placed_since(start),
            present.programme,
            wanted,
            since=start,
            until=end,
            now=moment,
            top=top,
            progress=step,
        )
    if plot:
        # Imported here because it takes a third of a second.
        from bridge.reports.plot import plot_simulation

        plot_simulation(comparison.by_month, plot)
    if as_json:
        print_json(as_document(comparison, present, wanted))
        return
    _print_comparison(comparison, present.number)
    if begins_at_nothing(present.programme, wanted):
        console.print(
            f"Orders before {start:%Y-%m-%d} do not count for limits and tiers. Use a --since as"
            " early as their windows to include them."
        )
    if plot:
        console.print(f"The chart is in {plot}")


def _print_comparison(comparison: Comparison, version: int) -> None:
    total = comparison.total
    console.print(
        f"{total.orders} orders placed from {comparison.since:%Y-%m-%d} to {comparison.until:%Y-%m-%d}:"
        f" {counted(total.now, 'point')} by the current rules (version {version}), {total.then} by the changed ones:"
        f" {total.difference:+d}."
    )
    console.print(
        f"{comparison.changed} orders of {comparison.customers} customers would earn a different number."
        " Nothing was written."
    )
    for unreadable in comparison.unreadable:
        console.print(f"✗ {unreadable} cannot be read")
    if not total.orders:
        return
    for name, slices in (
        ("month", comparison.by_month),
        ("currency", comparison.by_currency),
        ("rule", comparison.by_rule),
    ):
        rows = [{**vars(part), name: part.name, "difference": f"{part.difference:+d}"} for part in slices]
        print_rows(rows, (name, "orders", "now", "then", "difference"))
    _draw(comparison.by_month)
    if comparison.most_affected:
        console.print("Most affected:")
        rows = [{**vars(customer), "difference": f"{customer.difference:+d}"} for customer in comparison.most_affected]
        print_rows(rows, ("order_id", "customer_id", "now", "then", "difference"))


def _draw(months: list[Slice]) -> None:
    highest = max((max(month.now, month.then) for month in months), default=0)
    for month in months if highest else ():
        for word, dust in (("now ", month.now), ("then", month.then)):
            bar = "█" * round(dust / highest * _BAR_WIDTH)
            label = month.name if word == "now " else " " * len(month.name)
            say(f"{label} {word} {bar} {dust}")
