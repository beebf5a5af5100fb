"""Send what waits, oldest first: at least once, each under one id, and never two senders at a time.

    open the gate (transaction) ─▶ POST (no transaction) ─▶ write what came of it (transaction) ─▶ … ─▶ close it

A sender that dies leaves its notice waiting, and the gate opens again by itself. Whoever receives knows a notice that
came twice by its `webhook-id`. When the address as a whole seems to be away, it is left in peace for a while, longer
each time; an answer that is about one notice alone delays nobody but that one.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import structlog
from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects.postgresql import insert

from bridge.clock import now
from bridge.db import transaction
from bridge.http.standard_webhooks import sign
from bridge.notices.tables import NoticeState, notice, notice_attempt, notice_gate
from bridge.observability.logs import redact
from bridge.observability.metrics import NOTICES_FAILED, NOTICES_SENT
from bridge.queue.backoff import backoff_seconds
from bridge.settings import Settings, get_settings, webhook_key

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 10.0
# Twelve attempts in a day: 2, 4, 8 … seconds, then every two hours.
_LONGEST_WAIT_SECONDS = 7_200.0
# An address that is away is asked this often at least: what waits is to go out soon after it is back.
_LONGEST_REST_SECONDS = 300.0
# Longer than a run may take: the worker's hard limit is 60 seconds.
_LEASE = timedelta(seconds=90)
_AT_ONCE = 50
# Enough to see an error page's title or a JSON error, too little for anything else.
_ANSWER_CHARACTERS = 500
_GATE = "notices"

# The receiver has read this notice and does not like it. Any other failure may be one of the whole address.
_ABOUT_THE_NOTICE = frozenset({400, 409, 410, 413, 415, 422})
_GONE = 410


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One POST. `status` is None without an answer; `reason` is None when it was delivered."""

    status: int | None
    reason: str | None
    answer: str | None
    milliseconds: int
    retry_after_seconds: float = 0.0

    @property
    def address_is_away(self) -> bool:
        return self.reason is not None and self.status not in _ABOUT_THE_NOTICE


def send_waiting(*, seconds: float) -> int:
    """Send for up to `seconds`; how many were delivered. 0 while another sends, or the address is left in peace."""
    settings, holder = get_settings(), secrets.token_hex(8)
    if settings.notify_url is None or not _open_gate(holder):
        return 0
    delivered, end, away = 0, time.monotonic() + seconds, None
    # One loop for all calls, so that they share a connection.
    with asyncio.Runner() as runner:
        http = httpx.AsyncClient(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        while away is None and time.monotonic() < end and (due := _due()):
            for row in due:
                attempt = runner.run(_post(http, settings, row))
                _note(row, attempt)
                delivered += attempt.reason is None
                if attempt.address_is_away:
                    away = attempt
                if away or time.monotonic() > end:
                    break
        runner.run(http.aclose())
    _close_gate(holder, away)
    return delivered


def _open_gate(holder: str) -> bool:
    moment = now()
    with transaction() as connection:
        connection.execute(
            insert(notice_gate).values(name=_GATE, closed_until=moment, failures=0).on_conflict_do_nothing()
        )
        taken = connection.execute(
            update(notice_gate)
            .where(notice_gate.c.name == _GATE, notice_gate.c.closed_until <= moment)
            .values(closed_until=moment + _LEASE, holder=holder)
        )
        return taken.rowcount == 1


def _close_gate(holder: str, away: Attempt | None) -> None:
    with transaction() as connection:
        mine = (notice_gate.c.name == _GATE) & (notice_gate.c.holder == holder)
        failures = connection.scalar(select(notice_gate.c.failures).where(mine).with_for_update())
        if failures is None:
            # It took longer than the lease, and somebody else has the gate by now.
            return
        failures = failures + 1 if away else 0
        rest = max(backoff_seconds(failures, longest_seconds=_LONGEST_REST_SECONDS), _asked(away)) if away else 0.0
        connection.execute(
            update(notice_gate)
            .where(mine)
            .values(closed_until=now() + timedelta(seconds=rest), failures=failures, holder=None)
        )


def _asked(attempt: Attempt) -> float:
    return min(attempt.retry_after_seconds, _LONGEST_REST_SECONDS)


def _due() -> list[Row[Any]]:
    query = (
        select(notice)
        .where(notice.c.state == NoticeState.WAITING.value, notice.c.next_attempt_at <= now())
        .order_by(notice.c.next_attempt_at, notice.c.seq)
        .limit(_AT_ONCE)
    )
    with transaction() as connection:
        return list(connection.execute(query))


def body_of(row: Row[Any]) -> bytes:
    """What is sent, the same bytes at every attempt."""
    document = {"type": row.type, "timestamp": row.created_at.astimezone(UTC).isoformat(), "data": row.data}
    return json.dumps(document, separators=(",", ":")).encode()


async def _post(http: httpx.AsyncClient, settings: Settings, row: Row[Any]) -> Attempt:
    assert settings.notify_url is not None
    assert settings.notify_secret is not None
    # The wall's time, whatever a test clock says: the receiver compares it with its own.
    body, timestamp, started = body_of(row), int(time.time()), time.monotonic()
    headers = {
        "content-type": "application/json",
        "user-agent": "Dust",
        "webhook-id": row.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(webhook_key(settings.notify_secret), row.id, timestamp, body),
    }
    status, answer, reason, wait = None, None, None, 0.0
    try:
        # httpx has a limit for each packet only, and a receiver may send them one byte at a time.
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            http.stream("POST", settings.notify_url, content=body, headers=headers) as response,
        ):
            status, reason, wait = response.status_code, _failure(response), _retry_after(response.headers)
            answer = await _beginning(response)
    except TimeoutError:
        if status is None:
            reason = f"No answer within {TIMEOUT_SECONDS:g} seconds."
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        # After a status it is only the answer's text that broke off.
        if status is None:
            reason = redact(f"No answer ({type(error).__name__}: {error})".replace("\x00", ""))
    spent = int((time.monotonic() - started) * 1000)
    return Attempt(status=status, reason=reason, answer=answer, milliseconds=spent, retry_after_seconds=wait)


