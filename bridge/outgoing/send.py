"""Sends waiting webhooks, oldest first. Delivery is at least once, with one id per webhook, by one sender.

    take the lease (transaction) ─▶ POST (no transaction) ─▶ write the result (transaction) ─▶ … ─▶ return the lease

If a sender crashes, its webhook stays waiting and the lease expires. The receiver recognizes a repeated webhook by its
`webhook-id`. If the whole address seems to be unavailable, sending pauses, longer each time. A response about one
webhook alone delays only that webhook.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

import httpx
import structlog
from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.clock import now, real_now
from bridge.db import transaction
from bridge.http.dates import read_http_date
from bridge.http.standard_webhooks import signed_headers
from bridge.observability.logs import redact
from bridge.observability.metrics import OUTGOING_WEBHOOKS_FAILED, OUTGOING_WEBHOOKS_SENT
from bridge.outgoing.tables import OutgoingWebhookState, outgoing_delivery, outgoing_sender, outgoing_webhook
from bridge.queue.backoff import backoff_seconds
from bridge.setting_types import webhook_key
from bridge.settings import Settings, get_settings

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 10.0
# A webhook that the receiver rejects: attempts after 2, 4, 8 … seconds, then every two hours, about 23 in 24 hours.
_MAX_WAIT_SECONDS = 7_200.0
# An unavailable address: with jitter at most five minutes, so that all waiting webhooks go out soon after it is back.
_MAX_PAUSE_SECONDS = 240.0
# Longer than a run can take: the worker's hard limit is 60 seconds.
_LEASE = timedelta(seconds=90)
_BATCH_SIZE = 50
# Enough for an error page's title or a JSON error, and not much more.
_ANSWER_CHARACTERS = 500
_SENDER = "outgoing"

# Statuses with which a receiver rejects this one webhook. Any other failure may concern the whole address.
_ABOUT_ONE_WEBHOOK = frozenset({400, 409, 410, 413, 415, 422})
_GONE = 410


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Result of one POST. `status` is None without a response; `reason` is None if it was delivered."""

    status: int | None
    reason: str | None
    answer: str | None
    milliseconds: int
    retry_after_seconds: float = 0.0

    @property
    def address_is_away(self) -> bool:
        return self.reason is not None and self.status not in _ABOUT_ONE_WEBHOOK


def send_waiting(*, seconds: float) -> int:
    """Send for up to `seconds`. Returns the number delivered; 0 while another sender is active or sending pauses."""
    settings, holder = get_settings(), secrets.token_hex(8)
    if settings.outgoing_webhook_url is None or not _take_lease(holder):
        return 0
    delivered, end, away = 0, time.monotonic() + seconds, None
    # One event loop for all calls, so that they share a connection.
    with asyncio.Runner() as runner:
        http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        while away is None and time.monotonic() < end and (due := _due()):
            for row in due:
                delivery = runner.run(_post(http, settings, row))
                _store_delivery(row, delivery)
                delivered += delivery.reason is None
                if delivery.address_is_away:
                    away = delivery
                if away or time.monotonic() > end:
                    break
        runner.run(http.aclose())
    _return_lease(holder, away)
    return delivered


def _take_lease(holder: str) -> bool:
    moment = now()
    with transaction() as connection:
        connection.execute(
            insert(outgoing_sender).values(name=_SENDER, free_at=moment, failures=0).on_conflict_do_nothing()
        )
        taken = connection.execute(
            update(outgoing_sender)
            .where(outgoing_sender.c.name == _SENDER, outgoing_sender.c.free_at <= moment)
            .values(free_at=moment + _LEASE, holder=holder)
        )
        return taken.rowcount == 1


def _return_lease(holder: str, away: Delivery | None) -> None:
    with transaction() as connection:
        own_lease = (outgoing_sender.c.name == _SENDER) & (outgoing_sender.c.holder == holder)
        failures = connection.scalar(select(outgoing_sender.c.failures).where(own_lease).with_for_update())
        if failures is None:
            # This run took longer than its lease, and another sender has the lease now.
            return
        failures = failures + 1 if away else 0
        pause = max(backoff_seconds(failures, max_seconds=_MAX_PAUSE_SECONDS), _requested_delay(away)) if away else 0.0
        connection.execute(
            update(outgoing_sender)
            .where(own_lease)
            .values(free_at=now() + timedelta(seconds=pause), failures=failures, holder=None)
        )


def _requested_delay(delivery: Delivery) -> float:
    return min(delivery.retry_after_seconds, _MAX_PAUSE_SECONDS)


def _due() -> list[Row[Any]]:
    query = (
        select(outgoing_webhook)
        .where(outgoing_webhook.c.state == OutgoingWebhookState.WAITING, outgoing_webhook.c.next_attempt_at <= now())
        .order_by(outgoing_webhook.c.next_attempt_at, outgoing_webhook.c.seq)
        .limit(_BATCH_SIZE)
    )
    with transaction() as connection:
        return list(connection.execute(query))


def body_of(row: Row[Any]) -> bytes:
    """The request body; the same bytes at every delivery."""
    document = {"type": row.type, "timestamp": row.created_at.astimezone(UTC).isoformat(), "data": row.data}
    return json.dumps(document, separators=(",", ":")).encode()


