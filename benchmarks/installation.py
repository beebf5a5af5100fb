"""A new Dust installation for one benchmark: Postgres, Redis and Dust's processes, as `dust up` starts them."""

import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import httpx
import psutil
import psycopg
import structlog

from bridge.db import dispose_engine, migrations
from bridge.development.stack.postgres import embedded_postgres
from bridge.development.stack.processes import bound_socket, spawn, stop, until
from bridge.development.stack.redis import embedded_redis
from bridge.development.stack.up import DUST
from bridge.http.connections import send_without_delay
from bridge.queue.enqueue import queues_with_workers
from bridge.settings import get_settings
from tests.support import medusa as fake
from tests.support.deliveries import WEBHOOK_SECRET
from tests.support.medusa import FakeMedusa, serving
from tests.support.tokens import ADMIN_TOKEN, JWT_SECRET

_START_SECONDS = 180.0


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A migrated database and a broker. `environment` has the settings of Dust's processes."""

    folder: Path
    database_url: str
    environment: dict[str, str]

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.database_url, autocommit=True)

    def scalar(self, query: str) -> int:
        with self.connect() as connection:
            row = connection.execute(query).fetchone()
            assert row is not None
            return int(row[0])

    @contextmanager
    def running(self, command: str, *, log: str | None = None, **environment: str) -> Iterator[Popen[bytes]]:
        """Run `dust <command>` during the block. Its output is in the folder."""
        with self._started([*DUST, *command.split()], log or command.split()[0], environment) as process:
            yield process

    @contextmanager
    def working(self, *queues: str, concurrency: int = 2) -> Iterator[Popen[bytes]]:
        """Run a worker of these queues during the block, which begins when it answers."""
        names = ",".join(queues)
        with self.running(f"worker --queues {names} --concurrency {concurrency}", log=names) as process:
            if not until(lambda: all(queues_with_workers(timeout_seconds=0.5).get(q) for q in queues), _START_SECONDS):
                raise RuntimeError(f"no worker of {names} answers")
            yield process

    @contextmanager
    def serving(self, *, workers: int = 2) -> Iterator[tuple[int, Popen[bytes]]]:
        """Run the API during the block. Yields its port and its main process."""
        command = [*DUST, "serve", "--workers", str(workers)]
        with self._listening(command, "serve") as (port, process):
            wait_for_http(port, "/health/live")
            # The first process that answers is not all of them.
            time.sleep(1.0)
            yield port, process

    @contextmanager
    def serving_bare(self, application: str) -> Iterator[int]:
        """Run an ASGI application of the benchmarks under the same server. Yields its port."""
        arguments = ["--workers", "2", "--no-access-log", "--log-level", "warning"]
        command = [sys.executable, "-m", "uvicorn", application, *arguments]
        with self._listening(command, "bare") as (port, _):
            wait_for_http(port, "/")
            time.sleep(1.0)
            yield port

    @contextmanager
    def _listening(self, command: Sequence[str], log: str) -> Iterator[tuple[int, Popen[bytes]]]:
        """Run a server on a free port."""
        with bound_socket() as bound:
            fd = bound.fileno()
            # For the bare application as well: `dust serve` does it itself.
            send_without_delay(fd)
            with self._started([*command, "--fd", str(fd)], log, {}, pass_fds=[fd]) as process:
                yield bound.getsockname()[1], process

    @contextmanager
    def _started(
        self, command: Sequence[str], log: str, environment: Mapping[str, str], pass_fds: Sequence[int] = ()
    ) -> Iterator[Popen[bytes]]:
        with (self.folder / f"{log}.log").open("ab") as output:
            process = spawn(
                command,
                death_signal=signal.SIGTERM,
                env={**self.environment, **environment},
                stdout=output,
                pass_fds=pass_fds,
            )
            try:
                yield process
            finally:
                stop(process, (signal.SIGTERM, 20.0))

    @contextmanager
    def in_this_process(self) -> Iterator[None]:
        """Use this installation's database and settings in this process during the block."""
        before = dict(os.environ)
        _move_to(self.environment)
        try:
            yield
        finally:
            _move_to(before)

    def postmaster(self) -> psutil.Process:
        """The main process of the embedded Postgres."""
        return postmaster_of(self.folder / "data")

    def cpu_seconds(self, process: Popen[bytes]) -> tuple[float, float]:
        """CPU seconds used so far by this process with its children, and by Postgres."""
        return cpu_seconds_of(psutil.Process(process.pid)), cpu_seconds_of(self.postmaster())

    def checkpoint(self) -> None:
        """Force a checkpoint, so that no benchmark runs into one at random."""
        with self.connect() as connection:
            connection.execute("CHECKPOINT")


@contextmanager
def new_installation(postgres: Mapping[str, str] | None = None, **environment: str) -> Iterator[Installation]:
    """Start an installation, and use it in this process too during the block.

    `postgres` are settings of the server in addition to those of `dust up`.
    """
    folder = Path(tempfile.mkdtemp(prefix="dust-bench-"))
    folder.chmod(0o711)
    data = folder / "data"
    try:
        with (
            embedded_postgres(data, settings=postgres, say=lambda _: None) as database_url,
            embedded_redis(data) as broker_url,
        ):
            migrations.upgrade(database_url)
            ours = {
                "DUST_DATABASE_URL": database_url,
                "DUST_BROKER_URL": broker_url,
                "DUST_DATA_DIR": str(data),
                "DUST_WEBHOOK_SECRETS": WEBHOOK_SECRET,
                "DUST_JWT_SECRET": JWT_SECRET,
                "DUST_ADMIN_TOKEN": ADMIN_TOKEN,
                "DUST_LOG_FORMAT": "json",
                **environment,
            }
            around = {name: value for name, value in os.environ.items() if not name.startswith("DUST_")}
            installation = Installation(folder=folder, database_url=database_url, environment={**around, **ours})
            # What this process does itself is said by its figures.
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
            with installation.in_this_process():
                yield installation
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def new_installation_with(medusa: FakeMedusa, **environment: str) -> Iterator[Installation]:
    """As `new_installation`, with this fake Medusa."""
    with serving(medusa) as url:
        environment |= {
            "DUST_MEDUSA_URL": url,
            "DUST_MEDUSA_API_KEY": fake.API_KEY,
            "DUST_MEDUSA_PUBLISHABLE_KEY": fake.PUBLISHABLE_KEY,
        }
        with new_installation(None, **environment) as installation:
            yield installation


def postmaster_of(data_dir: Path) -> psutil.Process:
    """The main process of the `embedded_postgres` with its files in this folder."""
    file = data_dir / "postgres/cluster/postmaster.pid"
    return psutil.Process(int(file.read_text().split()[0]))


def cpu_seconds_of(parent: psutil.Process) -> float:
    """CPU seconds used so far by this process and its children."""
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return float(sum(cpu_times.user + cpu_times.system for cpu_times in times))


def wait_for_http(port: int, path: str) -> None:
    def answers() -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5, trust_env=False).status_code > 0
        return False

    if not until(answers, _START_SECONDS):
        raise RuntimeError(f"nothing answers at port {port}")


def _move_to(environment: Mapping[str, str]) -> None:
    dispose_engine()
    get_settings.cache_clear()
    os.environ.clear()
    os.environ.update(environment)
