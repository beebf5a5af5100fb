"""Flower as a process, with a real worker, broker and Postgres, called over HTTP as its pages do."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import redis
from celery.utils import uuid

from bridge.clock import now
from bridge.development.stack.processes import bound_socket, spawn, stop, until
from tests.support import clock
from tests.support.brokers import ON_RABBITMQ, own_broker
from tests.support.child_processes import data_folder
from tests.support.medusa import API_KEY
from tests.support.orders import event, order, order_event
from tests.support.ports import reserved_port

pytestmark = pytest.mark.servers

LOGIN = ("operator", "a-long-password")
DUST = (sys.executable, "-m", "bridge.cli")
# Only a defect or a very slow machine takes this long.
PATIENCE_SECONDS = 60.0
# More than Flower and Celery's events keep of a text.
LONG_ID = "msg_" + "x" * 1500
RESULT_KEY = "dust:celery-task-meta-"
needs_results = pytest.mark.skipif(
    ON_RABBITMQ, reason="RabbitMQ keeps no results: this Flower would have to be there when the task fails"
)


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The servers, and the environment of Dust's processes."""

    database: str
    broker: str
    environment: dict[str, str]

    def fetch(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    def add_event(self, event_id: str) -> None:
        """An order's event that does not bring the order along."""
        self.fetch(
            "INSERT INTO webhook_event (id, type, subject, source, payload, event_at, received_at, state,"
            " next_attempt_at) VALUES (%s, 'order.placed', %s, 'webhook', %s, %s, %s, 'pending', %s)",
            event_id,
            order_id(event_id),
            event("order.placed", {"id": order_id(event_id)}),
            *[now()] * 3,
        )

    def fix(self, event_id: str, customer_id: str) -> None:
        """The event now brings its order along, so Medusa need not be asked."""
        body = order_event(order(order_id(event_id), customer_id=customer_id))
        self.fetch("UPDATE webhook_event SET payload = %s WHERE id = %s", body, event_id)

    def state(self, event_id: str) -> str:
        return str(self.fetch("SELECT state FROM webhook_event WHERE id = %s", event_id)[0][0])

    def balance(self, customer_id: str) -> int:
        rows = self.fetch("SELECT balance FROM dust_balance WHERE customer_id = %s", customer_id)
        return int(rows[0][0]) if rows else 0

    def kept(self, task_id: str) -> bool:
        if ON_RABBITMQ:
            return True
        with redis.Redis.from_url(self.broker) as client:
            return bool(client.exists(RESULT_KEY + task_id))

    def keep(self, task_id: str, name: str) -> None:
        """Store a failure in the result backend, as a worker of another program does."""
        meta = {
            "status": "FAILURE",
            "result": {"exc_type": "ValueError", "exc_message": ["no"], "exc_module": "builtins"},
            "task_id": task_id,
            "name": name,
            "args": [],
            "kwargs": {},
        }
        with redis.Redis.from_url(self.broker) as client:
            client.set(RESULT_KEY + task_id, json.dumps(meta))


def order_id(event_id: str) -> str:
    return f"order_{event_id[:40]}"


class Operator:
    """Asks Flower as its pages do: with a login, and with the token that came as a cookie."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def send(self, name: str, *args: str) -> str:
        """Send a task to the worker over Flower's own API. Returns its id."""
        response = self.http.post(f"/api/task/send-task/{name}", json={"args": args}).raise_for_status()
        return str(response.json()["task-id"])

    def fail(self, installation: Installation, event_id: str) -> str:
        """Add an event that needs Medusa, which is away. Returns the id of its failed task."""
        installation.add_event(event_id)
        task_id = self.send("inbox.handle", event_id)
        assert until(lambda: installation.state(event_id) == "failed" and installation.kept(task_id), PATIENCE_SECONDS)
        if ON_RABBITMQ:
            # Only Flower's own record exists.
            assert until(lambda: self.info(task_id).get("state") == "FAILURE", PATIENCE_SECONDS)
        return task_id

    def is_let_in(self) -> bool:
        try:
            return self.http.get("/tasks").is_success
        except httpx.TransportError:
            return False

    def retry(self, task_id: str, **headers: str) -> httpx.Response:
        token = {"X-XSRFToken": self.http.cookies.get("_xsrf", "")}
        return self.http.post(f"/api/task/retry/{task_id}", headers={**token, **headers})

    def status(self, task_id: str) -> dict[str, Any]:
        response = self.http.get("/api/task/retries", params={"task_id": task_id}).raise_for_status()
        return dict(response.json()["tasks"][task_id])

    def waiting(self) -> list[str]:
        """The failed event tasks that wait for a retry."""
        return list(self.http.get("/api/task/failed").raise_for_status().json()["kinds"].get("inbox.handle", []))

    def knows(self, task_id: str) -> bool:
        return self.http.get(f"/task/{task_id}").is_success

    def outcome(self, task_id: str) -> str:
        """The result of a task, once it has succeeded."""

        assert until(lambda: self.info(task_id).get("state") == "SUCCESS", PATIENCE_SECONDS), self.info(task_id)
        return str(self.info(task_id)["result"])

    def info(self, task_id: str) -> dict[str, Any]:
        """Flower's record of a task."""
        response = self.http.get(f"/api/task/info/{task_id}")
        return dict(response.json()) if response.is_success else {}


@contextmanager
def calling(url: str, login: tuple[str, str] | None = LOGIN) -> Iterator[Operator]:
    with httpx.Client(base_url=url, auth=login, trust_env=False, timeout=PATIENCE_SECONDS) as http:
        yield Operator(http)


@contextmanager
def running(
    environment: dict[str, str], *command: str, pass_fds: Sequence[int] = ()
) -> Iterator["subprocess.Popen[bytes]"]:
    process = spawn([*DUST, *command], death_signal=signal.SIGKILL, env=environment, pass_fds=pass_fds)
    try:
        yield process
    finally:
        stop(process, (signal.SIGTERM, 20.0))


@contextmanager
def flower(
    installation: Installation, login: tuple[str, str] | None = LOGIN, prefix: str = "", **others: str
) -> Iterator[tuple[Operator, "subprocess.Popen[bytes]"]]:
    """A Flower that answers, and its process."""
    environment = {**installation.environment, **others}
    if login:
        environment["DUST_FLOWER_BASIC_AUTH"] = ":".join(login)
    with bound_socket() as bound, ExitStack() as stack:
        url, fd = f"http://127.0.0.1:{bound.getsockname()[1]}{prefix}", bound.fileno()
        process = stack.enter_context(running(environment, "flower", "--fd", str(fd), pass_fds=[fd]))
        operator = stack.enter_context(calling(url, login))
        assert until(operator.is_let_in, PATIENCE_SECONDS)
        yield operator, process


@pytest.fixture(scope="module")
def installation(postgres: str) -> Iterator[Installation]:
    server, _, template = postgres.rpartition("/")
    with ExitStack() as stack:
        stack.enter_context(clock.running())
        folder: Path = stack.enter_context(data_folder())
        broker = stack.enter_context(own_broker()).url
        admin = stack.enter_context(psycopg.connect(f"{server}/postgres", autocommit=True))
        # Of its own in each of the processes that share a server.
        database = f"{template}_flower"
        admin.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
        stack.callback(admin.execute, f'DROP DATABASE "{database}" WITH (FORCE)')
        environment = {
            **clock.environment(),
            "PATH": "/usr/bin:/bin",
            "DUST_DATABASE_URL": f"{server}/{database}",
            "DUST_BROKER_URL": broker,
            "DUST_DATA_DIR": str(folder),
            "DUST_MEDUSA_URL": f"http://127.0.0.1:{reserved_port()}",
            "DUST_MEDUSA_API_KEY": API_KEY,
            "DUST_RETRY_ATTEMPTS": "1",
            "DUST_LOG_FORMAT": "json",
        }
        stack.enter_context(running(environment, "worker", "--concurrency", "1"))
        yield Installation(database=f"{server}/{database}", broker=broker, environment=environment)


@pytest.fixture(scope="module")
def operator(installation: Installation) -> Iterator[Operator]:
    with flower(installation) as (operator, _):
        yield operator


def test_it_refuses_to_start_without_a_login(installation: Installation) -> None:
    done = subprocess.run(
        [*DUST, "flower"], env=installation.environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert (done.returncode, done.stderr) == (2, "dust: DUST_FLOWER_BASIC_AUTH is not set\n")


def test_a_port_that_is_taken_is_named(installation: Installation, operator: Operator) -> None:
    taken = {"DUST_FLOWER_PORT": str(operator.http.base_url.port), "DUST_FLOWER_BASIC_AUTH": ":".join(LOGIN)}
    done = subprocess.run(
        [*DUST, "flower"],
        env={**installation.environment, **taken},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 1
    assert done.stderr.endswith("set DUST_FLOWER_PORT\n")


@pytest.mark.parametrize("login", [None, ("operator", "a-wrong-password"), ("somebody", "a-long-password")])
def test_without_login_nothing_is_shown_and_nothing_is_retried(
    installation: Installation, operator: Operator, login: tuple[str, str] | None
) -> None:
    with calling(str(operator.http.base_url), login) as stranger:
        stranger.http.cookies.update(operator.http.cookies)
        paths = ["/tasks", "/api/task/retries", "/api/task/failed"]
        assert [stranger.http.get(path).status_code for path in paths] == [401] * 3
        assert stranger.retry("any").status_code == 401
        stranger.http.cookies.clear()
        assert stranger.retry("any").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-XSRFToken": ""},
        {"X-XSRFToken": "2|00000000|00000000000000000000000000000000|1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
    ],
)
def test_without_the_token_or_from_another_site_nothing_is_retried(
    installation: Installation, operator: Operator, headers: dict[str, str]
) -> None:
    task_id = operator.fail(installation, uuid())
    assert operator.retry(task_id, **headers).status_code == 403
    assert operator.status(task_id)["retried"] is None
    assert operator.http.get(f"/api/task/retry/{task_id}").status_code == 405


def test_a_failed_task_is_sent_again_and_both_pages_know_of_it(installation: Installation, operator: Operator) -> None:
    task_id = operator.fail(installation, "msg_one")
    before = operator.status(task_id)
    assert (before["retryable"], before["retried"]) == (True, None)
    assert "order.placed order_msg_one: Medusa did not answer" in before["reason"]
    assert until(lambda: task_id in operator.waiting(), PATIENCE_SECONDS)
    installation.fix("msg_one", "cus_one")
    answer = operator.retry(task_id).raise_for_status().json()
    assert answer["already"] is False
    assert operator.knows(answer["task-id"]), "the link works at once"
    assert operator.outcome(answer["task-id"]) == "'Order order_msg_one earned 10 points, 10 in all.'"
    assert (installation.state("msg_one"), installation.balance("cus_one")) == ("handled", 10)
    reported = {"task-id": answer["task-id"], "retry-of": task_id, "at": answer["at"], "by": "operator"}
    after = operator.status(task_id)
    assert (after["retryable"], after["retried"]) == (False, {**reported, "state": "SUCCESS"})
    assert operator.status(answer["task-id"])["retry-of"] == reported
    assert task_id not in operator.waiting()


def test_twenty_clicks_at_once_have_one_effect(installation: Installation, operator: Operator) -> None:
    task_id = operator.fail(installation, "msg_clicks")
    installation.fix("msg_clicks", "cus_clicks")
    with ThreadPoolExecutor(20) as pool:
        answers = [answer.raise_for_status().json() for answer in pool.map(operator.retry, [task_id] * 20)]
    assert len({answer["task-id"] for answer in answers}) == 1
    assert [answer["already"] for answer in answers].count(False) == 1
    assert operator.outcome(answers[0]["task-id"]).startswith("'Order order_msg_clicks earned 10 points")
    assert installation.balance("cus_clicks") == 10


@needs_results
def test_a_retry_of_what_was_handled_meanwhile_does_nothing_and_says_so(
    installation: Installation, operator: Operator
) -> None:
    first, second = operator.fail(installation, "msg_meanwhile"), uuid()
    installation.keep(second, "inbox.handle")
    installation.fix("msg_meanwhile", "cus_meanwhile")
    handled = operator.retry(first).raise_for_status().json()["task-id"]
    operator.outcome(handled)
    with redis.Redis.from_url(installation.broker) as client:
        kept = json.loads(client.get(RESULT_KEY + first) or b"")
        client.set(RESULT_KEY + second, json.dumps({**kept, "task_id": second}))
    again = operator.retry(second).raise_for_status().json()["task-id"]
    assert operator.outcome(again) == "'Nothing to do: it is handled.'"
    assert installation.balance("cus_meanwhile") == 10


def test_a_retry_that_fails_again_can_be_retried_itself(installation: Installation, operator: Operator) -> None:
    task_id = operator.fail(installation, "msg_twice")
    again = operator.retry(task_id).raise_for_status().json()["task-id"]
    assert until(lambda: operator.status(again)["retryable"], PATIENCE_SECONDS)
    assert installation.state("msg_twice") == "failed"
    installation.fix("msg_twice", "cus_twice")
    third = operator.retry(again).raise_for_status().json()["task-id"]
    operator.outcome(third)
    assert installation.balance("cus_twice") == 10


@needs_results
def test_a_task_that_cannot_be_retried_gets_an_error_message(installation: Installation, operator: Operator) -> None:
    handled = operator.send("inbox.drain")
    operator.outcome(handled)
    foreign = uuid()
    installation.keep(foreign, "somebody.elses")
    answers = {task_id: operator.retry(task_id) for task_id in ("unknown", handled, foreign)}
    assert [response.status_code for response in answers.values()] == [404, 409, 403]
    assert "is SUCCESS, it has not failed" in answers[handled].text
    assert "somebody.elses is not a task that may be retried" in answers[foreign].text
    assert operator.status(foreign)["retryable"] is False


def test_too_many_questions_at_once_are_refused(operator: Operator) -> None:
    many = [("task_id", str(number)) for number in range(101)]
    assert operator.http.get("/api/task/retries", params=many).status_code == 400


@pytest.mark.skipif(not ON_RABBITMQ, reason="with Redis, arguments of any length are kept (TEST_BROKER=rabbitmq)")
def test_without_stored_results_shortened_arguments_are_not_sent(
    installation: Installation, operator: Operator
) -> None:
    task_id = operator.fail(installation, LONG_ID)
    assert until(lambda: task_id in operator.waiting(), PATIENCE_SECONDS)
    response = operator.retry(task_id)
    assert response.status_code == 422, response.text
    assert installation.state(LONG_ID) == "failed", "so `dust retry` can do it"


@needs_results
def test_after_a_kill_every_failure_is_there_and_long_arguments_are_sent_whole(
    installation: Installation, operator: Operator, tmp_path: Path
) -> None:
    own_history = {"DUST_DATA_DIR": str(tmp_path)}
    with flower(installation, **own_history) as (killed, process):
        task_id = operator.fail(installation, LONG_ID)
        assert until(lambda: task_id in killed.waiting(), PATIENCE_SECONDS)
        process.kill()
        process.wait()
    missed = operator.fail(installation, "msg_missed")
    installation.fix(LONG_ID, "cus_long")
    with flower(installation, **own_history) as (restarted, _):
        assert until(lambda: {task_id, missed} <= set(restarted.waiting()), PATIENCE_SECONDS)
        assert restarted.knows(missed), "it failed while this Flower was not there"
        new = restarted.retry(task_id).raise_for_status().json()["task-id"]
        restarted.outcome(new)
        assert (installation.state(LONG_ID), installation.balance("cus_long")) == ("handled", 10)
    with flower(installation, **own_history) as (again, _):
        retried = again.status(task_id)["retried"]
        assert (retried["task-id"], retried["state"]) == (new, "SUCCESS")


@needs_results
def test_open_on_loopback_it_retries_with_the_token_only(
    installation: Installation, operator: Operator, tmp_path: Path
) -> None:
    task_id = operator.fail(installation, "msg_open")
    installation.fix("msg_open", "cus_open")
    unguarded = {"DUST_FLOWER_OPEN": "true", "DUST_HOST": "0.0.0.0", "DUST_DATA_DIR": str(tmp_path)}
    with flower(installation, login=None, **unguarded) as (anybody, process):
        listening = [c.laddr.ip for c in psutil.Process(process.pid).net_connections() if c.status == "LISTEN"]
        assert listening == ["127.0.0.1"]
        assert anybody.retry(task_id, **{"X-XSRFToken": ""}).status_code == 403
        assert anybody.retry(task_id, Host="rebound.example").status_code == 421
        for path in ("/", "/tasks", "/workers", f"/task/{task_id}", "/static/css/flower.css", "/healthcheck"):
            assert anybody.http.get(path, headers={"Host": "rebound.example:5555"}).status_code == 421, path
        assert anybody.http.get("/tasks").status_code == 200
        port = anybody.http.base_url.port
        assert anybody.http.get("/tasks", headers={"Host": f"localhost:{port}"}).status_code == 200
        answer = anybody.retry(task_id).raise_for_status().json()
        assert answer["by"] == "local user"
        assert until(lambda: installation.balance("cus_open") == 10, PATIENCE_SECONDS)
        assert anybody.http.get("/api/tasks").status_code == 401, "the rest of Flower's API stays closed"


@needs_results
def test_behind_a_proxys_prefix_everything_is_there_too(
    installation: Installation, operator: Operator, tmp_path: Path
) -> None:
    task_id = operator.fail(installation, "msg_prefix")
    installation.fix("msg_prefix", "cus_prefix")
    others = {"FLOWER_URL_PREFIX": "/flower", "DUST_DATA_DIR": str(tmp_path)}
    with flower(installation, prefix="/flower", **others) as (proxied, _):
        page = proxied.http.get("/tasks").text
        script = page.partition('src="/flower/dust-static/')[2].partition('"')[0]
        assert script.startswith("retry.js?v=")
        assert proxied.http.get(f"/dust-static/{script}").is_success
        proxied.retry(task_id).raise_for_status()
        assert until(lambda: installation.balance("cus_prefix") == 10, PATIENCE_SECONDS)


def test_a_read_only_flower_retries_nothing(installation: Installation, operator: Operator, tmp_path: Path) -> None:
    task_id = operator.fail(installation, "msg_read_only")
    with flower(installation, FLOWER_READ_ONLY="true", DUST_DATA_DIR=str(tmp_path)) as (reader, _):
        assert reader.retry(task_id).status_code == 403
        assert reader.status(task_id)["retryable"] is False
