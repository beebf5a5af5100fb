"""Exponential backoff with jitter: the wait before the next attempt."""

import random

_FIRST_SECONDS = 2.0
# Plus or minus a quarter, so that attempts that failed together are not retried together.
_JITTER = 0.25
# Doubling ends here: a power of 2 beyond 1,023 is too large for a float, and some calls are repeated for weeks.
_MAX_DOUBLINGS = 30


def backoff_seconds(attempts: int, *, max_seconds: float) -> float:
    """After 1, 2, 3, … failed attempts: 2, 4, 8, … seconds, at most `max_seconds`, plus or minus jitter."""
    wait = min(_FIRST_SECONDS * 2.0 ** min(attempts - 1, _MAX_DOUBLINGS), max_seconds)
    return wait * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load, hides nothing