async def _post(http: httpx.AsyncClient, settings: Settings, row: Row[Any]) -> Delivery:
    assert settings.outgoing_webhook_url is not None
    assert settings.outgoing_webhook_secret is not None
    # Real time, not the test clock, because the receiver compares it with its own clock.
    body, timestamp, started = body_of(row), int(real_now().timestamp()), time.monotonic()
    headers = {
        "content-type": "application/json",
        "user-agent": "Dust",
        **signed_headers(webhook_key(settings.outgoing_webhook_secret), row.id, timestamp, body),
    }
    status, answer, reason, wait = None, None, None, 0.0
    try:
        # httpx's timeout is per packet, and a receiver can send one byte at a time. This one is for the whole call.
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            http.stream("POST", settings.outgoing_webhook_url, content=body, headers=headers) as response,
        ):
            status, reason, wait = response.status_code, _failure(response), _retry_after(response.headers)
            answer = await _read_beginning(response)
    except TimeoutError:
        if status is None:
            reason = f"No answer within {TIMEOUT_SECONDS:g} seconds."
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        # After a status only the response body was cut off.
        if status is None:
            reason = redact(f"No answer ({type(error).__name__}: {error})".replace("\x00", ""))
    spent = int((time.monotonic() - started) * 1000)
    return Delivery(status=status, reason=reason, answer=answer, milliseconds=spent, retry_after_seconds=wait)


def _failure(response: httpx.Response) -> str | None:
    if response.is_success:
        return None
    if response.is_redirect:
        return (
            f"Answered {response.status_code}: redirects are not followed; set DUST_OUTGOING_WEBHOOK_URL to its target."
        )
    return f"Answered {response.status_code}."


async def _read_beginning(response: httpx.Response) -> str | None:
    text = b""
    async for chunk in response.aiter_raw():
        text += chunk[:_ANSWER_CHARACTERS]
        if len(text) >= _ANSWER_CHARACTERS:
            break
    plain = text.decode("utf-8", "replace").replace("\x00", "")
    return redact(plain)[:_ANSWER_CHARACTERS] or None


def _retry_after(headers: Mapping[str, str]) -> float:
    """`Retry-After` in seconds; 0 without one. RFC 9110 allows a number or a date."""
    value = headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    moment = read_http_date(value)
    return max(0.0, moment.timestamp() - real_now().timestamp()) if moment else 0.0


def _store_delivery(row: Row[Any], delivery: Delivery) -> None:
    with transaction() as connection:
        lock = select(outgoing_webhook.c.id).where(outgoing_webhook.c.id == row.id).with_for_update()
        if connection.scalar(lock) is None:
            # The customer was erased meanwhile.
            return
        connection.execute(
            insert(outgoing_delivery).values(
                webhook_id=row.id,
                at=now(),
                milliseconds=delivery.milliseconds,
                status=delivery.status,
                reason=delivery.reason,
                answer=delivery.answer,
            )
        )
        outcome = _next_state(row, delivery)
        connection.execute(
            update(outgoing_webhook).where(outgoing_webhook.c.id == row.id).values(attempts=row.attempts + 1, **outcome)
        )
        if delivery.address_is_away:
            _fail_overdue(connection, delivery)
    about = {"webhook_id": row.id, "type": row.type, "customer_id": row.customer_id}
    if delivery.reason is None:
        OUTGOING_WEBHOOKS_SENT.labels(row.type).inc()
        log.info("outgoing_webhook_delivered", **about)
        return
    OUTGOING_WEBHOOKS_FAILED.labels(str(delivery.status or "none")).inc()
    log.warning("outgoing_webhook_not_delivered", **about, state=outcome["state"], reason=delivery.reason)


def _next_state(row: Row[Any], delivery: Delivery) -> dict[str, Any]:
    moment = now()
    if delivery.reason is None:
        done = OutgoingWebhookState.DELIVERED
        return {"state": done, "next_attempt_at": None, "delivered_at": moment, "reason": None}
    max_seconds = _MAX_PAUSE_SECONDS if delivery.address_is_away else _MAX_WAIT_SECONDS
    wait = backoff_seconds(row.attempts + 1, max_seconds=max_seconds)
    following = moment + timedelta(seconds=max(wait, _requested_delay(delivery)))
    if delivery.status == _GONE or following > row.give_up_at:
        return {"state": OutgoingWebhookState.FAILED, "next_attempt_at": None, "reason": delivery.reason}
    return {"state": OutgoingWebhookState.WAITING, "next_attempt_at": following, "reason": delivery.reason}


def _fail_overdue(connection: Connection, delivery: Delivery) -> None:
    """Fail all webhooks past their `give_up_at`. While the address is unavailable they are not tried one by one."""
    # Locked rows are skipped: they are being erased, or are failed the next time. This transaction holds the lock of
    # its own webhook, so it must not wait for others.
    overdue = (
        select(outgoing_webhook.c.id)
        .where(outgoing_webhook.c.state == OutgoingWebhookState.WAITING, outgoing_webhook.c.give_up_at <= now())
        .with_for_update(skip_locked=True)
    )
    connection.execute(
        update(outgoing_webhook)
        .where(outgoing_webhook.c.id.in_(overdue))
        .values(state=OutgoingWebhookState.FAILED, next_attempt_at=None, reason=delivery.reason)
    )
