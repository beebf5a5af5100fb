"""The broker that tests use: an embedded Redis, or with `TEST_BROKER=rabbitmq` a virtual host of a RabbitMQ."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol
from uuid import uuid4

import redis

from bridge.development.stack.redis import embedded_redis
from tests.support.child_processes import data_folder
from tests.support.rabbitmq import RabbitMQ, shared_rabbitmq

ON_RABBITMQ = os.environ.get("TEST_BROKER", "redis") == "rabbitmq"


class Broker(Protocol):
    """A broker: `url` is its address for Dust, the methods are failures."""

    url: str

    def answers(self) -> bool: ...

    def kill(self) -> None:
        """Kill it with SIGKILL. It is restarted automatically, with the messages that it had stored."""

    def empty(self) -> None:
        """Delete every waiting message."""


class _Redis:
    def __init__(self, url: str) -> None:
        self.url = url
        self._client = redis.Redis.from_url(url)

    def answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self._client.ping())
        return False

    def kill(self) -> None:
        os.kill(self._client.info("server")["process_id"], signal.SIGKILL)

    def empty(self) -> None:
        self._client.flushall()

    def close(self) -> None:
        self._client.close()


class _Host:
    """A virtual host. `kill` kills its whole server."""

    def __init__(self, server: RabbitMQ, url: str) -> None:
        self.url = url
        self._server = server

    def answers(self) -> bool:
        return self._server.answers()

    def kill(self) -> None:
        self._server.kill()
        self._server.start()

    def empty(self) -> None:
        host = self.url.rpartition("/")[2]
        for queue in self._server.ask("GET", f"/api/queues/{host}").raise_for_status().json():
            self._server.ask("DELETE", f"/api/queues/{host}/{queue['name']}/contents")


@contextmanager
def own_broker() -> Iterator[Broker]:
    """Start a separate broker during the block."""
    if ON_RABBITMQ:
        server = shared_rabbitmq()
        with server.apart(f"test-{uuid4().hex[:8]}") as url:
            yield _Host(server, url)
    else:
        with data_folder() as folder, embedded_redis(folder) as url:
            broker = _Redis(url)
            try:
                yield broker
            finally:
                broker.close()


@contextmanager
def broker_for_a_stack() -> Iterator[str | None]:
    """`DUST_BROKER_URL` for a `dust up`: of a RabbitMQ if one is asked for, else None, and it brings its own Redis."""
    if ON_RABBITMQ:
        with own_broker() as broker:
            yield broker.url
    else:
        yield None
