"""Celery's settings, each with its reason. Facts were measured on Celery 5.7 with Redis 6.2 and 7.0, RabbitMQ 3.10."""

from datetime import timedelta

from kombu import Exchange, Queue

from bridge.queue import enqueue
from bridge.queue.broker import broker_tls
from bridge.queue.job_runs import MIN_GAP_HEADER, WAITS_AT_FIRST_HEADER
from bridge.settings import forget_variables, get_settings

_settings = get_settings()

# Celery prefers these variables, of which another program's may be around, to the settings below. `celery worker` and
# `celery beat` take BROKER_URL and RESULT_BACKEND for the first and the last one (seen with 5.7).
forget_variables("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND")

broker_url = _settings.broker_url
_redis = bool(broker_url and broker_url.startswith("redis"))
broker_use_ssl = broker_tls(broker_url or "", _settings.broker_ca_file)
redis_backend_use_ssl = broker_use_ssl if _redis else None
if broker_url and ";" in broker_url:
    # Nodes of one cluster. Celery declares the queues for delayed messages at every address of `broker_url` before a
    # worker starts, and waits for a node that is down: workers stood still for 17 s. As one entry of a list, any node
    # is enough. Connections use these two settings.
    broker_read_url = broker_write_url = broker_url
    broker_url = [broker_url]

# Wait for a broker without a limit: every message is also a row, so nothing is lost meanwhile.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# A Redis that was demoted to a replica, or has no memory left, answers with an error to every write. The worker waits
# for it, as for one that is away; without this it ends, and `dust up` with it after five starts. RabbitMQ's errors of
# this kind are wrong settings, which waiting does not change.
broker_channel_error_retry = _redis
# The publisher in the web process gives up soon: a sweep finds the row.
broker_connection_timeout = 2.0
# Redis' client reconnects by itself. AMQP's needs one retry: without it, beat reported "connection closed" for each
# message after a restart of RabbitMQ.
task_publish_retry = not _redis
task_publish_retry_policy = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

broker_transport_options = (
    {
        # Above the hard time limit (60 s) and all our delays (at most 225 s). A message that is unacknowledged for
        # longer is delivered again.
        "visibility_timeout": 300,
        # Look for messages of killed workers every five seconds instead of every hundred.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Without these, a Redis that hangs blocks a publisher without a limit.
        "socket_timeout": 10,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 15,
        # Redis may be shared with the shop.
        "global_keyprefix": "dust:",
    }
    if _redis
    else {
        # A message counts as sent once the quorum has it. Otherwise a broker that dies can lose it.
        "confirm_publish": True,
        # As above, for RabbitMQ.
        "read_timeout": 10,
        "write_timeout": 10,
    }
)

# Only JSON is deserialized.
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]


def _queue(name: str) -> Queue:
    """A queue with its own routing key. Without one, every queue would get every message."""
    if _redis:
        return Queue(name, routing_key=name)
    return Queue(
        name,
        # Of type topic, so that RabbitMQ keeps delayed messages. With a direct exchange the worker keeps them, and two
        # rescheduled events would block a worker with two processes.
        Exchange("dust", type="topic"),
        routing_key=name,
        queue_arguments={
            # Stored on a majority of nodes before it is confirmed: 15 SIGKILLs of a worker lost none of 500 messages.
            "x-queue-type": "quorum",
            # The default of RabbitMQ 4, set for 3.10 too. A message that kills its worker twenty times is dropped. A
            # sweep enqueues its row again, until the row has had all its attempts.
            "x-delivery-limit": 20,
        },
    )


# One queue for each reason to wait: a slow Medusa delays only tasks that call Medusa, a long sweep delays no event, and
# a redemption never waits behind a backlog. On RabbitMQ all processes must declare the same queues: only here.
task_queues = [_queue(name) for name in ("events", "redemptions", "medusa", "sweeps")]
task_default_queue = "events"
task_routes = {
    enqueue.INBOX_DRAIN: {"queue": "events"},
    enqueue.INBOX_HANDLE: {"queue": "medusa"},
    enqueue.REDEMPTIONS_ADVANCE: {"queue": "redemptions"},
    enqueue.REDEMPTIONS_SWEEP: {"queue": "sweeps"},
    "products.*": {"queue": "medusa"},
    "reconcile.*": {"queue": "medusa"},
    # The queue `medusa` has all tasks that wait for another server.
    "outgoing.*": {"queue": "medusa"},
    "upkeep.*": {"queue": "sweeps"},
    "simulations.*": {"queue": "medusa"},
    # The shop's currencies and prices are asked for.
    "programme.*": {"queue": "medusa"},
}

