"""A real Medusa of one's own: migrate, start, stop, kill, start again."""

import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from psycopg import sql

from bridge.development.demo.install import CommandFailed, Report, medusa_command, medusa_environment, run_reported
from bridge.development.stack.processes import free_port, spawn, stop, until

ADMIN_EMAIL = "merchant@example.com"
_START_SECONDS = 120.0
_STOP_SECONDS = 15.0

# A row that a trigger answers with NULL is not inserted, and nobody is told.
_LOSE_NO_EVENTS = "DROP TABLE IF EXISTS dust_lost; DROP FUNCTION IF EXISTS dust_lose CASCADE"
_LOSE_EVENTS = """
CREATE TABLE dust_lost (type text, data jsonb);
CREATE FUNCTION dust_lose() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO dust_lost VALUES (NEW.type, NEW.data); RETURN NULL; END $$;
CREATE TRIGGER dust_lose BEFORE INSERT ON dust_outbox FOR EACH ROW EXECUTE FUNCTION dust_lose()
"""


class Shop:
    """A Medusa in its own process group on a free port of this machine."""

    def __init__(self, server: Path, *, environment: dict[str, str], jwt_secret: str, webhook_secret: str, log: Path):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.jwt_secret = jwt_secret
        self.webhook_secret = webhook_secret
        self.admin_email = ADMIN_EMAIL
        self.admin_password = environment["SHOP_ADMIN_PASSWORD"]
        self.log = log
        self._server = server
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self, report: Report) -> None:
        """Bring the database up to date and see that the merchant's user is there."""
        self._run("Migrating Medusa's database", report, "db:migrate")
        if not self._has_merchant():
            user = ("user", "--email", self.admin_email, "--password", self.admin_password)
            self._run("Making the merchant's user", report, *user)

    def start(self, report: Report = lambda line: None) -> None:
        """Start Medusa and come back when it answers. Raises `CommandFailed` with the end of its log otherwise."""
        report("Starting Medusa …")
        with self.log.open("ab") as output:
            process = spawn(
                medusa_command(self._server, "start", "--port", str(self.port), "--host", "127.0.0.1"),
                death_signal=signal.SIGKILL,
                cwd=self._server,
                env=self._environment,
                stdout=output,
            )
        self._process = process
        until(lambda: process.poll() is not None or self._answers(), _START_SECONDS)
        if process.poll() is not None or not self._answers():
            self.kill()
            raise CommandFailed("Starting Medusa", self.log)

    def stop(self) -> None:
        """Ask Medusa to finish, and insist after a while."""
        if self._process:
            stop(self._process, (signal.SIGTERM, _STOP_SECONDS))

    def kill(self) -> None:
        """End Medusa at once, as a crash would."""
        if self._process:
            stop(self._process)

    def twin(self) -> "Shop":
        """Another process of this Medusa, as a load balancer has several, on a port of its own; not started yet."""
        return Shop(
            self._server,
            environment=self._environment,
            jwt_secret=self.jwt_secret,
            webhook_secret=self.webhook_secret,
            log=self.log.with_suffix(".twin.log"),
        )

    def restart(self) -> None:
        """Stop Medusa if it runs, and start it on the same port."""
        self.stop()
        self.start()

    @contextmanager
    def losing_events(self) -> Iterator[Callable[[str], bool]]:
        """For the length of the block, what the plugin wants to keep for Dust is lost before it is written.

        So it is for a Medusa that dies after it has committed an order and before it tells anybody. Yields a function
        that says whether an event about an order, by its id, was lost already.
        """
        with psycopg.connect(self._environment["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(_LOSE_NO_EVENTS)  # A run that was killed in here has left its trigger.
            connection.execute(_LOSE_EVENTS)

            def lost(order_id: str) -> bool:
                query = "SELECT 1 FROM dust_lost WHERE data->>'id' = %s"
                return connection.execute(query, [order_id]).fetchone() is not None

            try:
                yield lost
            finally:
                connection.execute(_LOSE_NO_EVENTS)

    @contextmanager
    def holding_events(self) -> Iterator[None]:
        """For the length of the block, nothing gets into the plugin's outbox: events wait in Medusa's event bus.

        What still waits at its end is never written: a Medusa that is killed in the block dies between an order and
        what tells of it, and Postgres alone would not notice in time.
        """
        with psycopg.connect(self._environment["DATABASE_URL"]) as connection:
            connection.execute("LOCK TABLE dust_outbox IN EXCLUSIVE MODE")
            yield
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )

    def backdate(self, order_id: str, created_at: datetime) -> None:
        """Let an order, or a draft, be as old as if it had been made at `created_at`."""
        with psycopg.connect(self._environment["DATABASE_URL"]) as connection:
            connection.execute('UPDATE "order" SET created_at = %s WHERE id = %s', [created_at, order_id])

    def keeps(self, order_ids: list[str]) -> bool:
        """Whether the plugin has an `order.placed` of each of these orders in its outbox, sent or not."""
        with psycopg.connect(self._environment["DATABASE_URL"]) as connection:
            query = "SELECT DISTINCT data->>'id' FROM dust_outbox WHERE type = 'order.placed' AND data->>'id' = ANY(%s)"
            return len(connection.execute(query, [order_ids]).fetchall()) == len(set(order_ids))

    def _run(self, title: str, report: Report, *arguments: str) -> None:
        command = medusa_command(self._server, *arguments)
        run_reported(command, cwd=self._server, env=self._environment, log=self.log, title=title, report=report)

    def _has_merchant(self) -> bool:
        with psycopg.connect(self._environment["DATABASE_URL"]) as connection:
            query = 'SELECT 1 FROM "user" WHERE email = %s AND deleted_at IS NULL'
            return connection.execute(query, [self.admin_email]).fetchone() is not None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).is_success
        except httpx.TransportError:
            return False


@contextmanager
def running_shop(
    server: Path,
    *,
    database_url: str,
    dust_url: str,
    webhook_secret: str,
    jwt_secret: str,
    admin_token: str,
    log: Path,
    report: Report,
    admin_password: str,
    database_name: str = "medusa",
    redis_url: str | None = None,
    dashboard: bool = False,
) -> Iterator[Shop]:
    """A migrated, started Medusa from `install_shop`'s folder, gone when the context ends, however that happens.

    Its tables go into a database of their own on the server of `database_url`. `dust_url` is where the plugin finds
    Dust; nothing needs to listen there yet. Without `redis_url` Medusa keeps its event bus and locks in memory.
    """
    variables = {
        "DATABASE_URL": create_database(database_url, database_name),
        "DUST_URL": dust_url,
        "DUST_ADMIN_TOKEN": admin_token,
        "DUST_WEBHOOK_SECRET": webhook_secret,
        "JWT_SECRET": jwt_secret,
        "COOKIE_SECRET": secrets.token_urlsafe(32),
        "SHOP_ADMIN_PASSWORD": admin_password,
        "SHOP_DASHBOARD": str(dashboard).lower(),
    }
    if redis_url:
        variables["REDIS_URL"] = redis_url
    environment = medusa_environment(server, **variables)
    shop = Shop(server, environment=environment, jwt_secret=jwt_secret, webhook_secret=webhook_secret, log=log)
    shop.prepare(report)
    try:
        shop.start(report)
        yield shop
    finally:
        shop.stop()


def create_database(server_url: str, name: str) -> str:
    """Make a database on the server of this URL unless it is there, and return its own URL."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    parts = urlsplit(server_url)
    return urlunsplit(parts._replace(path=f"/{name}"))
