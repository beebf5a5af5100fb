"""How long to wait before something that failed is tried again."""

import random

_FIRST_SECONDS = 2.0
# Give or take a quarter, so that what failed together does not come back together.
_JITTER = 0.25


def backoff_seconds(attempts: int, *, longest_seconds: float) -> float:
    """After 1, 2, 3, … failed attempts: 2, 4, 8, … seconds, never more than `longest_seconds`, with jitter."""
    wait = min(_FIRST_SECONDS * 2.0 ** (attempts - 1), longest_seconds)
    return wait * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load, hides nothing
