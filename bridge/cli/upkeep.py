"""Commands that check and mend: the audit, and the comparison with Medusa."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from bridge.audit import CHECK_NAMES, audit_medusa
from bridge.audit import audit as audit_books
from bridge.cli.output import AsJson, console, print_json, print_rows
from bridge.inbox.reconcile import reconcile as reconcile_now
from bridge.medusa.client import get_medusa
from bridge.wake import INBOX_DRAIN, publish


def add_commands(app: typer.Typer) -> None:
    app.command()(audit)
    app.command()(reconcile)


def audit(
    medusa: Annotated[
        bool,
        typer.Option(
            "--medusa", help="Also look for live promotions that nothing backs, and for dead codes in open carts."
        ),
    ] = False,
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
