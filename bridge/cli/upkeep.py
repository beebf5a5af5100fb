"""Commands that check and mend: the audit, and the comparison with Medusa."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from bridge.audit import CHECK_NAMES, audit_medusa
from bridge.audit import audit as audit_books
from bridge.cli.output import AsJson, console, print_json, print_rows
from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.reconcile import reconcile as reconcile_now
from bridge.medusa.client import get_medusa
from bridge.reports import liability as read_liability
from bridge.wake import INBOX_DRAIN, publish


def add_commands(app: typer.Typer) -> None:
    app.command()(audit)
    app.command()(reconcile)
    report = typer.Typer(help="Reports from the books.", no_args_is_help=True)
    report.callback()(reports)
    report.command()(liability)
    app.add_typer(report, name="report")


def reports() -> None:
    """Reports from the books."""


def audit(
    medusa: Annotated[bool, typer.Option("--medusa", help="Also look for live promotions that nothing backs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check every invariant of the books; exit code 1 on any breach. Example: dust audit --medusa"""
    with console.status("Reading the books …"):
        breaches = audit_books()
        if medusa:
            breaches += audit_medusa(get_medusa())
    if as_json:
        print_json([vars(breach) for breach in breaches])
    elif breaches:
        print_rows([vars(breach) for breach in breaches], ("check", "subject", "detail"), as_json=False, empty="")
    else:
        for name in CHECK_NAMES:
            console.print(f"✓ {name.replace('_', ' ')}")
    raise typer.Exit(1 if breaches else 0)


def liability(
    at: Annotated[datetime | None, typer.Option(help="A past moment (UTC); else now.")] = None,
    as_json: AsJson = False,
) -> None:
    """What the programme owes, or owed. Example: dust report liability --at 2026-11-01"""
    moment = at.replace(tzinfo=UTC) if at and at.tzinfo is None else at or now()
    with transaction() as connection:
        found = read_liability(connection, moment)
    if as_json:
        print_json({**vars(found), "adds_up": found.adds_up})
        return
    console.print(
        f"At {found.at:%Y-%m-%d %H:%M} UTC, {found.customers} customers, rules version {found.programme_version}:"
    )
    console.print(f"  outstanding {found.outstanding}, of which held {found.held}; pending {found.pending}")
    if found.escrow:
        console.print(f"  guests      {found.escrow} wait to be claimed")
    if found.owed_by_customers:
        console.print(f"  below zero  {found.owed_by_customers}")
    for code, value in found.value.items():
        console.print(f"  worth       {value} {code}")
    rows = [{"kind": kind, "dust": dust} for kind, dust in sorted(found.movements.items())]
    print_rows(rows, ("kind", "dust"), as_json=False, empty="Nothing has moved yet.")
    console.print("✓ the movements add up" if found.adds_up else "✗ the movements do not add up: run dust audit")


def reconcile(
    since: Annotated[
        datetime | None, typer.Option(help="How far to look back (UTC); else since the last poll.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken in.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare with Medusa and take in what no webhook told. Example: dust reconcile --since 2026-11-01"""
    moment = since.replace(tzinfo=UTC) if since and since.tzinfo is None else since
    with console.status("Asking Medusa …"):
        found = reconcile_now(get_medusa(), since=moment, dry_run=dry_run)
    if not dry_run:
        publish(INBOX_DRAIN)
    if as_json:
        print_json(vars(found))
        return
    verb = "would be" if dry_run else "were"
    console.print(
        f"{found.orders_seen} orders seen since {found.since:%Y-%m-%d %H:%M}; {len(found.drifted)} orders and "
        f"{len(found.customers)} customers {verb} taken in."
    )
    for order_id in found.drifted:
        console.print(f"  {order_id}")
    for unreadable in found.unreadable:
        console.print(f"  ✗ {unreadable} cannot be read")
