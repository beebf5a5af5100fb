"""A worker that is asked to end does so, whatever its children do."""

import os
import signal
import sys

import psutil
import pytest

from bridge.settings import get_settings
from bridge.stack.processes import spawn, stop
from bridge.wake import queues_with_workers
from tests.support.brokers import own_broker
from tests.support.processes import PATIENCE_SECONDS, eventually

WORKER = """
import sys
import workers.app
from celery.__main__ import main

workers.app.ENDS_WITHIN_SECONDS = 2.0
sys.argv = ["celery", "--app", "workers.app", "worker", "--queues", "events", "--concurrency", "1", "--pool", "prefork"]
main()
"""


def test_a_worker_whose_child_hangs_ends_all_the_same(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_broker() as broker:
        monkeypatch.setenv("DUST_BROKER_URL", broker.url)
        get_settings.cache_clear()
        worker = spawn([sys.executable, "-c", WORKER], death_signal=signal.SIGKILL, env=dict(os.environ))
        try:
            eventually(lambda: queues_with_workers(timeout_seconds=0.5).get("events", 0) > 0)
            (child,) = psutil.Process(worker.pid).children()
            child.suspend()
            worker.terminate()
            assert worker.wait(PATIENCE_SECONDS) == 1
        finally:
            stop(worker)
    get_settings.cache_clear()
