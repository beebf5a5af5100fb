"""Commands about events: send one, list them, try failed ones again."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.progress import track

from bridge.cli.output import AsJson, console, print_json, print_rows
from bridge.clock import now
from bridge.db import transaction
from bridge.errors import InvalidInput, Unavailable
from bridge.ids import new_id
from bridge.inbox.handle import retry_event
from bridge.inbox.listing import list_events
from bridge.inbox.tables import EventState
from bridge.settings import get_settings, webhook_key
from bridge.wake import INBOX_DRAIN, publish
from bridge.webhooks.signature import sign


def add_commands(app: typer.Typer) -> None:
    app.command()(trigger)
    app.command(name="events")(events)
    app.command()(retry)


def trigger(
    event: Annotated[str, typer.Argument(help="For example order.placed")],
    order: Annotated[
        Path | None, typer.Option(help="A file with the order's JSON; else a sample.", exists=True)
    ] = None,
    customer: Annotated[str | None, typer.Option(help="The customer the order or event is for.")] = None,
    url: Annotated[str | None, typer.Option(help="The API; else DUST_HOST and DUST_PORT.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a signed sample event. Example: dust trigger order.placed --customer cus_1"""
    settings = get_settings()
    settings.require("webhook_secrets")
    body = json.dumps(_envelope(event, order, customer)).encode()
    event_id, timestamp = new_id("msg"), int(time.time())
    headers = {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(webhook_key(settings.webhook_secrets[0]), event_id, timestamp, body),
    }
    address = url or f"http://{settings.host}:{settings.port}"
    try:
        answer = httpx.post(f"{address}/webhooks/medusa", content=body, headers=headers, timeout=10)
    except httpx.HTTPError as error:
        raise Unavailable(f"Nothing answers at {address}: is `dust up` running?") from error
    if as_json:
        print_json({"http_status": answer.status_code, **answer.json()})
    else:
        console.print(f"{answer.status_code} {answer.json().get('status', answer.json().get('detail'))} {event_id}")
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
    return {"type": event, "timestamp": datetime.now(UTC).isoformat(), "data": data}


def _order(file: Path | None, customer: str | None) -> dict[str, Any]:
    if file is None:
        return _sample_order(customer or new_id("cus"))
    try:
        document = json.loads(file.read_bytes())
        document = document.get("order", document)
        assert isinstance(document["id"], str)
    except (ValueError, KeyError, AttributeError, AssertionError) as error:
        raise InvalidInput(f"{file} is not the JSON of an order: it needs at least an id.") from error
    return {**document, "customer_id": customer} if customer else document


def _sample_order(customer: str) -> dict[str, Any]:
    """An order of one 20.00 eur shirt with 25 % tax, as the Admin API would give it."""
    placed = datetime.now(UTC).isoformat()
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


def events(
    state: Annotated[EventState | None, typer.Option(help="Only these.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the inbox, newest first. Example: dust events --state failed"""
    with transaction() as connection:
        found = list_events(connection, state=state, type_=type_, limit=limit)
    columns = ("id", "type", "subject", "state", "attempts", "received_at", "reason")
    rows = [{name: getattr(each, name) for name in columns} for each in found]
    print_rows(rows, columns, as_json=as_json, empty="There is none.")


def retry(
    event_id: Annotated[str | None, typer.Argument(help="The event; `dust events --state failed` lists them.")] = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every failed event.")] = False,
    as_json: AsJson = False,
) -> None:
    """Try failed events again; harmless for any other. Example: dust retry --all-failed"""
    if (event_id is None) == (not all_failed):
        raise InvalidInput("Give an event id, or --all-failed.")
    ids = [event_id] if event_id else _failed_ids()
    retried = 0
    for each in track(ids, "Retrying", disable=len(ids) < 100 or as_json):
        with transaction() as connection:
            retried += retry_event(connection, each, now=now())
    publish(INBOX_DRAIN)
    if as_json:
        print_json({"retried": retried, "of": len(ids)})
    else:
        console.print(f"{retried} of {len(ids)} will be handled again; the others had not failed.")


def _failed_ids() -> list[str]:
    ids: list[str] = []
    before = None
    while True:
        with transaction() as connection:
            page = list_events(connection, state=EventState.FAILED, before=before, limit=500)
        ids += [each.id for each in page]
        if not page:
            return ids
        before = page[-1].position
