"""Beat's scheduler, without a state file: `start_run` in `bridge/queue/job_runs.py` skips tasks that are not due.

Celery's own scheduler uses the time of day. After a clock that was ahead it sent nothing until that time had come
again, and a truncated file kept it from starting. This one counts seconds since its start.
"""

import time
from typing import Any

from celery import beat


class Scheduler(beat.Scheduler):  # type: ignore[misc]
    """Sends each entry when beat starts, and then at its interval."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._due: dict[str, float] = {}
        super().__init__(*args, **kwargs)

    def tick(self, *_: Any, **__: Any) -> float:
        """Send the entries that are due; return the seconds until the next one is due."""
        for name, entry in self.schedule.items():
            if self._due.get(name, 0.0) <= time.monotonic():
                self._due[name] = time.monotonic() + entry.schedule.run_every.total_seconds()
                self.apply_entry(entry, producer=self.producer)
        return max(0.0, min(self._due.values()) - time.monotonic())
