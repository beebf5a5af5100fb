"""Limits above which a person must act, for the doctor and the alerts, and how an age is written.

`docs/reference/alerts.yml` has the same limits.
"""

from datetime import timedelta

# Beat sends a job every minute.
BEAT_STOPPED = timedelta(minutes=5)
EVENTS_WAIT = timedelta(minutes=5)
# A shopper waits in front of the screen.
REDEMPTIONS_WAIT = timedelta(minutes=2)
RECONCILE_STOPPED = timedelta(minutes=30)
OUTGOING_WEBHOOKS_WAIT = timedelta(hours=1)
# The audit runs every hour.
AUDIT_STOPPED = timedelta(hours=3)


def minutes(age: timedelta) -> str:
    return f"{age.total_seconds() / 60:.0f} minutes"