# Acknowledge after the task: if its worker is killed, it runs again. All tasks may run twice.
task_acks_late = True
task_reject_on_worker_lost = True
# Counts as a retry, so that a task that kills its worker is not run without an end.
task_retry_on_worker_lost = True
# True would drop running tasks when the connection is lost for a moment: two of two were lost in a trial.
worker_cancel_long_running_tasks_on_connection_loss = False
# A process with a slow task must not hold messages that another process could take.
worker_prefetch_multiplier = 1
# Ends tasks that hang. There is no soft limit, because its exception inside a query looks like a database error.
task_time_limit = 60
# On shutdown, running tasks get ten seconds. With REMAP_SIGTERM=SIGQUIT, twenty restarts lost and repeated nothing.
worker_soft_shutdown_timeout = 10
# Limits the effect of memory leaks in libraries.
worker_max_tasks_per_child = 2000

# Results of successful tasks are not stored, because their rows show them. Failures are, with exact arguments.
result_backend = broker_url if _redis else None
result_backend_transport_options = {"global_keyprefix": "dust:"}
task_ignore_result = True
task_store_errors_even_if_ignored = True
result_extended = True
result_expires = timedelta(days=30)
result_backend_always_retry = False
redis_socket_timeout = 10
redis_socket_connect_timeout = 3
redis_retry_on_timeout = True

# Flower needs these events.
worker_send_task_events = True
task_track_started = True

worker_hijack_root_logger = False
timezone = "UTC"

# One beat without a state file is enough. Every sweep is idempotent, so two at once have the same effect as one.
beat_scheduler = "workers.beat:Scheduler"


def _sweep(task: str, seconds: float) -> dict[str, object]:
    """A sweep that does nothing when nothing is due, so each message is processed, however late.

    Messages do not expire: with a worker whose clock is ahead, or behind a busy queue, all of them would.
    """
    return {"task": task, "schedule": timedelta(seconds=seconds)}


def _periodic_job(task: str, seconds: float, *, waits_at_first: bool = False) -> dict[str, object]:
    """A job that is skipped if it ran less than `seconds` ago, or is running: see `workers.app.DustTask`.

    It is enqueued at least once a minute, so that a daily job runs where beat is restarted daily. Of several messages
    behind a busy queue the first does the work.
    """
    interval = min(seconds, 60)
    # Half: a message that comes slightly early must not be skipped.
    min_gap = seconds if seconds > interval else seconds / 2
    return _sweep(task, interval) | {
        "options": {"headers": {MIN_GAP_HEADER: min_gap, WAITS_AT_FIRST_HEADER: waits_at_first}}
    }


beat_schedule = {
    "drain-inbox": _sweep(enqueue.INBOX_DRAIN, _settings.sweep_seconds),
    "sweep-redemptions": _sweep(enqueue.REDEMPTIONS_SWEEP, _settings.sweep_seconds),
    "mirror-products": _periodic_job(enqueue.PRODUCTS_MIRROR, 30),
    "mature-and-expire": _periodic_job(enqueue.UPKEEP_MATURE_AND_EXPIRE, 60),
    "escrow": _periodic_job(enqueue.UPKEEP_ESCROW, 60),
    "carry-over": _periodic_job(enqueue.UPKEEP_CARRY_OVER, 60),
    # A new installation has nothing to compare yet.
    "reconcile": _periodic_job(enqueue.RECONCILE_ORDERS, _settings.reconcile_seconds, waits_at_first=True),
    "publish-drafts": _periodic_job(enqueue.PROGRAMME_PUBLISH_DRAFTS, 60),
    "heartbeat": _periodic_job(enqueue.UPKEEP_HEARTBEAT, 60),
    "correct-future-times": _periodic_job(enqueue.UPKEEP_CORRECT_FUTURE_TIMES, 60),
    "fold-totals": _periodic_job(enqueue.UPKEEP_FOLD_TOTALS, 60),
    # Those whose message was lost, or whose worker died.
    "simulations": _sweep(enqueue.SIMULATIONS_RUN, 60),
    "audit": _periodic_job(enqueue.UPKEEP_AUDIT, 3600),
    "close-days": _periodic_job(enqueue.UPKEEP_CLOSE_DAYS, 3600),
    "strip-old-bodies": _periodic_job(enqueue.UPKEEP_STRIP_OLD_BODIES, 3600),
    "erase-late-data": _periodic_job(enqueue.UPKEEP_ERASE_LATE_DATA, 86_400),
    "prune-outgoing-webhooks": _periodic_job(enqueue.OUTGOING_PRUNE, 86_400),
    "delete-old-forecasts": _periodic_job(enqueue.UPKEEP_DELETE_OLD_FORECASTS, 86_400),
}
if _settings.outgoing_webhook_url:
    beat_schedule["send-outgoing-webhooks"] = _sweep(enqueue.OUTGOING_SEND, _settings.sweep_seconds)
    # A few minutes do not matter for an announcement that comes days before.
    beat_schedule["expiring"] = _periodic_job(enqueue.OUTGOING_EXPIRING, 900)