def _failure(response: httpx.Response) -> str | None:
    if response.is_success:
        return None
    if response.is_redirect:
        return f"Answered {response.status_code}: redirects are not followed, set DUST_NOTIFY_URL to where it leads."
    return f"Answered {response.status_code}."


async def _beginning(response: httpx.Response) -> str | None:
    text = b""
    async for chunk in response.aiter_raw():
        text += chunk[:_ANSWER_CHARACTERS]
        if len(text) >= _ANSWER_CHARACTERS:
            break
    plain = text.decode("utf-8", "replace").replace("\x00", "")
    return redact(plain)[:_ANSWER_CHARACTERS] or None


def _retry_after(headers: Mapping[str, str]) -> float:
    """In seconds; 0 when it is not said. RFC 9110 allows a number or a date."""
    value = headers.get("retry-after", "")
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return max(0.0, moment.timestamp() - time.time())


def _note(row: Row[Any], attempt: Attempt) -> None:
    with transaction() as connection:
        if connection.scalar(select(notice.c.id).where(notice.c.id == row.id).with_for_update()) is None:
            # The customer was erased meanwhile.
            return
        connection.execute(
            insert(notice_attempt).values(
                notice_id=row.id,
                at=now(),
                milliseconds=attempt.milliseconds,
                status=attempt.status,
                reason=attempt.reason,
                answer=attempt.answer,
            )
        )
        outcome = _outcome(row, attempt)
        connection.execute(update(notice).where(notice.c.id == row.id).values(attempts=row.attempts + 1, **outcome))
        if attempt.address_is_away:
            _park_overdue(connection, attempt)
    about = {"notice_id": row.id, "type": row.type, "customer_id": row.customer_id}
    if attempt.reason is None:
        NOTICES_SENT.labels(row.type).inc()
        log.info("notice_delivered", **about)
        return
    NOTICES_FAILED.labels(str(attempt.status or "none")).inc()
    log.warning("notice_not_delivered", **about, state=outcome["state"], reason=attempt.reason)


def _outcome(row: Row[Any], attempt: Attempt) -> dict[str, Any]:
    moment = now()
    if attempt.reason is None:
        done = NoticeState.DELIVERED.value
        return {"state": done, "next_attempt_at": None, "delivered_at": moment, "reason": None}
    wait = backoff_seconds(row.attempts + 1, longest_seconds=_LONGEST_WAIT_SECONDS)
    following = moment + timedelta(seconds=max(wait, _asked(attempt)))
    if attempt.status == _GONE or following > row.give_up_at:
        return {"state": NoticeState.PARKED.value, "next_attempt_at": None, "reason": attempt.reason}
    return {"state": NoticeState.WAITING.value, "next_attempt_at": following, "reason": attempt.reason}


def _park_overdue(connection: Connection, attempt: Attempt) -> None:
    """While the address is away only one notice is tried at a time; the others' day ends all the same."""
    # One that is locked is being erased, or is found the next time: with its own locked, this must not wait for others.
    overdue = (
        select(notice.c.id)
        .where(notice.c.state == NoticeState.WAITING.value, notice.c.give_up_at <= now())
        .with_for_update(skip_locked=True)
    )
    connection.execute(
        update(notice)
        .where(notice.c.id.in_(overdue))
        .values(state=NoticeState.PARKED.value, next_attempt_at=None, reason=attempt.reason)
    )
