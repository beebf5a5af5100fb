"""The health check names what is missing or degraded, and the age of the oldest waiting work."""

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from bridge.db import DatabaseReadOnly, dispose_engine, driver_url, make_engine, migrations
from bridge.inbox.process_batch import process_batch
from bridge.settings import get_settings
from tests.support import tokens
from tests.support.brokers import ON_RABBITMQ, own_broker
from tests.support.clock import moved
from tests.support.databases import lost_database
from tests.support.deliveries import deliver
from tests.support.orders import event, line, order, order_event


@pytest.fixture
def hanging_broker() -> Iterator[str]:
    """A broker that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def as_owner(database: str, statement: str) -> None:
    engine = create_engine(driver_url(database))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_a_monitor_may_send_head(api: TestClient, path: str) -> None:
    assert api.head(path).status_code == 200
    assert api.post(path).status_code == 405


@pytest.mark.system
@pytest.mark.skipif(ON_RABBITMQ, reason="is about Redis")
def test_a_redis_that_takes_no_messages_is_degraded(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with own_broker() as broker, redis.Redis.from_url(broker.url) as server:
        monkeypatch.setenv("DUST_BROKER_URL", broker.url)
        get_settings.cache_clear()
        assert api.get("/health/ready").json()["degraded"] == []
        server.config_set("maxmemory", "1")
        assert api.get("/health/ready").json()["degraded"] == ["broker"]
        server.config_set("maxmemory", "0")
        server.replicaof("127.0.0.1", "1")
        assert api.get("/health/ready").json()["degraded"] == ["broker"]


def test_ready_without_a_broker_says_so(api: TestClient) -> None:
    response = api.get("/health/ready")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "degraded": ["broker"],
        "oldest_waiting_event_seconds": None,
        "oldest_waiting_promise_seconds": None,
    }


def test_a_broker_that_hangs_does_not_block_the_health_check(
    api: TestClient, hanging_broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUST_BROKER_URL", hanging_broker)
    get_settings.cache_clear()
    response = api.get("/health/ready")
    assert (response.status_code, response.json()["degraded"]) == (200, ["broker"])
    assert response.elapsed < timedelta(seconds=8)


def test_settings_in_the_database_address_are_used(settings: dict[str, str]) -> None:
    asked = "-c%20extra_float_digits%3D2%20-c%20timezone%3DCET"
    engine = make_engine(f"{settings['DUST_DATABASE_URL']}?options={asked}")
    with engine.connect() as connection:
        values = [
            connection.scalar(text(f"SHOW {name}")) for name in ("extra_float_digits", "timezone", "lock_timeout")
        ]
    engine.dispose()
    assert values == ["2", "UTC", "10s"]


def test_a_standby_server_accepts_no_event_and_fails_none(api: TestClient, settings: dict[str, str]) -> None:
    database = settings["DUST_DATABASE_URL"]
    name = database.rpartition("/")[2]
    deliver(api, order_event(order(lines=[line(price=100)])))
    as_owner(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    dispose_engine()
    response = deliver(api, order_event(order("order_2")))
    assert (response.status_code, response.json()["code"]) == (503, "database_read_only")
    with pytest.raises(DatabaseReadOnly):
        process_batch()
    as_owner(database, f"SET TRANSACTION READ WRITE; ALTER DATABASE {name} RESET default_transaction_read_only")
    dispose_engine()
    process_batch()
    assert api.get("/store/dust/balance", headers=tokens.customer()).json()["balance"] == 100


def test_the_ages_of_waiting_work(api: TestClient) -> None:
    deliver(api, order_event(order(lines=[line(price=100)])))
    process_batch()
    deliver(api, event("order.placed", {"id": "order_2"}))
    headers = {**tokens.customer(), "idempotency-key": "key"}
    api.post("/store/dust/redemptions", json={"dust": 10, "currency_code": "eur"}, headers=headers)
    with moved(timedelta(minutes=3)):
        answer = api.get("/health/ready").json()
    assert answer["oldest_waiting_event_seconds"] == pytest.approx(180, abs=20)
    assert answer["oldest_waiting_promise_seconds"] == pytest.approx(180, abs=20)


def test_without_the_database_it_is_named(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with lost_database(monkeypatch):
        response = api.get("/health/ready")
    assert (response.status_code, response.json()["missing"]) == (503, ["database"])
    assert response.headers["retry-after"]
    assert api.get("/health/live").status_code == 200


def test_a_database_that_lags_behind_is_named(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "known_revisions", lambda: ("0002", "0001"))
    response = api.get("/health/ready")
    assert (response.status_code, response.json()["missing"]) == (503, ["migrations"])


def test_a_database_without_a_revision_lags_behind(api: TestClient, database: str) -> None:
    as_owner(database, "DELETE FROM alembic_version")
    response = api.get("/health/ready")
    assert (response.status_code, response.json()["missing"]) == (503, ["migrations"])


def test_a_database_that_newer_code_has_migrated_is_served(api: TestClient, database: str) -> None:
    as_owner(database, "UPDATE alembic_version SET version_num = '9999'")
    assert api.get("/health/ready").status_code == 200
