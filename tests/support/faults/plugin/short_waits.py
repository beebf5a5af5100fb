"""Shortens waits of minutes to seconds. The code and the sequence of events stay the same."""

from datetime import timedelta

_WAITED_FOR = {"mirror-products", "mature-and-expire", "escrow", "carry-over", "expiring"}


def install(role: str) -> None:
    """Call it before other modules import these constants."""
    import celeryconfig
    from bridge.inbox import process_batch, process_one
    from bridge.outgoing import send
    from bridge.redemptions import medusa_sync, repository
    from bridge.settlement import facts

    # Still above all calls to Medusa of a visit: the first that takes DUST_MEDUSA_TIMEOUT_SECONDS (1) ends it, and the
    # others take milliseconds.
    medusa_sync.LEASE = timedelta(seconds=5)
    medusa_sync.SECOND_CHECK_DELAY = timedelta(seconds=2)
    medusa_sync._MAX_WAIT_SECONDS = 2.0
    process_batch.OWN_TASK_GRACE = repository.ENQUEUE_GRACE = timedelta(seconds=3)
    process_one._MAX_WAIT_SECONDS = 1.0
    process_one._SWEEP_GRACE_SECONDS = 1.0
    facts.CHECK_AFTER = timedelta(seconds=2)
    send.TIMEOUT_SECONDS = 1.0
    send._MAX_WAIT_SECONDS = send._MAX_PAUSE_SECONDS = 1.0
    # Above the longest run: its seconds, and one more call.
    send._LEASE = timedelta(seconds=5)
    if role == "worker":
        from workers import outgoing

        outgoing._SEND_SECONDS = 2.0
    if role == "beat":
        for name, entry in celeryconfig.beat_schedule.items():
            often = timedelta(seconds=5 if name in _WAITED_FOR else 10)
            entry["schedule"] = min(entry["schedule"], often)
            # No job is skipped because it has just run.
            entry["options"] = {}
