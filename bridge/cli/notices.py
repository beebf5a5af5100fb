"""The command about what the shop is told."""

from typing import Annotated

import typer

from bridge.cli.output import AsJson, console, print_json, print_rows
from bridge.clock import now
from bridge.db import transaction
from bridge.notices.listing import list_deliveries, read_delivery, read_log, retry_delivery, retry_parked
from bridge.notices.outbox import NoticeType
from bridge.notices.tables import NoticeState
from bridge.queue.enqueue import NOTICES_SEND, publish


def add_commands(app: typer.Typer) -> None:
    app.command()(deliveries)


def deliveries(
    delivery_id: Annotated[str | None, typer.Argument(help="One delivery, with every attempt.")] = None,
    state: Annotated[NoticeState | None, typer.Option(help="Only these.")] = None,
    type_: Annotated[NoticeType | None, typer.Option("--type", help="Only of this type.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    retry: Annotated[bool, typer.Option("--retry", help="Send this one again, under its old id.")] = False,
    all_parked: Annotated[bool, typer.Option("--retry-parked", help="Send every parked one again.")] = False,
    as_json: AsJson = False,
) -> None:
    """What the shop was told (DUST_NOTIFY_URL), newest first. Example: dust deliveries --state parked"""
    if retry and not delivery_id:
        raise typer.BadParameter("Name the delivery to send again, or use --retry-parked.")
    if all_parked or retry:
        _retry(delivery_id if retry else None, as_json=as_json)
    elif delivery_id:
        _show(delivery_id, as_json=as_json)
    else:
        with transaction() as connection:
            found = list_deliveries(connection, state=state, type=type_.value if type_ else None, limit=limit)
        columns = ("id", "type", "customer_id", "state", "attempts", "created_at", "reason")
        rows = [{name: getattr(each, name) for name in columns} for each in found]
        print_rows(rows, columns, as_json=as_json, empty="There is none.")


def _retry(delivery_id: str | None, *, as_json: bool) -> None:
    with transaction() as connection:
        if delivery_id is None:
            number = retry_parked(connection, now=now())
        else:
            number = int(retry_delivery(connection, delivery_id, now=now()))
    publish(NOTICES_SEND)
    if as_json:
        print_json({"retried": number})
    else:
        console.print(f"{number} will be sent again." if number else "Nothing to do.")


def _show(delivery_id: str, *, as_json: bool) -> None:
    with transaction() as connection:
        fields = vars(read_delivery(connection, delivery_id))
        log = [vars(each) for each in read_log(connection, delivery_id)]
    if as_json:
        print_json({**fields, "log": log})
        return
    for name, value in fields.items():
        console.print(f"{name:16}{value}", markup=False, highlight=False, soft_wrap=True)
    print_rows(log, ("at", "milliseconds", "status", "reason", "answer"), as_json=False, empty="Not tried yet.")
