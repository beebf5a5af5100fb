"""`dust backfill`: points for orders that were placed before Dust was installed."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from bridge.cli.output import ACTOR, AsJson, as_utc, console, counted, counting, print_json, print_rows, read_time, say
from bridge.clock import now
from bridge.errors import InvalidInput
from bridge.inbox.backfill import BackfillOptions, Preview, finish_run, open_run, preview, run_backfill, start_run
from bridge.medusa.client import get_medusa
from bridge.queue.enqueue import INBOX_DRAIN, INBOX_HANDLE, publish

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def backfill(
    since: Annotated[
        datetime | None, typer.Option(help="Orders placed then or later (UTC). Default: all.", parser=read_time)
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="Orders placed before then (UTC). Default: now.", parser=read_time)
    ] = None,
    programme: Annotated[
        int | None, typer.Option(min=0, help="Version of the rules. Default: the current one.")
    ] = None,
    with_signup: Annotated[
        bool, typer.Option("--with-signup", help="Also sign-up bonuses, for accounts of that time.")
    ] = False,
    send_webhooks: Annotated[
        bool, typer.Option("--send-webhooks", help="Also send outgoing webhooks for the points earned.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would give.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the preview and the question.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Discard an unfinished backfill.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give points for past orders, once for each. Example: dust backfill --since 2026-01-01 --dry-run

    Maturity and expiry count from the order. No outgoing webhooks are sent, so that no customer gets a mail about an
    old order, unless you use --send-webhooks. If it is interrupted, the same command continues it.
    """
    options = BackfillOptions(
        since=as_utc(since) or _BEGINNING, until=as_utc(until), programme_version=programme, with_signup=with_signup
    )
    if as_json and not (yes or dry_run):
        raise InvalidInput("--json cannot ask: add --yes or --dry-run.")
    unfinished = None if dry_run else open_run(options, restart=restart)
    if dry_run or (unfinished is None and not yes):
        with counting("Reading from Medusa", "orders", quiet=as_json) as step:
            result = preview(get_medusa(), options, now=now(), progress=step)
        _print_preview(result, as_json=as_json)
        if dry_run or not (result.orders or result.customers_for_signup):
            return
        typer.confirm("Give it?", abort=True)
    _run(options, send_webhooks=send_webhooks, as_json=as_json)


def _print_preview(preview: Preview, *, as_json: bool) -> None:
    if as_json:
        print_json({**vars(preview), "by_currency": [vars(currency) for currency in preview.by_currency]})
        return
    console.print(
        f"{preview.seen} orders seen, {preview.known} of them settled already; {preview.orders} would be settled:"
        f" {counted(preview.dust, 'point')} for {counted(preview.customers, 'customer')}."
    )
    rows = [vars(currency) for currency in preview.by_currency]
    print_rows(rows, ("currency_code", "orders", "earning", "dust"))
    for note, number in preview.notes.items():
        say(f"  {number} earn nothing: {note}")
    if preview.expired:
        console.print(
            f"  {preview.expired} of these points would be expired already, because expiry counts from the order"
        )
    if preview.customers_for_signup:
        console.print(
            f"  {counted(preview.customers_for_signup, 'customer')} would get {counted(preview.signup, 'point')} as a"
            " sign-up bonus"
        )
    for unreadable in preview.unreadable:
        console.print(f"  ✗ {unreadable} cannot be read")


def _run(options: BackfillOptions, *, send_webhooks: bool, as_json: bool) -> None:
    run = start_run(options, actor=ACTOR, now=now())
    if run.orders and not as_json:
        console.print(f"Continuing at {run.seen_until:%Y-%m-%d %H:%M} UTC, after {run.orders} orders.")
    seen = run.orders
    unreadable: list[str] = []
    with counting("Settling", "orders", quiet=as_json, done=seen) as step:
        for progress in run_backfill(get_medusa(), run.id, send_webhooks=send_webhooks):
            unreadable += progress.unreadable
            step(progress.orders - seen)
            seen = progress.orders
            for event_id in progress.split_off:
                publish(INBOX_HANDLE, event_id)
    done = finish_run(run.id, now=now())
    publish(INBOX_DRAIN)
    if as_json:
        print_json({**vars(done), "unreadable": unreadable})
        return
    console.print(
        f"{done.orders} orders seen, {done.kept} of them settled now; {done.customers} sign-ups stored."
        f" {done.waiting} events wait for a worker."
    )
    for order_id in unreadable:
        console.print(f"  ✗ {order_id} cannot be read")
