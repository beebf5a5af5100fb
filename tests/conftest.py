"""Fixtures: a real Postgres for each test process, a fresh database for each test, and a clean audit after it."""

import logging
import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from bridge import db
from bridge.db import migrations
from bridge.development.stack.postgres import embedded_postgres
from bridge.medusa import client as medusa_client
from bridge.observability import metrics
from bridge.observability.logs import set_up_logs
from bridge.operations.audit import audit
from bridge.programme import shop_currencies
from bridge.queue import enqueue
from bridge.settings import get_settings
from tests.support import clock
from tests.support import medusa as fake
from tests.support.databases import ReusedDatabase, create_copy, drop_database, on_server
from tests.support.deliveries import WEBHOOK_SECRET
from tests.support.locks import lock_order_violations
from tests.support.medusa import FakeMedusa
from tests.support.rabbitmq import end_shared_rabbitmq
from tests.support.receiver import OUTGOING_WEBHOOK_SECRET, Receiver, receiving
from tests.support.tokens import ADMIN_TOKEN, JWT_SECRET

# A crash would lose data: only tests of crashes need the protection against it.
# Autovacuum would change plans and the figures of a table at any moment.
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


# No test fails because the machine is busy. A test with its own list of health checks has to add `too_slow`.
hypothesis_settings.register_profile("dust", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("dust")

# These use real servers, which do not have the tests' clock.
_WALL_CLOCK_MARKERS = ("live", "faults", "bench", "containers")

# Every test of these folders is a `system` test, and so is every one marked `servers`.
_SYSTEM_FOLDERS = {"attacks", "concurrency", "migrations", "prometheus", "stack"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before pytest deselects by marker."""
    for item in items:
        if item.get_closest_marker("servers") or item.path.parent.name in _SYSTEM_FOLDERS:
            item.add_marker(pytest.mark.system)


_in_core_test = False


def _refuse_processes(event: str, _: object) -> None:
    assert not (_in_core_test and event in ("subprocess.Popen", "os.posix_spawn")), (
        "A test that starts a process is marked `system`, so that `make test` stays fast"
    )


sys.addaudithook(_refuse_processes)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Core tests start no process. Fixtures may: Postgres is one."""
    global _in_core_test
    _in_core_test = not any(item.get_closest_marker(name) for name in ("system", *_WALL_CLOCK_MARKERS))
    try:
        return (yield)
    finally:
        _in_core_test = False


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Values that test files create when they are imported, such as tokens, have the same time."""
    if session.config.option.markexpr == "faults":
        # The failure matrix plays an undisturbed walk with real processes while its tests are collected.
        return (yield)
    with clock.frozen():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Each test, with its fixtures, has the frozen clock."""
    if any(item.get_closest_marker(name) for name in _WALL_CLOCK_MARKERS):
        return (yield)
    with clock.frozen():
        return (yield)


def pytest_unconfigure() -> None:
    end_shared_rabbitmq()


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> None:
    for name in [name for name in os.environ if name.startswith("DUST_")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A Postgres server with a migrated database to copy from; the URL of that database.

    `TEST_POSTGRES_URL` names another server instead, for example of another version, with a superuser.
    """
    if server := os.environ.get("TEST_POSTGRES_URL"):
        yield from _template_on(server)
        return
    # Not pytest's temporary folder: when root runs the tests, Postgres runs as a user that may not pass through it.
    with tempfile.TemporaryDirectory(prefix="dust-test-") as folder:
        Path(folder).chmod(0o711)
        with embedded_postgres(Path(folder), settings=_QUICK) as url:
            migrations.upgrade(url)
            yield url


def _template_on(server: str) -> Iterator[str]:
    name = f"dust_{uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    migrations.upgrade(on_server(server, name))
    yield on_server(server, name)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def _reused_database(postgres: str) -> Iterator[ReusedDatabase]:
    reused = ReusedDatabase(postgres)
    yield reused
    reused.drop()


@pytest.fixture
def database(request: pytest.FixtureRequest, postgres: str) -> Iterator[str]:
    """The URL of an empty, migrated database: a new one for a `system` test, whose processes may outlive it."""
    if request.node.get_closest_marker("system"):
        url = create_copy(postgres)
        yield url
        drop_database(url)
    else:
        with request.getfixturevalue("_reused_database").borrowed() as url:
            yield url


def _forget() -> None:
    _forget_all_but_engine()
    db.dispose_engine()


def _forget_all_but_engine() -> None:
    # A task that ran in this process has started a thread that saves what it counts, to a database that goes away now.
    if keeper := metrics._keeper.clear():
        keeper._leaving.set()
        # Wait until it has returned its connection: one returned after the engine was disposed of is never closed.
        keeper.join()
    get_settings.cache_clear()
    medusa_client.get_medusa.clear()
    shop_currencies.reset_currencies()


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """The API and the workers send the logs to a stream that belongs to one test only."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """An environment with all settings. After the test the ledger and the order of locks are checked."""
    environment = {
        "DUST_DATABASE_URL": database,
        "DUST_DATA_DIR": str(tmp_path),
        "DUST_WEBHOOK_SECRETS": WEBHOOK_SECRET,
        "DUST_JWT_SECRET": JWT_SECRET,
        "DUST_ADMIN_TOKEN": ADMIN_TOKEN,
        "DUST_MEDUSA_URL": fake.URL,
        "DUST_MEDUSA_API_KEY": fake.API_KEY,
        "DUST_MEDUSA_PUBLISHABLE_KEY": fake.PUBLISHABLE_KEY,
        "DUST_LOG_FORMAT": "json",
        # The clock stands still, so the counts would never be reset. `test_rate_limits.py` has its own limits.
        "DUST_RATE_LIMIT_CUSTOMERS": "100000/minute",
        "DUST_RATE_LIMIT_GUESTS": "100000/minute",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    _forget()
    is_reused = not request.node.get_closest_marker("system")
    reused = request.getfixturevalue("_reused_database") if is_reused else None
    with reused.engine_reused() if reused else nullcontext(), lock_order_violations() as out_of_order:
        yield environment
        breaches = reused.breaches() if reused else audit()
        _forget_all_but_engine()
    db.dispose_engine()
    assert breaches == []
    assert out_of_order == []


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The tasks that Dust enqueued, in sequence."""
    tasks: list[tuple[Any, ...]] = []
    monkeypatch.setattr(enqueue.MessageSender, "enqueue", lambda self, task, *args: tasks.append((task, *args)))
    return tasks


@pytest.fixture
def medusa(settings: dict[str, str]) -> Iterator[FakeMedusa]:
    """A stand-in Medusa that every call of this process reaches."""
    stand_in = FakeMedusa()
    with fake.mounted(stand_in):
        yield stand_in


@pytest.fixture
def receiver(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver of outgoing webhooks, and Dust configured to send them."""
    with receiving() as there:
        monkeypatch.setenv("DUST_OUTGOING_WEBHOOK_URL", there.url)
        monkeypatch.setenv("DUST_OUTGOING_WEBHOOK_SECRET", OUTGOING_WEBHOOK_SECRET)
        get_settings.cache_clear()
        yield there
        there.check_payloads()


@pytest.fixture(scope="session")
def _apps() -> dict[str, FastAPI]:
    """The API by settings: a new one takes 100 ms at its first request, which reads the signatures of all endpoints."""
    return {}


@pytest.fixture
def api(
    settings: dict[str, str],
    enqueued: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    _apps: dict[str, FastAPI],
) -> Iterator[TestClient]:
    """The API, without a server in between. It does not save what it counted at its end: a tenth of the time."""
    from bridge import app as module

    monkeypatch.setattr(module, "stop_saving", lambda: None)
    read = get_settings()
    set_up_logs(read)
    key = read.model_dump_json(exclude={"database_url", "data_dir"})
    app = _apps.get(key) or _apps.setdefault(key, module.create_app())
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
