"""`POST /webhooks/medusa`: verify the signature, store the event, answer after the commit."""

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from bridge.clock import now, real_now
from bridge.errors import DustError
from bridge.http.micro_batching import MicroBatcher
from bridge.http.problems import describe_problems
from bridge.inbox.events import Event, log_ids, metric_label, read_event
from bridge.inbox.receive import Arrival, Receipt, receive_many
from bridge.observability.metrics import EVENTS_RECEIVED, WEBHOOKS_REFUSED
from bridge.observability.tracing import current_traceparent
from bridge.queue.enqueue import INBOX_DRAIN, enqueue
from bridge.setting_types import webhook_key
from bridge.settings import get_settings
from bridge.webhooks.signature import verify

log = structlog.get_logger(__name__)
router = APIRouter(tags=["webhooks"])

# Events that arrive together share one INSERT. Each request is answered after the commit.
_store_event: MicroBatcher[Arrival, Receipt] = MicroBatcher("intake", receive_many)


class WebhookResponse(BaseModel):
    id: str = Field(description="The webhook-id")
    status: Receipt


@router.post(
    "/webhooks/medusa",
    status_code=202,
    response_model=WebhookResponse,
    responses={
        200: {"model": WebhookResponse, "description": "Seen before"},
        **describe_problems(400, 401, 503),
    },
    openapi_extra={
        "parameters": [
            {"in": "header", "name": name, "required": True, "schema": {"type": "string"}}
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["type", "timestamp", "data"],
                        "properties": {
                            "type": {"type": "string", "examples": ["order.placed"]},
                            "timestamp": {"type": "string", "format": "date-time"},
                            "data": {"type": "object", "description": "Medusa's event data; may carry `order`"},
                        },
                    }
                }
            },
        },
    },
)
async def medusa_webhook(request: Request) -> Response:
    """Receive one signed event. A 2xx is returned only after it is committed; it is processed later."""
    try:
        event_id, event, receipt = await _verify_and_store(request)
    except DustError as error:
        WEBHOOKS_REFUSED.labels(error.code).inc()
        raise
    EVENTS_RECEIVED.labels(metric_label(event.type), receipt.value).inc()
    if receipt is Receipt.ACCEPTED:
        enqueue(INBOX_DRAIN)
    log.info("event_received", type=event.type, status=receipt.value)
    answer = WebhookResponse(id=event_id, status=receipt)
    return JSONResponse(answer.model_dump(), 200 if receipt is Receipt.DUPLICATE else 202)


async def _verify_and_store(request: Request) -> tuple[str, Event, Receipt]:
    body = await request.body()
    keys = [webhook_key(secret) for secret in get_settings().webhook_secrets]
    event_id = verify(request.headers, body, keys, now=real_now())
    event = read_event(body)
    structlog.contextvars.bind_contextvars(event_id=event_id, **log_ids(event.type, event.subject))
    arrival = Arrival(
        event_id=event_id, event=event, body=body, received_at=now(), traceparent=current_traceparent()
    )  # fmt: skip
    return event_id, event, await _store_event(arrival)
