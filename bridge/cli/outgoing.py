"""The command for outgoing webhooks."""

from typing import Annotated

import typer

from bridge.cli.output import AsJson, Limit, print_json, print_result, print_rows, say
from bridge.clock import now
from bridge.db import transaction
from bridge.outgoing.queries import list_webhooks, read_deliveries, read_webhook, retry_failed, retry_webhook
from bridge.outgoing.tables import OutgoingWebhookState, OutgoingWebhookType
from bridge.queue.enqueue import OUTGOING_SEND, publish


def webhooks(
    webhook_id: Annotated[str | None, typer.Argument(help="One webhook, with every attempt to deliver it.")] = None,
    state: Annotated[OutgoingWebhookState | None, typer.Option(help="Only those in this state.")] = None,
    type_: Annotated[OutgoingWebhookType | None, typer.Option("--type", help="Only of this type.")] = None,
    limit: Limit = 20,
    retry: Annotated[bool, typer.Option("--retry", help="Send this one again, with the same id.")] = False,
    all_failed: Annotated[bool, typer.Option("--retry-failed", help="Send every failed one again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Outgoing webhooks, newest first. Example: dust webhooks --state failed"""
    if retry and not webhook_id:
        raise typer.BadParameter("Name the webhook to send again, or use --retry-failed.")
    if all_failed or retry:
        _retry(webhook_id if retry else None, as_json=as_json)
    elif webhook_id:
        _show(webhook_id, as_json=as_json)
    else:
        with transaction() as connection:
            webhooks = list_webhooks(connection, state=state, type=type_.value if type_ else None, limit=limit)
        columns = ("id", "type", "customer_id", "state", "attempts", "created_at", "reason")
        rows = [{name: getattr(webhook, name) for name in columns} for webhook in webhooks]
        print_rows(rows, columns, as_json=as_json, empty="There is none.")


def _retry(webhook_id: str | None, *, as_json: bool) -> None:
    with transaction() as connection:
        if webhook_id is None:
            number = retry_failed(connection, now=now())
        else:
            number = int(retry_webhook(connection, webhook_id, now=now()))
    publish(OUTGOING_SEND)
    sentence = f"{number} will be sent again." if number else "Nothing to do."
    print_result({"retried": number}, sentence, as_json=as_json)


def _show(webhook_id: str, *, as_json: bool) -> None:
    with transaction() as connection:
        fields = vars(read_webhook(connection, webhook_id))
        deliveries = [vars(delivery) for delivery in read_deliveries(connection, webhook_id)]
    if as_json:
        print_json({**fields, "deliveries": deliveries})
        return
    for name, value in fields.items():
        say(f"{name:16}{value}")
    print_rows(deliveries, ("at", "milliseconds", "status", "reason", "answer"), empty="Not tried yet.")
