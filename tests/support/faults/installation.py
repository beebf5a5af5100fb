"""A whole Dust with its servers, whose processes can be made to die at a point."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from bridge.db import migrations
from bridge.development.stack import supervisor
from bridge.development.stack.postgres import embedded_postgres
from bridge.development.stack.processes import bound_socket, until
from tests.support import medusa as fake
from tests.support.brokers import own_broker
from tests.support.child_processes import data_folder
from tests.support.deliveries import WEBHOOK_SECRET
from tests.support.faults.shop import OUTGOING_WEBHOOKS, Shop
from tests.support.medusa import serving
from tests.support.processes import answers, running
from tests.support.tokens import ADMIN_TOKEN, JWT_SECRET

_PLUGIN = Path(__file__).parent / "plugin"
# Without fsync, which matters only for a power failure. Commits are as in a deployment.
_SETTINGS = {"fsync": "off", "full_page_writes": "off"}
PROGRAMME = {
    "earn": {"rates": {"eur": "1"}, "pending_days": 1, "expires_after_days": 30, "expiry_notice_days": 2},
    "bonuses": {"signup": 50},
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """A fail point as a process wrote it down: `role|kind|name|moment`."""

    role: str
    kind: str
    name: str
    moment: str

    @classmethod
    def read(cls, line: str) -> "Point":
        role, kind, name, moment = line.split("|")
        return cls(role=role, kind=kind, name=name, moment=moment)

    def __str__(self) -> str:
        return f"{self.role}|{self.kind}|{self.name}|{self.moment}"


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Postgres with a migrated database, and Redis: their data folder and addresses."""

    folder: Path
    database: str
    broker: str


@dataclass(kw_only=True)
class Installation:
    """A running Dust. `plans` is where the processes look what shall happen to them."""

    url: str
    database: str
    broker: str
    shop: Shop
    plans: Path
    data: Path
    output: Any
    environment: Mapping[str, str]
    _armings: int = 0
    _armed: dict[tuple[Point, str], str] = field(default_factory=dict)

    def arm(self, *failures: tuple[Point, str]) -> None:
        """From now on, the first process that passes one of these points gets its fault, once."""
        self._armings += 1
        self._armed = {failure: f"fired-{self._armings}-{number}" for number, failure in enumerate(failures)}
        points: dict[str, dict[str, str]] = defaultdict(dict)
        for (point, action), name in self._armed.items():
            points[str(point)][name] = action
        plan = {
            "points": points,
            "postmaster": str(self.data / "postgres/cluster/postmaster.pid"),
            "broker": self.broker,
        }
        draft = self.plans / "plan.new"
        draft.write_text(json.dumps(plan))
        draft.replace(self.plans / "plan.json")

    def disarm(self) -> None:
        (self.plans / "plan.json").unlink(missing_ok=True)

    def fired(self) -> set[tuple[Point, str]]:
        """The faults that have happened since the last `arm`."""
        return {entry for entry, name in self._armed.items() if (self.plans / name).exists()}

    def passed(self) -> set[Point]:
        """Every point that any process has passed so far."""
        file = self.plans / "passed"
        return {Point.read(line) for line in file.read_text().splitlines()} if file.exists() else set()

    def live(self) -> bool:
        return answers(f"{self.url}/health/live")


@contextmanager
def servers() -> Iterator[Servers]:
    """Postgres with a migrated database, and Redis; their folder and addresses."""
    with (
        data_folder() as folder,
        embedded_postgres(folder, settings=_SETTINGS, say=lambda _: None) as database,
        own_broker() as broker,
    ):
        migrations.upgrade(database)
        yield Servers(folder=folder, database=database, broker=broker.url)


@contextmanager
def installation(
    where: Servers, *, bug: str | None = None, more: Mapping[str, str] | None = None, workers: int = 2
) -> Iterator[Installation]:
    """API, worker and clock over these servers, with their fail points; `bug` names one that is planted in them."""
    with ExitStack() as stack:
        plans = stack.enter_context(data_folder())
        shop = Shop()
        medusa_url = stack.enter_context(serving(shop))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        # Processes are killed soon after each start here, which must not stop the supervisor.
        patch.setattr(supervisor, "_STARTS", 1_000_000)
        patch.setattr(supervisor, "_SETTLED_SECONDS", 0.5)
        bound = stack.enter_context(bound_socket())
        port = bound.getsockname()[1]
        environment = {
            "PYTHONPATH": str(_PLUGIN),
            "FAULTS_DIR": str(plans),
            "FAULTS_BUG": bug or "",
            "DUST_DATABASE_URL": where.database,
            "DUST_BROKER_URL": where.broker,
            "DUST_DATA_DIR": str(plans),
            "DUST_PORT": str(port),
            "DUST_WEBHOOK_SECRETS": WEBHOOK_SECRET,
            "DUST_JWT_SECRET": JWT_SECRET,
            "DUST_ADMIN_TOKEN": ADMIN_TOKEN,
            "DUST_MEDUSA_URL": medusa_url,
            "DUST_MEDUSA_API_KEY": fake.API_KEY,
            "DUST_MEDUSA_PUBLISHABLE_KEY": fake.PUBLISHABLE_KEY,
            "DUST_MEDUSA_TIMEOUT_SECONDS": "1",
            "DUST_OUTGOING_WEBHOOK_URL": f"{medusa_url}{OUTGOING_WEBHOOKS}",
            "DUST_OUTGOING_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "DUST_LOG_FORMAT": "json",
            # Retries are frequent here, and no event may fail because the machine is busy.
            "DUST_RETRY_ATTEMPTS": "50",
            "DUST_RECONCILE_SECONDS": "5",
            **(more or {}),
        }
        programs = {"api": "serve", "worker": f"worker --concurrency {workers}", "beat": "beat"}
        output = stack.enter_context(running(environment, sockets={"api": bound}, **programs))
        started = Installation(
            url=f"http://127.0.0.1:{port}",
            database=where.database,
            broker=where.broker,
            shop=shop,
            plans=plans,
            data=where.folder,
            output=output,
            environment=environment,
        )
        assert until(started.live, 300)
        with httpx.Client(base_url=started.url, trust_env=False, timeout=30) as client:
            response = client.put(
                "/admin/dust/programme", json=PROGRAMME, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}
            )
            assert response.is_success, response.text
        yield started


@contextmanager
def own_servers(where: Servers, number: int) -> Iterator[Servers]:
    """The same servers with a separate database and broker; `number` from 1 to 15."""
    name = f"apart_{number}"
    url = f"{where.database.rpartition('/')[0]}/{name}"
    with psycopg.connect(where.database, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        admin.execute(f'CREATE DATABASE "{name}"')
    migrations.upgrade(url)
    yield Servers(folder=where.folder, database=url, broker=f"{where.broker.rpartition('/')[0]}/{number}")
