"""A worker ends on request, even if its children hang."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from bridge.development.stack.processes import spawn, stop
from tests.support.brokers import own_broker
from tests.support.processes import PATIENCE_SECONDS

pytestmark = pytest.mark.servers

WORKER = """
import sys
import workers.app
from celery.__main__ import main

workers.app.ENDS_WITHIN_SECONDS = 2.0
sys.argv = ["celery", "--app", "workers.app", "worker", "--queues", "events", "--concurrency", "1", "--pool", "prefork"]
main()
"""


@pytest.mark.parametrize("remapped", ["", "SIGQUIT"])
def test_a_worker_whose_child_hangs_ends_and_prints_where_it_waited(settings: dict[str, str], remapped: str) -> None:
    """Started by `celery worker`, and by `dust worker`, which lets Celery treat SIGTERM as SIGQUIT."""
    with own_broker() as broker:
        around = {**os.environ, **settings, "DUST_BROKER_URL": broker.url, "REMAP_SIGTERM": remapped}
        worker = spawn([sys.executable, "-c", WORKER], death_signal=signal.SIGKILL, env=around, stdout=subprocess.PIPE)
        assert worker.stdout is not None
        try:
            assert any(b" ready." in line for line in worker.stdout)
            # A worker is ready a moment before its child is.
            time.sleep(1)
            (child,) = psutil.Process(worker.pid).children()
            child.suspend()
            worker.terminate()
            assert worker.wait(PATIENCE_SECONDS) == 1
            child.kill()
            output = worker.stdout.read().decode()
            assert "Timeout (0:00:02)!" in output
            assert "in join" in output
        finally:
            stop(worker)
            worker.stdout.close()
