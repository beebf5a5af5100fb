"""Runs a real Medusa: migrate, start, stop, kill, restart."""

import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bridge.development.demo.install import Report, await_start, medusa_command, medusa_environment, run_reported
from bridge.development.stack.postgres import create_database
from bridge.development.stack.processes import free_port, spawn, stop

ADMIN_EMAIL = "merchant@example.com"
_START_SECONDS = 120.0
_STOP_SECONDS = 15.0

# If a BEFORE trigger returns NULL, the row is not inserted, without an error.
_LOSE_NO_EVENTS = "DROP TABLE IF EXISTS dust_lost; DROP FUNCTION IF EXISTS dust_lose CASCADE"
_LOSE_EVENTS = """
CREATE TABLE dust_lost (type text, data jsonb);
CREATE FUNCTION dust_lose() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO dust_lost VALUES (NEW.type, NEW.data); RETURN NULL; END $$;
CREATE TRIGGER dust_lose BEFORE INSERT ON dust_outbox FOR EACH ROW EXECUTE FUNCTION dust_lose()
"""


class Shop:
    """A Medusa process on this machine, on a free port if `port` is 0."""

    def __init__(self, server: Path, *, environment: dict[str, str], log: Path, port: int = 0):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin_email = ADMIN_EMAIL
        self.admin_password = environment["SHOP_ADMIN_PASSWORD"]
        self.log = log
        self.server = server
        self.environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self, report: Report) -> None:
        """Migrate the database, and create the merchant's user if it is missing."""
        self.run("Migrating Medusa's database", report, "db:migrate")
        if not self._has_merchant():
            user = ("user", "--email", self.admin_email, "--password", self.admin_password)
            self.run("Creating the merchant's user", report, *user)

    def start(self, report: Report = lambda line: None) -> None:
        """Start Medusa and wait until it answers. Raises `CommandFailed` with the end of its log otherwise."""
        report("Starting Medusa …")
        with self.log.open("ab") as output:
            self._process = spawn(
                medusa_command(self.server, "start", "--port", str(self.port), "--host", "127.0.0.1"),
                death_signal=signal.SIGKILL,
                cwd=self.server,
                env=self.environment,
                stdout=output,
            )
        health = f"{self.url}/health"
        await_start(self._process, health, _START_SECONDS, title="Starting Medusa", log=self.log)

    @property
    def pid(self) -> int:
        """The process id of a Medusa that was started."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Stop Medusa with SIGTERM, and kill it after a timeout."""
        if self._process:
            stop(self._process, (signal.SIGTERM, _STOP_SECONDS))

    def kill(self) -> None:
        """Kill Medusa, like a crash."""
        if self._process:
            stop(self._process)

    @contextmanager
    def losing_events(self) -> Iterator[Callable[[str], bool]]:
        """During the block, rows of the plugin's outbox are lost before they are written.

        This is like a Medusa that dies after it has committed an order and before it emits the event. Yields a function
        that says whether an event of an order, by its id, was lost.
        """
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(_LOSE_NO_EVENTS)  # A run that was killed here leaves its trigger.
            connection.execute(_LOSE_EVENTS)

            def lost(order_id: str) -> bool:
                query = "SELECT 1 FROM dust_lost WHERE data->>'id' = %s"
                return connection.execute(query, [order_id]).fetchone() is not None

            try:
                yield lost
            finally:
                connection.execute(_LOSE_NO_EVENTS)

    def run(self, title: str, report: Report, *arguments: str) -> None:
        """Run a command of Medusa's CLI. Raises `CommandFailed`."""
        command = medusa_command(self.server, *arguments)
        run_reported(command, cwd=self.server, env=self.environment, log=self.log, title=title, report=report)

    def _has_merchant(self) -> bool:
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            query = 'SELECT 1 FROM "user" WHERE email = %s AND deleted_at IS NULL'
            return connection.execute(query, [self.admin_email]).fetchone() is not None


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
    port: int = 0,
) -> Iterator[Shop]:
    """Run a migrated Medusa from `install_shop`'s folder during the block.

    It has its own database on the server of `database_url`. `dust_url` is Dust's address for the plugin; nothing needs
    to listen there yet. Without `redis_url` Medusa has its event bus and locks in memory.
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
    shop = Shop(server, environment=environment, log=log, port=port)
    shop.prepare(report)
    try:
        shop.start(report)
        yield shop
    finally:
        shop.stop()
