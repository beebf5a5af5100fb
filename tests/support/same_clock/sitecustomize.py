"""Sets the clock of every Python process that a test starts to the test's own time; from there it runs on.

Python loads this file because the tests put its folder on `PYTHONPATH` (`tests/support/clock.py`).
"""

import os
import sys
import time

if "libfaketime" in os.environ.get("LD_PRELOAD", ""):
    import select

    # Python's own sleep waits with clock_nanosleep until a moment, and libfaketime 0.9.10 makes of it EINVAL.
    time.sleep = lambda seconds: select.select([], [], [], seconds) and None  # type: ignore[assignment]

if offset := os.environ.get("TEST_CLOCK_OFFSET_SECONDS"):
    # time-machine imports pytest where it is installed, which these processes have no use for.
    sys.modules["pytest"] = None  # type: ignore[assignment]
    import time_machine

    del sys.modules["pytest"]
    traveller = time_machine.travel(time.time()).start()
    traveller.shift(time_machine.escape_hatch.time.time() + float(offset) - time.time())
