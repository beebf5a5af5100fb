"""Known secrets go through the whole flow of real processes, and are then searched for in all output."""

import base64
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from pydantic import SecretStr

from bridge.development.stack.processes import bound_socket
from bridge.development.stack.redis import embedded_redis
from bridge.development.stack.up import DUST
from bridge.http.standard_webhooks import sign
from bridge.setting_types import webhook_key
from tests.support.child_processes import data_folder
from tests.support.medusa import FakeMedusa, serving
from tests.support.orders import event, line, order, order_event
from tests.support.ports import reserved_port
from tests.support.processes import answers, eventually, running
from tests.support.tokens import token

# Each differs from all the others, and from anything a library would write itself.
WEBHOOK = "whsec_Y2FuYXJ5LXdlYmhvb2std2ViaG9vay13ZWJob29r"
OLD_WEBHOOK = "whsec_Y2FuYXJ5LW9sZHdlYi1vbGR3ZWItb2xkd2ViLW8="
OUTGOING = "whsec_Y2FuYXJ5LW5vdGlmeS1ub3RpZnktbm90aWZ5LW4="
JWT = "canary-jwt-jwt-jwt-jwt-jwt-jwt-jwt-jwt"
ADMIN = "canary-admin-admin-admin-admin-admin-admin"
API_KEY = "sk_canaryapikeyapikeyapikeyapikeyapikey"
FLOWER = "canary-flower-password"
COOKIE = "canary-cookie-cookie-cookie-cookie-cookie"


class Hostile(FakeMedusa):
    """A server that repeats the request in its response, as a proxy in debug mode does."""

    def handle(self, method: str, path: str, query: Any, body: Any, headers: Any) -> tuple[int, Any]:
        if path.startswith("/admin/"):
            reported = f"{method} {path} failed with {dict(headers)} and {body}"
            return 400 if method == "POST" else 500, {"type": "invalid_data", "message": reported}
        return super().handle(method, path, query, body, headers)


@dataclass
class Places:
    """All output that people can read, by its place."""

    texts: dict[str, str] = field(default_factory=dict)

    def note(self, place: str, text: str) -> None:
        self.texts[place] = self.texts.get(place, "") + text

    def that_hold(self, secret: str) -> list[str]:
        return [place for place, text in self.texts.items() if secret in text]


@pytest.fixture
def sockets() -> Iterator[dict[str, socket.socket]]:
    with bound_socket() as api, bound_socket() as flower:
        yield {"api": api, "flower": flower}


@pytest.fixture
def environment(settings: dict[str, str], sockets: dict[str, socket.socket]) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        folder = stack.enter_context(data_folder())
        yield {
            **settings,
            "DUST_DATA_DIR": str(folder),
            "DUST_BROKER_URL": stack.enter_context(embedded_redis(folder)),
            "DUST_MEDUSA_URL": stack.enter_context(serving(Hostile())),
            "DUST_MEDUSA_API_KEY": API_KEY,
            "DUST_WEBHOOK_SECRETS": f"{WEBHOOK},{OLD_WEBHOOK}",
            "DUST_JWT_SECRET": JWT,
            "DUST_ADMIN_TOKEN": ADMIN,
            "DUST_OUTGOING_WEBHOOK_URL": f"http://127.0.0.1:{reserved_port()}/nobody",
            "DUST_OUTGOING_WEBHOOK_SECRET": OUTGOING,
            "DUST_PORT": str(sockets["api"].getsockname()[1]),
            "DUST_FLOWER_PORT": str(sockets["flower"].getsockname()[1]),
            "DUST_FLOWER_BASIC_AUTH": f"operator:{FLOWER}",
            "DUST_FLOWER_COOKIE_SECRET": COOKIE,
            "DUST_SWEEP_SECONDS": "1",
            "DUST_RECONCILE_SECONDS": "2",
            "DUST_RETRY_ATTEMPTS": "1",
        }


def secrets_of(environment: dict[str, str]) -> dict[str, str]:
    passwords = {
        name: password[1]
        for name in ("DUST_DATABASE_URL", "DUST_BROKER_URL")
        if (password := re.search(r"://[^:/@]*:([^@]+)@", environment[name]))
    }
    return {
        **passwords,
        "webhook": WEBHOOK.removeprefix("whsec_"),
        "webhook, the raw key": "canary-webhook",
        "old webhook": OLD_WEBHOOK.removeprefix("whsec_"),
        "outgoing": OUTGOING.removeprefix("whsec_"),
        "jwt": JWT,
        "admin": ADMIN,
        "api key": API_KEY,
        "api key, as it is sent": base64.b64encode(f"{API_KEY}:".encode()).decode().rstrip("="),
        "flower": FLOWER,
        "flower, as it is sent": base64.b64encode(f"operator:{FLOWER}".encode()).decode().rstrip("="),
        "cookie": COOKIE,
    }


def delivered(http: httpx.Client, body: bytes, event_id: str, secret: str = WEBHOOK) -> httpx.Response:
    stamp = int(time.time())
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign(webhook_key(SecretStr(secret)), event_id, stamp, body),
    }
    return http.post("/webhooks/medusa", content=body, headers=headers)


