"""Commands for events: send one, list them, retry failed ones."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from bridge.cli.output import (
    ACTOR,
    AsJson,
    Limit,
    as_utc,
    counting,
    print_json,
    print_result,
    print_rows,
    read_time,
    say,
)
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import InvalidInput, Unavailable
from bridge.http.standard_webhooks import signed_event
from bridge.ids import new_id
from bridge.inbox.attempts import read_history
from bridge.inbox.list_filter import EventFilter
from bridge.inbox.queries import list_events, read_event_row
from bridge.inbox.retry import retry_all, retry_event
from bridge.inbox.tables import EventState
from bridge.queue.enqueue import INBOX_DRAIN, publish
from bridge.settings import get_settings


def trigger(
    event: Annotated[str, typer.Argument(help="For example order.placed")],
    order: Annotated[
        Path | None, typer.Option(help="A file with the order's JSON. Default: a sample.", exists=True)
    ] = None,
    customer: Annotated[str | None, typer.Option(help="The customer of the order or event.")] = None,
    url: Annotated[str | None, typer.Option(help="The API's address. Default: DUST_HOST and DUST_PORT.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a signed sample event. Example: dust trigger order.placed --customer cus_1"""
    settings = get_settings()
    settings.require("webhook_secrets")
    signed, body = signed_event(settings.webhook_secrets[0], _envelope(event, order, customer))
    headers = {"content-type": "application/json", **signed}
    address = (url or settings.api_address).rstrip("/")
    try:
        # No proxy of the environment (HTTP_PROXY) leads to a server of this machine.
        answer = httpx.post(
            f"{address}/webhooks/medusa", content=body, headers=headers, timeout=10, trust_env=url is not None
        )
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise Unavailable(f"Nothing answers at {address}: is `dust up` running?") from error
    try:
        reply = answer.json()
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict):
        raise Unavailable(f"What answers at {address} is not Dust ({answer.status_code}): see --url.")
    sentence = f"{answer.status_code} {reply.get('status', reply.get('detail'))} {signed['webhook-id']}"
    print_result({"http_status": answer.status_code, **reply}, sentence, as_json=as_json)
    raise typer.Exit(0 if answer.is_success else 1)


def _envelope(event: str, order: Path | None, customer: str | None) -> dict[str, Any]:
    data: dict[str, Any]
    if event.startswith("customer."):
        data = {"id": customer or new_id("cus")}
    elif event.startswith("product."):
        data = {"id": new_id("prod")}
    else:
        document = _order(order, customer)
        data = {"id": document["id"], "order": document}
    return {"type": event, "timestamp": now().isoformat(), "data": data}


def _order(file: Path | None, customer: str | None) -> dict[str, Any]:
    if file is None:
        return _sample_order(customer or new_id("cus"))
    try:
        document = json.loads(file.read_bytes())
        document = document.get("order", document)
        assert isinstance(document["id"], str)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, RecursionError) as error:
        raise InvalidInput(f"{file} is not the JSON of an order: it needs at least an id.") from error
    return {**document, "customer_id": customer} if customer else document


def _sample_order(customer: str) -> dict[str, Any]:
    """An order of one 20.00 eur shirt with 25 % tax, as the Admin API returns it."""
    placed = now().isoformat()
    item = {
        "id": new_id("ordli"), "title": "Shirt", "product_id": "prod_sample", "quantity": 1, "unit_price": 20,
        "total": 25, "subtotal": 20, "tax_total": 5, "discount_total": 0, "is_tax_inclusive": False, "adjustments": [],
    }  # fmt: skip
    return {
        "id": new_id("order"), "status": "pending", "version": 1, "created_at": placed, "updated_at": placed,
        "canceled_at": None, "currency_code": "eur", "customer_id": customer, "payment_status": "authorized",
        "customer": {"id": customer, "has_account": True}, "total": 25, "shipping_total": 0, "shipping_tax_total": 0,
        "items": [item], "promotions": [],
    }  # fmt: skip


_Type = Annotated[str | None, typer.Option("--type", help="Only those of this type.")]
_Subject = Annotated[str | None, typer.Option(help="Only those about this order, customer, …")]
_Code = Annotated[str | None, typer.Option(help="Only those with this reason code, for example medusa_unavailable.")]
_Since = Annotated[datetime | None, typer.Option(help="Only those received then or later (UTC).", parser=read_time)]
_Until = Annotated[datetime | None, typer.Option(help="Only those received before then (UTC).", parser=read_time)]


def events(
    event_id: Annotated[str | None, typer.Argument(help="One event, with its body and its attempts.")] = None,
    state: Annotated[EventState | None, typer.Option(help="Only those in this state.")] = None,
    type_: _Type = None,
    subject: _Subject = None,
    code: _Code = None,
    since: _Since = None,
    until: _Until = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List the inbox, newest first, or show one event. Example: dust events --state failed --since 2026-11-01"""
    if event_id is not None:
        _show_event(event_id, as_json=as_json)
        return
    only = EventFilter(state=state, type=type_, subject=subject, code=code, since=as_utc(since), until=as_utc(until))
    with transaction() as connection:
        events = list_events(connection, only, limit=limit)
    columns = ("id", "type", "subject", "state", "attempts", "received_at", "reason")
    rows = [{name: getattr(event, name) for name in columns} for event in events]
    print_rows(rows, columns, as_json=as_json, empty="There is none.")


def _show_event(event_id: str, *, as_json: bool) -> None:
    with transaction() as connection:
        event = read_event_row(connection, event_id)
        history = [vars(attempt) for attempt in read_history(connection, event_id)]
    fields = {**vars(event), "payload": event.payload.decode("utf-8", "replace")}
    if as_json:
        print_json({**fields, "history": history})
        return
    for name, value in fields.items():
        if value is not None:
            say(f"{name:16}{value}")
    columns = ("at", "outcome", "attempt", "error_code", "reason", "actor")
    print_rows(history, columns, empty="It had no failed attempt.")


def retry(
    event_id: Annotated[str | None, typer.Argument(help="The event; `dust events --state failed` lists them.")] = None,
    all_failed: Annotated[
        bool, typer.Option("--all-failed", help="All failed events that match the other options.")
    ] = False,
    type_: _Type = None,
    subject: _Subject = None,
    code: _Code = None,
    since: _Since = None,
    until: _Until = None,
    as_json: AsJson = False,
) -> None:
    """Retry failed events; harmless for others. Example: dust retry --all-failed --code medusa_unavailable"""
    only = EventFilter(type=type_, subject=subject, code=code, since=as_utc(since), until=as_utc(until))
    if (event_id is None) == (not all_failed):
        raise InvalidInput("Give an event id, or --all-failed.")
    if event_id is not None and only != EventFilter():
        raise InvalidInput("--type, --subject, --code, --since and --until can only be used with --all-failed.")
    retried = _retry_one(event_id) if event_id else _retry_many(only, quiet=as_json)
    publish(INBOX_DRAIN)
    not_failed = event_id and not retried
    sentence = "Nothing to do: it has not failed." if not_failed else f"{retried} will be processed again."
    print_result({"retried": retried}, sentence, as_json=as_json)


def _retry_one(event_id: str) -> int:
    with transaction() as connection:
        return int(retry_event(connection, event_id, now=now(), actor=ACTOR))


def _retry_many(only: EventFilter, *, quiet: bool) -> int:
    retried = 0
    with counting("Retrying", "events", quiet=quiet) as step:
        for number in retry_all(only, actor=ACTOR):
            retried += number
            step(number)
    return retried
