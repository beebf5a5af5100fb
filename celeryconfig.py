"""Celery's settings, each with its reason. Facts were measured on Celery 5.7 with Redis 6.2 and 7.0, RabbitMQ 3.10."""

from datetime import timedelta

from kombu import Exchange, Queue

from bridge.queue.broker import broker_tls
from bridge.queue.heartbeats import MIN_GAP_HEADER, WAITS_AT_FIRST_HEADER
from bridge.settings import get_settings

_settings = get_settings()

broker_url = _settings.broker_url
_redis = bool(broker_url and broker_url.startswith("redis"))
broker_use_ssl = broker_tls(broker_url or "", _settings.broker_ca_file)
redis_backend_use_ssl = broker_use_ssl if _redis else None
if broker_url and ";" in broker_url:
    # Nodes of one cluster. Celery declares what holds delayed messages at every address of `broker_url` before a worker
    # begins, and waits for one that is away: workers were seen to stand still for 17 s when a node had died. As one
    # entry of a list any node will do, and whoever connects goes by these two.
    broker_read_url = broker_write_url = broker_url
    broker_url = [broker_url]

# A broker that starts after us, or comes back late, is waited for as long as it takes: every message is also a row.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# The publisher in the web process gives up soon: the sweep finds what it could not say.
broker_connection_timeout = 2.0
# Redis' client connects anew by itself. AMQP's does so only for whoever tries again: without that one time, beat said
# "connection closed" for ever after RabbitMQ had been restarted.
task_publish_retry = not _redis
task_publish_retry_policy = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

broker_transport_options = (
    {
        # Above the hard time limit (60 s) and every delay we use (at most 225 s): a message that is out for longer is
        # delivered a second time.
        "visibility_timeout": 300,
        # What a killed worker had taken is looked for every five seconds instead of every hundred.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Without these a Redis that hangs blocks a publisher for ever.
        "socket_timeout": 10,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 15,
        # Redis may be shared with the shop.
        "global_keyprefix": "dust:",
    }
    if _redis
    else {
        # A message counts as sent when the quorum has it; else a broker that is about to die takes it and loses it.
        "confirm_publish": True,
        # As above: without these a RabbitMQ that hangs blocks a publisher for ever.
        "read_timeout": 10,
        "write_timeout": 10,
    }
)

# Nothing but JSON is ever unpacked.
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]


def _queue(name: str) -> Queue:
    """A queue with its own routing key: without one, all get the default's, and every message lands in all of them."""
    if _redis:
        return Queue(name, routing_key=name)
    return Queue(
        name,
        # Topic: a delayed message comes back from RabbitMQ's side through one. With a direct exchange Celery lets a
        # worker hold it until it is due, and two events that wait would keep a worker of two from everything else.
        Exchange("dust", type="topic"),
        routing_key=name,
        queue_arguments={
            # On a majority of the cluster's disks before it is confirmed; 15 SIGKILLs of a worker lost none of 500.
            "x-queue-type": "quorum",
            # RabbitMQ 4's default, said so that 3.10 does the same. What kills its worker's parent twenty times is
            # dropped; the sweep offers its row again, and the row's attempts end it.
            "x-delivery-limit": 20,
        },
    )


# A Medusa that hangs delays only what needs Medusa, and a long sweep delays no event. What a shopper waits for has a
# queue of its own, so that it never waits behind a backlog. On RabbitMQ the first process declares the queues, and all
# others must declare the same: they are declared here and nowhere else.
task_queues = [_queue(name) for name in ("events", "redemptions", "medusa", "sweeps")]
task_default_queue = "events"
task_routes = {
    "inbox.drain": {"queue": "events"},
    "inbox.handle": {"queue": "medusa"},
    "redemptions.advance": {"queue": "redemptions"},
    "redemptions.sweep": {"queue": "sweeps"},
    "products.*": {"queue": "medusa"},
    "reconcile.*": {"queue": "medusa"},
    # Named for its first use, it is the queue of whatever waits for somebody else's server; one sender at a time.
    "outgoing.*": {"queue": "medusa"},
    "upkeep.*": {"queue": "sweeps"},
}

# A task is done when it is done: one whose worker is killed comes again. All of ours may run twice.
task_acks_late = True
task_reject_on_worker_lost = True
# Rejecting alone would hand a task that kills its worker out for ever; this counts it as a retry and stops.
task_retry_on_worker_lost = True
# True would drop running tasks when the broker goes away for a moment; two of two were lost in a trial.
worker_cancel_long_running_tasks_on_connection_loss = False
# A slow task must not sit on others that a free child could take.
worker_prefetch_multiplier = 1
# What hangs is ended. Soft limits surface inside a database query as something else, so there are none.
task_time_limit = 60
# On shutdown, running tasks get ten seconds; with REMAP_SIGTERM=SIGQUIT nothing was lost or doubled in twenty restarts.
worker_soft_shutdown_timeout = 10
# Slow leaks, in whatever library, end with the child.
worker_max_tasks_per_child = 2000

# Successes leave nothing behind: their rows say it. Failures are kept for an operator, with exact arguments.
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

# Flower lives on these.
worker_send_task_events = True
task_track_started = True

worker_hijack_root_logger = False
timezone = "UTC"

# One plain beat is enough: every sweep is idempotent, and two at once do what one does. It has no state file.
beat_scheduler = "workers.beat:Scheduler"


def _often(task: str, seconds: float) -> dict[str, object]:
    """A sweep that does nothing when nothing is due: each message is worked, however late it is.

    No message expires: by the clock of a worker that is ahead, or behind a queue that is always late, all would.
    """
    return {"task": task, "schedule": timedelta(seconds=seconds)}


def _every(task: str, seconds: float, *, waits_at_first: bool = False) -> dict[str, object]:
    """A job that is skipped when it ran not long ago, or is running: see `workers.app.DustTask`.

    It is asked for each minute at least, so that a daily job runs where beat is restarted daily. The first of several
    messages behind a busy queue does the work, and the others are skipped.
    """
    often = min(seconds, 60)
    min_gap = seconds if seconds > often else seconds / 2
    return _often(task, often) | {
        "options": {"headers": {MIN_GAP_HEADER: min_gap, WAITS_AT_FIRST_HEADER: waits_at_first}}
    }


beat_schedule = {
    "drain-inbox": _often("inbox.drain", _settings.sweep_seconds),
    "sweep-redemptions": _often("redemptions.sweep", _settings.sweep_seconds),
    "mirror-products": _every("products.mirror", 30),
    "mature-and-expire": _every("upkeep.mature_and_expire", 60),
    "escrow": _every("upkeep.escrow", 60),
    "carry-over": _every("upkeep.carry_over", 60),
    # A new installation has nothing to compare yet.
    "reconcile": _every("reconcile.orders", _settings.reconcile_seconds, waits_at_first=True),
    "every-minute": _every("upkeep.every_minute", 60),
    "audit": _every("upkeep.audit", 3600),
    "close-days": _every("upkeep.close_days", 3600),
    "strip-old-bodies": _every("upkeep.strip_old_bodies", 3600),
    "forget": _every("upkeep.forget", 86_400),
    "prune-outgoing-webhooks": _every("outgoing.prune", 86_400),
    "delete-old-forecasts": _every("upkeep.delete_old_forecasts", 86_400),
}
if _settings.outgoing_webhook_url:
    beat_schedule["send-outgoing-webhooks"] = _often("outgoing.send", _settings.sweep_seconds)
    # A few minutes matter to nobody who is told days before.
    beat_schedule["expiring"] = _every("outgoing.expiring", 900)
