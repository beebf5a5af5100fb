"""Python's collector of reference cycles, told what our processes are like.

It looks through everything alive after every 700 new objects that stay. A batch of orders is some hundred thousand of
them, none of which is a cycle: draining spent a fifth of its time on looking. And what a process has loaded by the time
it starts to work stays until it ends, so that need never be looked at again.
"""

import gc

# A batch of 500 orders comes to a handful of looks instead of hundreds.
_NEW_OBJECTS = 50_000


def collect_seldom() -> None:
    """Call it once in a process, when all is loaded and before its work begins."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
