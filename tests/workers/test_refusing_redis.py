"""A Redis that answers but accepts no writes: workers wait for it, as for one that is away."""

import time
from collections.abc import Callable

import pytest
import redis

from bridge.development.stack.redis import embedded_redis
from tests.support.child_processes import data_folder
from tests.support.processes import eventually, running

pytestmark = pytest.mark.servers


def demoted(client: redis.Redis, refuses: bool) -> None:
    """A replica after a failover."""
    client.execute_command("REPLICAOF", *(("127.0.0.1", "1") if refuses else ("NO", "ONE")))


def full(client: redis.Redis, refuses: bool) -> None:
    client.config_set("maxmemory", 1 if refuses else 0)


@pytest.mark.parametrize("refusal", [demoted, full])
def test_workers_wait_for_a_redis_that_accepts_no_writes(
    settings: dict[str, str], refusal: Callable[[redis.Redis, bool], None]
) -> None:
    with data_folder() as folder, embedded_redis(folder) as url, redis.Redis.from_url(url) as client:
        environment = {**settings, "DUST_BROKER_URL": url, "DUST_SWEEP_SECONDS": "1"}
        refusal(client, True)
        with running(environment, beat="beat", worker="worker --queues events,sweeps --concurrency 1") as output:
            eventually(lambda: "Cannot connect" in output.getvalue() or "Unrecoverable" in output.getvalue())
            for _ in range(2):
                refusal(client, False)
                done = output.getvalue().count("succeeded in")
                eventually(lambda done=done: output.getvalue().count("succeeded in") > done + 5)
                refusal(client, True)
                time.sleep(3)
        assert "starting it again" not in output.getvalue()
        # One line a minute, and not several a second.
        assert output.getvalue().count("Cannot connect") <= 2
