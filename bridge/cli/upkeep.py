"""Commands that check: the audit, and the comparison with Medusa."""

from datetime import datetime
from typing import Annotated

import typer

from bridge.cli.output import AsJson, as_utc, console, print_json, print_rows, read_time
from bridge.inbox.reconcile import reconcile as reconcile_now
from bridge.medusa.client import get_medusa
from bridge.operations.audit import CHECK_NAMES, MEDUSA_CHECK_NAMES, audit_medusa, audit_orders
from bridge.operations.audit import audit as audit_ledger
from bridge.queue.enqueue import INBOX_DRAIN, publish


def audit(
    medusa: Annotated[bool, typer.Option("--medusa", help="Also compare orders, codes and carts with Medusa.")] = False,
    sample: Annotated[int, typer.Option(min=1, max=100_000, help="Number of orders to compare with --medusa.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Check every invariant of the ledger. Exit code 1 on any breach. Example: dust audit --medusa --sample 1000

    With --medusa it also compares a random sample of settled orders with Medusa and says how each differs. It also
    looks for codes that can still be used although no points are held for them, and for dead codes in open carts.
    It changes nothing.
    """
    names = list(CHECK_NAMES)
    with console.status("Reading the ledger …"):
        breaches = audit_ledger()
        if medusa:
            breaches += audit_medusa(get_medusa()) + audit_orders(get_medusa(), sample)
            names += MEDUSA_CHECK_NAMES
    if breaches or as_json:
        print_rows([vars(breach) for breach in breaches], ("check", "subject", "detail"), as_json=as_json)
    else:
        for name in names:
            console.print(f"✓ {name.replace('_', ' ')}")
    raise typer.Exit(1 if breaches else 0)


def reconcile(
    since: Annotated[
        datetime | None, typer.Option(help="How far to look back (UTC). Default: the last poll.", parser=read_time)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be stored.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find orders and customers in Medusa whose webhooks were lost. Example: dust reconcile --since 2026-11-01"""
    with console.status("Reading from Medusa …"):
        result = reconcile_now(get_medusa(), since=as_utc(since), dry_run=dry_run)
    if not dry_run:
        publish(INBOX_DRAIN)
    if as_json:
        print_json(vars(result))
        return
    verb = "would be" if dry_run else "were"
    console.print(
        f"{result.orders_seen} orders seen since {result.since:%Y-%m-%d %H:%M}; {len(result.drifted)} orders and "
        f"{len(result.customers)} customers {verb} stored."
    )
    for order_id in result.drifted:
        console.print(f"  {order_id}")
    for order_id in result.missing:
        console.print(f"  ✗ Medusa does not have {order_id}; it counts as deleted if that is still so in some minutes")
    for unreadable in result.unreadable:
        console.print(f"  ✗ {unreadable} cannot be read")
