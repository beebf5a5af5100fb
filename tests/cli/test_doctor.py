"""`dust doctor`: each check is made to fail on purpose. Only its line is ✗, and it says how to fix the cause."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import redis
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from bridge import db
from bridge.cli import app
from bridge.clock import now
from bridge.db import migrations, transaction
from bridge.development.stack.processes import until
from bridge.operations.doctor import database, examine, processes
from bridge.operations.doctor.finding import Finding
from bridge.programme.rules import Programme
from bridge.programme.versions import add_version
from bridge.queue import enqueue
from bridge.queue.job_runs import BEAT, record_run
from bridge.settings import get_settings
from tests.support import clock, tokens
from tests.support.brokers import ON_RABBITMQ, own_broker
from tests.support.clock import machine_now, moved
from tests.support.databases import NOWHERE
from tests.support.medusa import API_KEY, PUBLISHABLE_KEY
from tests.support.ports import reserved_port

# One worker serves all queues.
pytestmark = pytest.mark.system

_PATIENCE_SECONDS = 60.0


class Site:
    """An HTTP server with the given responses; any other path is 404."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.ahead = timedelta()
        self.says_the_time = True
        self.url = ""


class Shop(Site):
    """A Medusa with the paths that the doctor reads."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = {
            "/health": (200, "OK"),
            **{
                f"/admin/{name}": (200, {name: []})
                for name in ("orders", "payments", "customers", "products", "promotions")
            },
            "/store/regions": (200, {"regions": []}),
            "/admin/dust/deliveries": (
                200,
                {"waiting": 0, "rejected": 0, "oldest_waiting_at": None, "undelivered": []},
            ),
        }


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = site.answers.get(self.path.partition("?")[0], (404, {}))
            content = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response_only(status)
            if site.says_the_time:
                self.send_header("date", format_datetime(now() + site.ahead, usegmt=True))
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def worker(broker: str, database: str, queues: str) -> Iterator[None]:
    variables = {"DUST_BROKER_URL": broker, "DUST_DATABASE_URL": database, "DUST_LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "bridge.cli", "worker", "--concurrency", "1", "--queues", queues]
    process = subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_SECONDS)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def broker(postgres: str) -> Iterator[str]:
    """A real broker with a worker for every queue."""
    with clock.running(), own_broker() as server, worker(server.url, postgres, "events,redemptions,medusa,sweeps"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DUST_BROKER_URL", server.url)
            reread_clock()
            assert until(lambda: all(enqueue.queues_with_workers(timeout_seconds=0.5).values()), _PATIENCE_SECONDS)
        yield server.url
    reread_clock()


def reread_clock() -> None:
    """Drop cached settings. Celery's settings are a module that is imported once."""
    get_settings.cache_clear()
    db.dispose_engine()
    enqueue._publisher.clear()
    sys.modules.pop("celeryconfig", None)


@pytest.fixture
def shop() -> Iterator[Site]:
    with serving(Shop()) as site:
        yield site


@pytest.fixture
def flower() -> Iterator[Site]:
    site = Site()
    site.answers["/healthcheck"] = (200, "OK")
    with serving(site):
        yield site


