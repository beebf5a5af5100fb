"""Checks of what processes do: events, outgoing webhooks, broker, workers, beat and Flower."""

from datetime import timedelta

import httpx

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.queries import count_events, oldest_waiting
from bridge.inbox.tables import EventState
from bridge.observability.logs import redact
from bridge.operations import alert_limits
from bridge.operations.alert_limits import minutes
from bridge.operations.doctor.finding import Check, Wrong
from bridge.outgoing.queries import count_webhooks, list_webhooks, oldest_waiting_webhook
from bridge.outgoing.tables import OutgoingWebhookState
from bridge.queue.broker import broker_problem
from bridge.queue.enqueue import queues_with_workers
from bridge.queue.job_runs import BEAT, read_runs
from bridge.settings import Settings

_WORKERS_ANSWER_SECONDS = 2.0
_FLOWER_SECONDS = 5.0


def _inbox(_: Settings) -> str:
    with transaction() as connection:
        oldest, failed = oldest_waiting(connection), count_events(connection, EventState.FAILED)
    age = now() - oldest if oldest else timedelta()
    if age > alert_limits.EVENTS_WAIT:
        raise Wrong(
            f"an event has been waiting for {minutes(age)}",
            fix="`dust events --state pending` says what it waits for; see also what is said here of workers, beat "
            "and Medusa.",
        )
    if failed:
        raise Wrong(
            f"failed events that need an operator: {failed}",
            fix="`dust events --state failed` says why. When that is fixed: `dust retry --all-failed`, or Retry in "
            "Flower.",
        )
    return "nothing has failed, nothing waits for long"


def _outgoing_webhooks(settings: Settings) -> str:
    if settings.outgoing_webhook_url is None:
        return "none are sent (DUST_OUTGOING_WEBHOOK_URL is not set)"
    with transaction() as connection:
        failed = count_webhooks(connection, OutgoingWebhookState.FAILED)
        oldest = oldest_waiting_webhook(connection)
        state = OutgoingWebhookState.FAILED if failed else OutgoingWebhookState.WAITING
        last = list_webhooks(connection, state=state, limit=1)
    age = now() - oldest if oldest else timedelta()
    if failed or age >= alert_limits.OUTGOING_WEBHOOKS_WAIT:
        problem = f"failed outgoing webhooks: {failed}" if failed else f"one has been waiting for {minutes(age)}"
        reason = last[0].reason if last else None
        raise Wrong(
            f"{problem} ({reason})" if reason else problem,
            fix="Does the receiver at DUST_OUTGOING_WEBHOOK_URL run, and does it have the same "
            "DUST_OUTGOING_WEBHOOK_SECRET? `dust webhooks` shows its answers. Then `dust webhooks --retry-failed`.",
        )
    return "none has failed, and none waits for long"


def _beat(_: Settings) -> str:
    with transaction() as connection:
        run = read_runs(connection).get(BEAT)
    if run is None or now() - run.at > alert_limits.BEAT_STOPPED:
        raise Wrong(
            f"was last heard of {minutes(now() - run.at)} ago" if run else "was never heard of",
            fix="Start `dust beat` (one is enough), and a worker for the queue `sweeps`, which runs its tasks.",
        )
    return "it sends tasks"


def _broker(settings: Settings) -> str:
    if not settings.broker_url:
        raise Wrong(
            "DUST_BROKER_URL is not set",
            fix="Set it to redis://… or amqp://…, or start `dust up`, which brings its own Redis.",
        )
    problem = broker_problem(settings.broker_url, settings.broker_ca_file)
    if problem is not None and "CERTIFICATE_VERIFY_FAILED" in problem:
        raise Wrong(
            f"has a certificate that this machine does not trust ({redact(problem)})",
            fix="Set DUST_BROKER_CA_FILE to a PEM file with the authority that signed it, and let DUST_BROKER_URL name "
            "the host as the certificate does.",
        )
    if problem is not None:
        raise Wrong(
            f"cannot be used ({redact(problem)})",
            fix="Is Redis (or RabbitMQ) running, are host, port, password, database number and TLS (rediss:// or "
            "redis://) in DUST_BROKER_URL right, and does Redis accept writes (no replica, memory below maxmemory)? "
            "Events are kept meanwhile, and handled when it is back.",
        )
    return "answers"


def _workers(_: Settings) -> str:
    served = queues_with_workers(timeout_seconds=_WORKERS_ANSWER_SECONDS)
    alone = [queue for queue, workers in served.items() if not workers]
    if alone:
        raise Wrong(
            f"nobody answers for {', '.join(alone)}",
            fix=f"Start `dust worker --queues {','.join(alone)}`. If it runs, its log says what keeps it.",
        )
    return ", ".join(f"{workers} for {queue}" for queue, workers in served.items())


def _flower(url: str, *, on_this_machine: bool) -> str:
    try:
        # No proxy of the environment (HTTP_PROXY) leads to a server of this machine.
        response = httpx.get(f"{url}/healthcheck", timeout=_FLOWER_SECONDS, trust_env=not on_this_machine)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise Wrong(
            f"nothing answers at {url} ({type(error).__name__})",
            fix="Start `dust flower`, or say where it is: `dust doctor --flower http://…`.",
        ) from error
    if not response.is_success:
        raise Wrong(
            f"{url} answers {response.status_code}: that is not Flower",
            fix="Set DUST_FLOWER_PORT to a port that nothing else uses, and start `dust flower` again.",
        )
    return f"answers at {url}"


PROCESS_CHECKS = (
    Check("inbox", _inbox, after="migrations"),
    Check("outgoing webhooks", _outgoing_webhooks, after="migrations"),
    Check("broker", _broker),
    Check("workers", _workers, after="broker"),
    Check("beat", _beat, after="migrations"),
)


def flower_check(url: str | None) -> Check:
    """The check of Flower at this address; None: at the address of the settings."""
    return Check(
        "flower", lambda settings: _flower((url or settings.flower_address).rstrip("/"), on_this_machine=not url)
    )
