"""Sets the clock of every Python process that a test starts to the test's own time; from there it runs on.

What the process reads of Postgres' clock is moved in the same way, with an offset of its own.
Python loads this file because the tests put its folder on `PYTHONPATH` (`tests/support/clock.py`).
"""

import importlib.util
import os
import sys
import time
from datetime import timedelta
from importlib.machinery import ModuleSpec
from typing import Any

if "libfaketime" in os.environ.get("LD_PRELOAD", ""):
    import select
    import subprocess

    # Python's own sleep waits with clock_nanosleep until a moment, and libfaketime 0.9.10 makes of it EINVAL.
    time.sleep = lambda seconds: select.select([], [], [], seconds) and None  # type: ignore[assignment]

    # libfaketime 0.9.10 calls getenv whenever a thread waits for Python's lock. With glibc before 2.41 that crashes
    # beside a setenv. So a change of os.environ stays in Python, and child processes get it as an argument.
    os.putenv = os.unsetenv = lambda *_: None  # type: ignore[assignment]
    start_process = subprocess.Popen.__init__

    def with_environment(self: Any, *arguments: Any, **options: Any) -> None:
        options["env"] = dict(os.environ if options.get("env") is None else options["env"])
        start_process(self, *arguments, **options)

    subprocess.Popen.__init__ = with_environment  # type: ignore[method-assign]

if offset := os.environ.get("TEST_CLOCK_OFFSET_SECONDS"):
    # time-machine imports pytest where it is installed, which these processes have no use for.
    sys.modules["pytest"] = None  # type: ignore[assignment]
    import time_machine

    del sys.modules["pytest"]
    traveller = time_machine.travel(time.time()).start()
    traveller.shift(time_machine.escape_hatch.time.time() + float(offset) - time.time())


class ServerClock:
    """Moves the clock of Postgres when Dust imports the module that reads it."""

    NAME = "bridge.db.server_clock"

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name != self.NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def load_and_move(module: Any) -> None:
            load(module)
            read = module.read_clock
            module.read_clock = lambda connection: read(connection) + timedelta(seconds=float(database_offset))

        spec.loader.exec_module = load_and_move  # type: ignore[method-assign]
        return spec


if database_offset := os.environ.get("TEST_DATABASE_CLOCK_OFFSET_SECONDS", ""):
    sys.meta_path.insert(0, ServerClock())