class Installation:
    """A running installation; `change` changes its environment."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def change(self, **variables: str | None) -> None:
        for name, value in variables.items():
            if value is None:
                self._patch.delenv(f"DUST_{name}", raising=False)
            else:
                self._patch.setenv(f"DUST_{name}", value)
        reread_clock()

    def examined(self) -> dict[str, Finding]:
        return {finding.check: finding for finding in examine()}

    def only_wrong(self, *checks: str, skipped: tuple[str, ...] = ()) -> Finding:
        """The finding of the first of these checks. Asserts that exactly these are ✗."""
        findings = self.examined()
        assert {name for name, finding in findings.items() if finding.ok is False} == set(checks)
        assert {name for name, finding in findings.items() if finding.ok is None} == set(skipped)
        assert all(findings[name].fix for name in checks)
        return findings[checks[0]]


@pytest.fixture
def installation(
    settings: dict[str, str], broker: str, shop: Site, flower: Site, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    # The check waits this long for the last worker.
    monkeypatch.setattr(processes, "_WORKERS_ANSWER_SECONDS", 0.7)
    # Postgres has its own clock. The database clock check gets the tests' clock instead.
    ahead = now() - machine_now()
    monkeypatch.setattr(database, "_postgres_now", lambda: machine_now() + ahead)
    running = Installation(monkeypatch)
    running.change(BROKER_URL=broker, MEDUSA_URL=shop.url, FLOWER_PORT=flower.url.rpartition(":")[2])
    with db.transaction() as connection:
        record_run(connection, BEAT, {}, now=now())
    yield running
    # The audit at the end needs the original database.
    running.change(**{name.removeprefix("DUST_"): value for name, value in settings.items()})


def as_owner(database: str, statement: str) -> None:
    engine = create_engine(db.driver_url(database))
    with engine.begin() as connection:
        connection.execute(text(statement), {"now": now(), "received": now() - timedelta(minutes=20)})
    engine.dispose()


def test_without_problems_every_line_is_a_tick(installation: Installation) -> None:
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    assert result.output.count("✓") == len(installation.examined()) == 20
    assert "✗" not in result.output


def test_a_cross_comes_with_how_to_fix_it_and_exit_code_1(installation: Installation, flower: Site) -> None:
    flower.answers.clear()
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert f"✗ flower: {flower.url} answers 404: that is not Flower\n  → Set DUST_FLOWER_PORT" in result.output


def test_json_says_the_same(installation: Installation, flower: Site) -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0
    assert {check["check"]: check["ok"] for check in json.loads(result.output)}["database"] is True
    flower.answers.clear()
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    (wrong,) = [check for check in json.loads(result.output) if not check["ok"]]
    assert wrong["check"] == "flower"
    assert wrong["fix"]


@pytest.mark.parametrize("name", ["WEBHOOK_SECRETS", "ADMIN_TOKEN", "JWT_SECRET"])
def test_a_missing_secret_is_named(installation: Installation, name: str) -> None:
    installation.change(**{name: None})
    assert f"DUST_{name}" in installation.only_wrong("secrets").detail


def test_a_weak_secret_is_named_and_not_shown(installation: Installation) -> None:
    installation.change(JWT_SECRET="supersecret", ADMIN_TOKEN="short-admin-token")
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "✗ settings: DUST_JWT_SECRET: too weak" in result.output
    assert "✗ settings: DUST_ADMIN_TOKEN: too weak" in result.output
    assert "supersecret" not in result.output
    assert "short-admin-token" not in result.output


NEED_DATABASE = (
    "migrations",
    "sessions",
    "privileges",
    "programme",
    "database clock",
    "inbox",
    "beat",
    "time",
    "outgoing webhooks",
)


def test_a_database_that_does_not_answer(installation: Installation) -> None:
    installation.change(DATABASE_URL=NOWHERE)
    finding = installation.only_wrong("database", skipped=NEED_DATABASE)
    assert "refused" in finding.detail
    assert "DUST_DATABASE_URL" in finding.fix


def test_no_database_named(installation: Installation) -> None:
    installation.change(DATABASE_URL=None)
    assert "dust up" in installation.only_wrong("database", skipped=NEED_DATABASE).fix


def test_a_database_that_lags_behind(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "known_revisions", lambda: ("0002", "0001"))
    finding = installation.only_wrong(
        "migrations", skipped=("sessions", "privileges", "programme", "inbox", "beat", "time", "outgoing webhooks")
    )
    assert "dust migrate" in finding.fix


def test_a_role_that_may_change_the_ledger(installation: Installation, database: str) -> None:
    as_owner(database, f"GRANT UPDATE ON dust_transaction TO {db.APP_ROLE}")
    assert "GRANT dust_app" in installation.only_wrong("privileges").fix


# libfaketime moves the clock of Python and not that of the embedded Postgres.
@pytest.mark.servers
def test_the_time_of_postgres_is_compared(settings: dict[str, str]) -> None:
    assert abs(database._postgres_now() - machine_now()) < timedelta(minutes=1)


def test_this_machine_s_clock_goes_wrong(installation: Installation, shop: Site) -> None:
    with moved(timedelta(seconds=-90)):
        # Medusa has the same wrong time as Dust: only the database differs.
        finding = installation.only_wrong("database clock")
        assert "ahead of this machine's" in finding.detail
        assert "time server" in finding.fix


def test_medusa_s_clock_goes_wrong(installation: Installation, shop: Site) -> None:
    shop.ahead = timedelta(seconds=-90)
    finding = installation.only_wrong("medusa clock")
    assert finding.detail in {f"{seconds} s behind this machine's" for seconds in (90, 91)}


def test_medusa_does_not_say_the_time(installation: Installation, shop: Site) -> None:
    shop.says_the_time = False
    assert "Date header" in installation.only_wrong("medusa clock").fix


INSERT_EVENT = (
    "INSERT INTO webhook_event (id, type, source, payload, event_at, received_at, state, next_attempt_at, reason)"
    " VALUES ('msg_1', 'order.placed', 'webhook', '{}', :now, :received, %s)"
)


def test_an_event_that_waits_too_long(installation: Installation, database: str) -> None:
    as_owner(database, INSERT_EVENT % "'pending', :now, NULL")
    finding = installation.only_wrong("inbox")
    assert "20 minutes" in finding.detail
    as_owner(database, "DELETE FROM webhook_event")


def test_an_event_that_failed(installation: Installation, database: str) -> None:
    as_owner(database, INSERT_EVENT % "'failed', NULL, 'why'")
    finding = installation.only_wrong("inbox")
    assert finding.detail == "failed events that need an operator: 1"
    assert "dust retry" in finding.fix


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//"])
def test_a_broker_that_does_not_answer(installation: Installation, url: str) -> None:
    installation.change(BROKER_URL=url)
    assert "DUST_BROKER_URL" in installation.only_wrong("broker", skipped=("workers",)).fix


def test_a_broker_with_another_password(installation: Installation, broker: str) -> None:
    scheme, _, address = broker.partition("://")
    host = address.rpartition("@")[2]
    installation.change(BROKER_URL=f"{scheme}://nobody:wrong@{host}")
    assert "password" in installation.only_wrong("broker", skipped=("workers",)).fix


@pytest.mark.skipif(ON_RABBITMQ, reason="is about Redis")
@pytest.mark.parametrize("setting", [("maxmemory", "1"), ("min-replicas-to-write", "1")])
def test_a_redis_that_answers_and_takes_no_messages(installation: Installation, setting: tuple[str, str]) -> None:
    with own_broker() as full:
        redis.Redis.from_url(full.url).config_set(*setting)
        installation.change(BROKER_URL=full.url)
        assert "accept writes" in installation.only_wrong("broker", skipped=("workers",)).fix


def test_a_broker_with_a_certificate_of_an_unknown_authority(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = "Error 1 connecting to redis:6380. [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
    monkeypatch.setattr(processes, "broker_problem", lambda *_: problem)
    assert "DUST_BROKER_CA_FILE" in installation.only_wrong("broker", skipped=("workers",)).fix


def test_what_cannot_be_checked_hides_no_other_finding(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> dict[str, int]:
        raise RuntimeError("key sk_0123456789abcdef")

    monkeypatch.setattr(processes, "queues_with_workers", broken)
    assert installation.only_wrong("workers").detail == "could not be checked (RuntimeError: key [secret])"


def test_no_broker_named(installation: Installation) -> None:
    installation.change(BROKER_URL=None)
    assert "dust up" in installation.only_wrong("broker", skipped=("workers",)).fix


def test_no_worker(installation: Installation) -> None:
    with own_broker() as elsewhere:
        installation.change(BROKER_URL=elsewhere.url)
        finding = installation.only_wrong("workers")
    assert "events, redemptions, medusa, sweeps" in finding.detail


def test_a_queue_without_a_worker(installation: Installation, database: str) -> None:
    with own_broker() as elsewhere, worker(elsewhere.url, database, "events,redemptions,sweeps"):
        installation.change(BROKER_URL=elsewhere.url)
        assert until(lambda: enqueue.queues_with_workers(timeout_seconds=0.5)["events"] == 1, _PATIENCE_SECONDS)
        finding = installation.only_wrong("workers")
    assert finding.detail == "nobody answers for medusa"
    assert "dust worker --queues medusa" in finding.fix


def test_a_clock_that_stopped(installation: Installation) -> None:
    with db.transaction() as connection:
        record_run(connection, BEAT, {}, now=now() - timedelta(minutes=30))
    finding = installation.only_wrong("beat")
    assert "30 minutes ago" in finding.detail
    assert "dust beat" in finding.fix


def test_a_clock_that_was_never_started(installation: Installation, database: str) -> None:
    as_owner(database, "DELETE FROM last_run")
    assert "never" in installation.only_wrong("beat").detail


def test_no_flower(installation: Installation) -> None:
    installation.change(FLOWER_PORT=str(reserved_port("127.0.0.1")))
    assert "dust flower" in installation.only_wrong("flower").fix


def test_a_misspelt_variable(installation: Installation) -> None:
    installation.change(RATE_LIMT_PUBLIC="5/minute")
    assert "DUST_RATE_LIMIT_PUBLIC" in installation.only_wrong("settings").detail


def test_flower_beside_a_proxy(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert installation.examined()["flower"].ok


def test_flower_on_all_addresses(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr("httpx.get", lambda url, **_: called.append(url) or httpx.Response(200))
    installation.change(HOST="::", FLOWER_BASIC_AUTH="operator:long-password", FLOWER_PORT="5555")
    assert installation.examined()["flower"].ok
    assert called == ["http://[::1]:5555/healthcheck"]


def test_a_flower_on_another_machine(installation: Installation, flower: Site) -> None:
    installation.change(FLOWER_PORT=str(reserved_port("127.0.0.1")))
    assert CliRunner().invoke(app, ["doctor", "--flower", flower.url]).exit_code == 0


NEED_MEDUSA = ("medusa clock", "medusa key", "medusa scopes", "publishable key", "plugin")


def test_a_medusa_that_does_not_answer(installation: Installation) -> None:
    installation.change(MEDUSA_URL="http://127.0.0.1:1")
    assert "DUST_MEDUSA_URL" in installation.only_wrong("medusa", skipped=NEED_MEDUSA).fix


def test_a_server_that_is_not_medusa(installation: Installation, shop: Site) -> None:
    shop.answers.clear()
    assert "404" in installation.only_wrong("medusa", skipped=NEED_MEDUSA).detail


def test_a_storefront_with_a_page_for_every_path(installation: Installation, shop: Site) -> None:
    shop.answers |= dict.fromkeys(shop.answers, (200, "<html>A shop</html>"))
    finding = installation.only_wrong("medusa key", skipped=("medusa scopes", "plugin"))
    assert "is not Medusa" in finding.detail
    assert "DUST_MEDUSA_URL" in finding.fix


def test_an_address_that_redirects(installation: Installation, shop: Site) -> None:
    shop.answers["/health"] = (308, "")
    finding = installation.only_wrong("medusa", skipped=NEED_MEDUSA)
    assert "redirects (308)" in finding.detail
    assert "https://" in finding.fix


def test_no_medusa_named(installation: Installation) -> None:
    installation.change(MEDUSA_URL=None)
    assert "DUST_MEDUSA_URL" in installation.only_wrong("medusa", skipped=NEED_MEDUSA).detail


def test_a_key_that_is_not_accepted(installation: Installation, shop: Site) -> None:
    shop.answers["/admin/orders"] = (401, {"message": "Unauthorized"})
    finding = installation.only_wrong("medusa key", skipped=("medusa scopes", "plugin"))
    assert "DUST_MEDUSA_API_KEY" in finding.fix
    assert API_KEY not in str(finding)


def test_no_key(installation: Installation) -> None:
    installation.change(MEDUSA_API_KEY=None)
    assert "sk_" in installation.only_wrong("medusa key", skipped=("medusa scopes", "plugin")).fix


@pytest.mark.parametrize("name", ["orders", "payments", "customers", "products", "promotions"])
def test_a_key_without_some_scopes(installation: Installation, shop: Site, name: str) -> None:
    shop.answers[f"/admin/{name}"] = (403, {})
    assert installation.only_wrong("medusa scopes").detail == f"the key cannot read {name} (403)"


def test_a_publishable_key_that_is_not_accepted(installation: Installation, shop: Site) -> None:
    shop.answers["/store/regions"] = (400, {"type": "not_allowed"})
    finding = installation.only_wrong("publishable key")
    assert "DUST_MEDUSA_PUBLISHABLE_KEY" in finding.fix
    assert PUBLISHABLE_KEY not in str(finding)


def test_no_publishable_key(installation: Installation) -> None:
    installation.change(MEDUSA_PUBLISHABLE_KEY=None)
    assert "pk_" in installation.only_wrong("publishable key").fix


def test_a_medusa_without_the_plugin(installation: Installation, shop: Site) -> None:
    del shop.answers["/admin/dust/deliveries"]
    assert "medusa-plugin" in installation.only_wrong("plugin").fix


@pytest.mark.parametrize(
    ("state", "reported"),
    [
        ({"rejected": 2}, "2 deliveries were rejected (said 400)"),
        ({"oldest_waiting_at": "20 minutes ago"}, "a delivery has been waiting for 20 minutes (said 400)"),
    ],
)
def test_a_plugin_that_cannot_deliver(
    installation: Installation, shop: Site, state: dict[str, Any], reported: str
) -> None:
    if "oldest_waiting_at" in state:
        state = {"oldest_waiting_at": (now() - timedelta(minutes=20)).isoformat().replace("+00:00", "Z")}
    answer = {"waiting": 0, "rejected": 0, "oldest_waiting_at": None, "undelivered": [{"last_error": "said 400"}]}
    shop.answers["/admin/dust/deliveries"] = (200, {**answer, **state})
    finding = installation.only_wrong("plugin")
    assert finding.detail == reported
    assert "DUST_WEBHOOK_SECRETS" in finding.fix


def test_the_version_of_medusa_is_shown(installation: Installation, shop: Site) -> None:
    answer = {"waiting": 0, "rejected": 0, "oldest_waiting_at": None, "undelivered": [], "medusa_version": "2.21.2"}
    shop.answers["/admin/dust/deliveries"] = (200, answer)
    assert installation.examined()["plugin"].detail == "is there and delivers, in Medusa 2.21.2"


def test_a_public_key_is_recommended(installation: Installation) -> None:
    assert "recommended: let Medusa sign tokens with RS256" in installation.examined()["secrets"].detail
    installation.change(JWT_SECRET=None, JWT_PUBLIC_KEY=tokens.public_pem())
    assert "recommended" not in installation.examined()["secrets"].detail


def test_pending_until_paid_is_recommended_where_points_are_earned_with_the_order(installation: Installation) -> None:
    assert "recommended: set earn.pending_until_paid" in installation.examined()["programme"].detail
    for earn in ({"pending_until_paid": True}, {"when": "payment.captured"}):
        with transaction() as connection:
            add_version(connection, Programme.model_validate({"earn": earn}), author="test", now=now())
        finding = installation.examined()["programme"]
        assert finding.ok
        assert "recommended" not in finding.detail
