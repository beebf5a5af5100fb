"""Each message goes to exactly one queue."""

import runpy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.worker.consumer.delayed_delivery import DelayedDelivery

import celeryconfig
from bridge.settings import get_settings
from workers.app import app

Configured = Callable[..., dict[str, Any]]


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configured]:
    """Celery's settings for these variables of Dust's."""

    def read(**variables: str) -> dict[str, Any]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        return runpy.run_path(celeryconfig.__file__)

    yield read
    get_settings.cache_clear()


@pytest.fixture
def on_rabbitmq(configured: Configured) -> dict[str, Any]:
    return configured(DUST_BROKER_URL="amqp://127.0.0.1/dust")


def test_every_queue_has_a_routing_key_of_its_own() -> None:
    # With one key for all, each message would land in every queue and each task run three times.
    queues = app.amqp.queues
    assert {name: queue.routing_key for name, queue in queues.items()} == {name: name for name in queues}
    assert set(queues) == {"events", "redemptions", "medusa", "sweeps"}


def test_on_rabbitmq_the_same_queues_are_quorum_queues_that_take_delayed_messages(on_rabbitmq: dict[str, Any]) -> None:
    queues = on_rabbitmq["task_queues"]
    assert {queue.name: queue.routing_key for queue in queues} == {name: name for name in app.amqp.queues}
    # The settings with which Celery lets RabbitMQ delay messages.
    assert {queue.exchange.type for queue in queues} == {"topic"}
    assert {queue.queue_arguments["x-queue-type"] for queue in queues} == {"quorum"}
    assert on_rabbitmq["result_backend"] is None


def test_a_client_of_a_cluster_has_all_its_nodes(configured: Configured) -> None:
    settings = configured(DUST_BROKER_URL="amqp://u:p@one/dust; amqp://u:p@two/dust")
    app = Celery(set_as_current=False)
    app.conf.update({name: value for name, value in settings.items() if name.startswith("broker_")})
    for connection in (app.connection_for_read(), app.connection_for_write()):
        assert connection.alt == ["amqp://u:p@one/dust", "amqp://u:p@two/dust"]
    # A queue is declared once for a cluster, at the node that answers.
    (address,) = DelayedDelivery._validate_broker_urls(None, app.conf.broker_url)
    assert app.connection_for_write(url=address).alt == ["amqp://u:p@one/dust", "amqp://u:p@two/dust"]


@pytest.mark.parametrize(
    "name", ["CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND"]
)
def test_another_program_s_broker_is_not_used(
    monkeypatch: pytest.MonkeyPatch, configured: Configured, name: str
) -> None:
    monkeypatch.setenv(name, "redis://another-program/7")
    values = configured(DUST_BROKER_URL="redis://dust/0")
    celery = Celery("dust")
    celery.config_from_object(
        {name: value for name, value in values.items() if name in ("broker_url", "result_backend")}
    )
    conf = celery.conf
    used = {conf.broker_url, conf.broker_read_url, conf.broker_write_url, conf.result_backend}
    assert used == {"redis://dust/0"}
