"""RabbitMQ instead of Redis, where the two differ. The rest of the suite runs on it with `TEST_BROKER=rabbitmq`.

But for one test there is no clock here: no sweep hides that a message was lost.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import psutil
import psycopg
import pytest

from bridge.queue import enqueue
from bridge.queue.enqueue import INBOX_DRAIN
from bridge.settings import get_settings
from tests.support.databases import waiting_for_locks
from tests.support.deliveries import deliver
from tests.support.orders import order, order_event
from tests.support.processes import dust_processes, eventually, serving_dust
from tests.support.rabbitmq import MISSING, RabbitMQ, running_rabbitmq

pytestmark = [pytest.mark.servers, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitMQ]:
    with running_rabbitmq() as server:
        yield server


@pytest.fixture
def environment(server: RabbitMQ, settings: dict[str, str], request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """For Dust's processes: a virtual host of the test's own, and sweeps that come every second where there are any."""
    with server.apart(request.node.name) as url:
        yield {**settings, "DUST_BROKER_URL": url, "DUST_SWEEP_SECONDS": "1"}


@pytest.fixture
def owner(settings: dict[str, str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(settings["DUST_DATABASE_URL"], autocommit=True) as connection:
        yield connection


def send(url: str, name: str) -> None:
    """An event of an order, acknowledged."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        response = deliver(client, order_event(order(f"order_{name}")), event_id=f"msg_{name}")
    assert response.status_code == 202


def states(owner: psycopg.Connection) -> dict[str, str]:
    rows = owner.execute("SELECT id, state FROM webhook_event").fetchall()
    return {event_id.removeprefix("msg_"): state for event_id, state in rows}


def wait_until_handled(owner: psycopg.Connection, *names: str) -> None:
    eventually(lambda: states(owner) == dict.fromkeys(names, "handled"))


def kill(processes: list[psutil.Process]) -> None:
    assert processes
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@contextmanager
def caught_in_the_middle(owner: psycopg.Connection, url: str, name: str) -> Iterator[None]:
    """A worker is in the middle of booking this event, and cannot go on before the block ends."""
    database_url = str(get_settings().database_url)
    with psycopg.connect(owner.info.dsn, password=owner.info.password) as other:
        other.execute("LOCK TABLE dust_transaction IN EXCLUSIVE MODE")
        send(url, name)
        eventually(lambda: waiting_for_locks(database_url) == 1)
        yield


def test_unacknowledged_messages_of_a_killed_worker_are_delivered_again(
    environment: dict[str, str], owner: psycopg.Connection
) -> None:
    with serving_dust(environment, worker="worker --concurrency 1") as url:
        with caught_in_the_middle(owner, url, "parent"):
            kill(dust_processes("worker"))
        wait_until_handled(owner, "parent")
        with caught_in_the_middle(owner, url, "child"):
            kill(dust_processes("worker")[1:])
        wait_until_handled(owner, "parent", "child")


def test_a_delayed_message_occupies_no_worker(
    environment: dict[str, str], owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUST_BROKER_URL", environment["DUST_BROKER_URL"])
    with serving_dust(environment, worker="worker --concurrency 1") as url:
        send(url, "first")
        wait_until_handled(owner, "first")
        with publishing():
            # More messages than a worker with one process prefetches.
            for _ in range(4):
                assert enqueue.publish(INBOX_DRAIN, countdown_seconds=600)
        send(url, "second")
        wait_until_handled(owner, "first", "second")


def test_after_a_restart_of_rabbitmq_messages_arrive_again(
    environment: dict[str, str], owner: psycopg.Connection, server: RabbitMQ
) -> None:
    with serving_dust(environment, worker="worker --concurrency 1") as url:
        send(url, "before")
        wait_until_handled(owner, "before")
        server.kill()
        send(url, "meanwhile")
        assert httpx.get(f"{url}/health/ready", timeout=60, trust_env=False).json()["degraded"] == ["broker"]
        server.start()
        assert states(owner)["meanwhile"] == "pending"
        send(url, "after")
        wait_until_handled(owner, "before", "meanwhile", "after")


def test_the_sweep_finds_events_that_arrived_while_rabbitmq_was_away(
    environment: dict[str, str], owner: psycopg.Connection, server: RabbitMQ
) -> None:
    with serving_dust(environment, worker="worker --concurrency 1", beat="beat") as url:
        send(url, "before")
        wait_until_handled(owner, "before")
        server.kill()
        send(url, "meanwhile")
        server.start()
        wait_until_handled(owner, "before", "meanwhile")


def test_a_rabbitmq_that_hangs_blocks_no_process(
    environment: dict[str, str], server: RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUST_BROKER_URL", environment["DUST_BROKER_URL"])
    with publishing():
        assert enqueue.publish(INBOX_DRAIN)
        server.pause()
        try:
            assert not enqueue.publish(INBOX_DRAIN)
        finally:
            server.resume()
        eventually(lambda: enqueue.publish(INBOX_DRAIN))


@contextmanager
def publishing() -> Iterator[None]:
    """Make this process publish to the broker of its present environment."""

    def reread_clock() -> None:
        get_settings.cache_clear()
        enqueue._publisher.clear()
        sys.modules.pop("celeryconfig", None)

    reread_clock()
    try:
        yield
    finally:
        enqueue._publisher().close()
        reread_clock()