def shop_a_while(http: httpx.Client, customer: str) -> list[httpx.Response]:
    """Run a flow with as many errors as possible. Returns every response."""
    mine, staff = {"authorization": f"Bearer {customer}"}, {"authorization": f"Bearer {ADMIN}"}
    requested = {"dust": 100, "currency_code": "eur", "cart_id": "cart_1"}
    answers = [
        delivered(http, order_event(order(lines=[line(price=500)])), "msg_1"),
        delivered(http, order_event(order("order_2")), "msg_2", OLD_WEBHOOK),
        delivered(http, order_event(order("order_3")), "msg_3", OUTGOING),
        delivered(http, event("order.placed", {"id": "order_9"}), "msg_9"),
        http.get("/store/dust", headers={"authorization": f"Bearer {customer}x"}),
        http.get("/store/dust", headers={"authorization": f"Bearer {ADMIN}"}),
        http.get("/store/dust", headers={"authorization": f"Basic {ADMIN}"}),
        http.get(f"/admin/dust/customers/{ADMIN}x", headers=mine),
        http.post("/store/dust/quote", content=b"{", headers=mine),
        http.put("/admin/dust/programme", json={"earn": {"rates": {"eur": ADMIN}}}, headers=mine),
    ]
    eventually(lambda: http.get("/store/dust", headers=mine).json().get("points", 0) >= 500)
    headers = {**mine, "idempotency-key": "key"}
    answers.append(http.post("/store/dust/redemptions", json={**requested, "cart_id": None}, headers=headers))
    answers.append(http.post("/store/dust/quote", json=requested, headers=mine))
    eventually(lambda: "failed" in http.get("/admin/dust/events?state=failed", headers=staff).text)
    for path in http.get("/openapi.json").json()["paths"]:
        url = path.replace("{customer_id}", "cus_1").replace("{event_id}", "msg_9").replace("{", "").replace("}", "")
        answers.append(http.get(url, headers=staff if path.startswith("/admin") else mine, params={"limit": 50}))
    answers.append(http.post("/admin/dust/reconcile", json={}, headers=staff))
    return [*answers, http.get("/metrics"), http.get("/docs"), http.get("/health/ready")]


def rows_of(database: str) -> Iterator[tuple[str, str]]:
    """All rows of every table, with bytes as text."""
    with psycopg.connect(database) as connection:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        for (table,) in connection.execute(query).fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"').fetchall():  # type: ignore[arg-type]
                yield table, " ".join(v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in row) + "\n"


def test_no_secret_is_in_any_output_file_or_table(
    environment: dict[str, str], sockets: dict[str, socket.socket]
) -> None:
    places, customer = Places(), token(secret=JWT)
    programs = {"worker": "worker --concurrency 1", "beat": "beat", "flower": "flower"}
    with (
        running(environment, sockets=sockets, api="serve", **programs) as log,
        httpx.Client(base_url=f"http://127.0.0.1:{environment['DUST_PORT']}", trust_env=False, timeout=60) as http,
    ):
        eventually(lambda: answers(f"http://127.0.0.1:{environment['DUST_PORT']}/health/live"))
        flower_url = f"http://127.0.0.1:{environment['DUST_FLOWER_PORT']}"
        for response in shop_a_while(http, customer):
            places.note(f"{response.request.method} {response.request.url.path}", f"{response.headers}{response.text}")
        with httpx.Client(base_url=flower_url, auth=("operator", FLOWER), trust_env=False, timeout=60) as flower:
            eventually(lambda: answers(f"{flower_url}/tasks", auth=("operator", FLOWER)))
            eventually(lambda: bool(flower.get("/api/workers", params={"refresh": 1}).json()))
            (worker,) = flower.get("/api/workers").json()
            pages = ["/", "/tasks", "/broker", "/metrics", "/api/workers?refresh=1", "/api/tasks", "/api/task/failed"]
            tasks = list(flower.get("/api/tasks").json())
            pages += [f"/worker/{worker}", *(f"/task/{task}" for task in tasks[:10])]
            assert tasks
            for page in pages:
                response = flower.get(page)
                places.note(f"flower {page.partition('?')[0]}", f"{response.headers}{response.text}")
        for process in psutil.Process().children(recursive=True):
            places.note("the list of processes", " ".join(process.cmdline()) + "\n")
        for command in (["doctor"], ["events", "--json"], ["retry", "msg_9"]):
            done = subprocess.run(
                [*DUST, *command], env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
            )
            places.note(f"dust {command[0]}", done.stdout + done.stderr)
    places.note("logs", log.getvalue())
    for file in Path(environment["DUST_DATA_DIR"]).rglob("*.log"):
        places.note("logs of servers", file.read_text(errors="replace"))
    for table, text in rows_of(environment["DUST_DATABASE_URL"]):
        places.note(f"table {table}", text)
    assert {"logs", "table webhook_event", "dust doctor", "flower /tasks"} <= places.texts.keys()
    assert "event_received" in places.texts["logs"]
    secrets = {**secrets_of(environment), "a customer's token": customer, "its signature": customer.rpartition(".")[2]}
    leaks = {name: places.that_hold(secret) for name, secret in secrets.items() if places.that_hold(secret)}
    assert leaks == {}
