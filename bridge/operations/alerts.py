"""Alerts: what a merchant must know now, and what to do. For the dashboard and for Medusa's notifications.

Each code is an alert of `docs/reference/alerts.yml` in snake case, with the same limit and severity. Prometheus has
more: alerts on rates need a history, which is not in the database. Reading alerts is cheap: small partial indexes and
the last runs of jobs. It runs no audit and calls no other server.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from bridge.counted import counted
from bridge.inbox.cursor import last_poll
from bridge.inbox.queries import count_events, first_received, oldest_failed, oldest_waiting
from bridge.inbox.tables import EventState
from bridge.operations.alert_limits import (
    AUDIT_STOPPED,
    BEAT_STOPPED,
    EVENTS_WAIT,
    OUTGOING_WEBHOOKS_WAIT,
    RECONCILE_STOPPED,
    REDEMPTIONS_WAIT,
    minutes,
)
from bridge.outgoing.outbox import webhooks_configured
from bridge.outgoing.queries import count_webhooks, oldest_failed_webhook, oldest_waiting_webhook
from bridge.outgoing.tables import OutgoingWebhookState
from bridge.queue.job_runs import AUDIT, BEAT, read_runs
from bridge.redemptions.repository import oldest_pending
from bridge.settings import get_settings


class AlertCode(StrEnum):
    BEAT_STOPPED = "beat_stopped"
    EVENTS_WAIT = "events_wait"
    EVENTS_FAILED = "events_failed"
    REDEMPTIONS_WAIT = "redemptions_wait"
    RECONCILE_STOPPED = "reconcile_stopped"
    OUTGOING_WEBHOOKS_WAIT = "outgoing_webhooks_wait"
    OUTGOING_WEBHOOKS_FAILED = "outgoing_webhooks_failed"
    AUDIT_FAILED = "audit_failed"
    AUDIT_STOPPED = "audit_stopped"


class AlertSeverity(StrEnum):
    """`critical` is `page` in Prometheus' rules, and `warning` is `ticket`."""

    CRITICAL = "critical"
    WARNING = "warning"


_CRITICAL = frozenset(
    {AlertCode.BEAT_STOPPED, AlertCode.EVENTS_WAIT, AlertCode.REDEMPTIONS_WAIT, AlertCode.AUDIT_FAILED}
)


def severity_of(code: AlertCode) -> AlertSeverity:
    return AlertSeverity.CRITICAL if code in _CRITICAL else AlertSeverity.WARNING


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something that is wrong now."""

    code: AlertCode
    since: datetime | None
    """None if it never worked."""
    count: int | None = None
    """How many events, webhooks or errors, if it is about several."""
    message: str
    action: str


def find_alerts(connection: Connection, *, now: datetime) -> list[Alert]:
    """All open alerts, critical ones first, then the oldest."""
    alerts = [*_inbox(connection, now), *_redemptions(connection, now), *_outgoing(connection, now)]
    alerts += _jobs(connection, now)
    return sorted(alerts, key=lambda alert: (alert.code not in _CRITICAL, alert.since is not None, alert.since or now))


def _inbox(connection: Connection, now: datetime) -> Iterator[Alert]:
    if failed := count_events(connection, EventState.FAILED):
        yield Alert(
            code=AlertCode.EVENTS_FAILED,
            since=oldest_failed(connection),
            count=failed,
            message=f"{counted(failed, 'event')} failed. Customers may miss points.",
            action="Open Dust, Events. It shows each cause. Fix the cause, then choose Retry.",
        )
    oldest = oldest_waiting(connection)
    if _is_late(oldest, EVENTS_WAIT, now):
        yield Alert(
            code=AlertCode.EVENTS_WAIT,
            since=oldest,
            message=f"An event has been waiting for more than {minutes(EVENTS_WAIT)}. Customers miss points.",
            action="Ask your administrator to run `dust doctor`. Nothing is lost: the event is stored.",
        )


def _redemptions(connection: Connection, now: datetime) -> Iterator[Alert]:
    oldest = oldest_pending(connection)
    if _is_late(oldest, REDEMPTIONS_WAIT, now):
        yield Alert(
            code=AlertCode.REDEMPTIONS_WAIT,
            since=oldest,
            message=f"A customer has been waiting for a discount for more than {minutes(REDEMPTIONS_WAIT)}.",
            action="Ask your administrator to run `dust doctor`. Dust needs Medusa to create the promotion.",
        )


def _outgoing(connection: Connection, now: datetime) -> Iterator[Alert]:
    if failed := count_webhooks(connection, OutgoingWebhookState.FAILED):
        yield Alert(
            code=AlertCode.OUTGOING_WEBHOOKS_FAILED,
            since=oldest_failed_webhook(connection),
            count=failed,
            message=f"{counted(failed, 'outgoing webhook')} failed.",
            action="Open Dust, Outgoing webhooks. Each shows why. Fix the receiver, then choose Retry all failed.",
        )
    # Without DUST_OUTGOING_WEBHOOK_URL the remaining ones are never sent.
    oldest = oldest_waiting_webhook(connection) if webhooks_configured() else None
    if _is_late(oldest, OUTGOING_WEBHOOKS_WAIT, now):
        yield Alert(
            code=AlertCode.OUTGOING_WEBHOOKS_WAIT,
            since=oldest,
            message="An outgoing webhook has not been accepted for more than "
            f"{minutes(OUTGOING_WEBHOOKS_WAIT)}. Customers get no messages about points.",
            action="Open Dust, Outgoing webhooks. Each shows what your receiver answers.",
        )


def _jobs(connection: Connection, now: datetime) -> Iterator[Alert]:
    runs = read_runs(connection)
    beat, audit = runs.get(BEAT), runs.get(AUDIT)
    if beat is None or _is_late(beat.at, BEAT_STOPPED, now):
        yield Alert(
            code=AlertCode.BEAT_STOPPED,
            since=beat.at if beat else None,
            message="The periodic jobs of Dust do not run. Points do not mature or expire.",
            action="Ask your administrator to start `dust beat`, the broker, and a worker for the queue `sweeps`.",
        )
    # A job that never ran is late if events have been coming for longer.
    polled = last_poll(connection) or first_received(connection)
    if get_settings().medusa_url and _is_late(polled, RECONCILE_STOPPED, now):
        yield Alert(
            code=AlertCode.RECONCILE_STOPPED,
            since=polled,
            message=f"Dust has not asked Medusa for missed changes for more than {minutes(RECONCILE_STOPPED)}.",
            action="Ask your administrator to run `dust doctor`. It checks Medusa, the API key and the workers.",
        )
    audited = audit.at if audit else first_received(connection)
    if _is_late(audited, AUDIT_STOPPED, now):
        yield Alert(
            code=AlertCode.AUDIT_STOPPED,
            since=audited,
            message=f"The points have not been audited for more than {minutes(AUDIT_STOPPED)}.",
            action="Ask your administrator to look at the task `upkeep.audit` in Flower, and to run `dust audit`.",
        )
    errors = sum(audit.result.get("breaches", {}).values()) if audit else 0
    if audit and errors:
        broken_since = audit.result.get("broken_since")
        yield Alert(
            code=AlertCode.AUDIT_FAILED,
            since=datetime.fromisoformat(broken_since) if broken_since else audit.at,
            count=errors,
            message=f"The audit of the points found {counted(errors, 'error')}.",
            action="Ask your administrator to run `dust audit`. It names each customer, order or redemption.",
        )


def _is_late(since: datetime | None, limit: timedelta, now: datetime) -> bool:
    return since is not None and now - since > limit
