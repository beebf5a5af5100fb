"""Messages reach the one queue they are meant for."""

import runpy
from collections.abc import Iterator
from typing import Any

import pytest

import celeryconfig
from bridge.settings import get_settings
from workers.app import app


@pytest.fixture
def on_rabbitmq(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The settings of a Dust whose broker is RabbitMQ."""
    monkeypatch.setenv("DUST_BROKER_URL", "amqp://127.0.0.1/dust")
    get_settings.cache_clear()
    yield runpy.run_path(celeryconfig.__file__)
    get_settings.cache_clear()


def test_every_queue_has_a_routing_key_of_its_own() -> None:
    # With one key for all, each message would land in every queue and each task run three times.
    queues = app.amqp.queues
    assert {name: queue.routing_key for name, queue in queues.items()} == {name: name for name in queues}
    assert set(queues) == {"events", "medusa", "sweeps"}


def test_on_rabbitmq_the_same_queues_are_quorum_queues_that_take_delayed_messages(on_rabbitmq: dict[str, Any]) -> None:
    queues = on_rabbitmq["task_queues"]
    assert {queue.name: queue.routing_key for queue in queues} == {name: name for name in app.amqp.queues}
    # What Celery wants before it leaves the waiting to RabbitMQ.
    assert {queue.exchange.type for queue in queues} == {"topic"}
    assert {queue.queue_arguments["x-queue-type"] for queue in queues} == {"quorum"}
    assert on_rabbitmq["result_backend"] is None
