"""Waits that a deployment counts in minutes, in seconds: the code and the order of things stay, a test ends sooner."""

from datetime import timedelta


def install(role: str) -> None:
    """Before anything has copied these figures into a name of its own."""
    import celeryconfig
    from bridge.inbox import drain, handle
    from bridge.redemptions import advance

    # Still above all calls to Medusa of a visit: three or four, none longer than DUST_MEDUSA_TIMEOUT_SECONDS (1).
    advance.LEASE = timedelta(seconds=5)
    advance.SECOND_LOOK = timedelta(seconds=2)
    advance._LONGEST_WAIT_SECONDS = 2.0
    drain.OWN_TASK_GRACE = timedelta(seconds=3)
    handle._LONGEST_WAIT_SECONDS = 1.0
    handle._SWEEP_GRACE_SECONDS = 1.0
    if role == "beat":
        for name, entry in celeryconfig.beat_schedule.items():
            # The audit reads everything that there is, again each time.
            often = timedelta(seconds=3 if name in {"audit", "forget"} else 1)
            entry["schedule"] = min(entry["schedule"], often)
            entry["options"]["expires"] = 600
