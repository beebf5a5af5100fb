"""What the plugin costs a real Medusa while Dust is away and a day's events wait in its outbox."""

import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from benchmarks.figures import Figure, Outcome, Scale
from benchmarks.installation import cpu_seconds_of, postmaster_of
from bridge.development.demo.shop import Shop, running_shop
from bridge.development.stack.postgres import embedded_postgres
from bridge.development.stack.processes import until
from tests.support.built_shop import built_shop
from tests.support.deliveries import WEBHOOK_SECRET

NAME = "outage"
# A day of a shop with 1,500 orders, each with about four events.
WAITING = 6_000
MAX_PERCENT = 1
# Medusa goes on preparing itself for a while after it answers.
_SETTLED_SECONDS = 30.0
_FILL = """
INSERT INTO dust_outbox (id, type, data, occurred_at, next_attempt_at)
SELECT 'bench_' || number, 'order.placed', jsonb_build_object('id', 'order_' || number), now(), now()
FROM generate_series(1, %s) AS number
"""
_ATTEMPTED = "SELECT count(*) FROM dust_outbox WHERE attempts > 0"


def measure(scale: Scale) -> Outcome:
    seconds = 2 * scale.seconds
    figures, notes = [], [f"a real Medusa and its Postgres, {WAITING:,} events wait, {seconds:.0f} s each"]
    with _silent_server() as silent_url, _closed_port() as closed_url:
        for away, dust_url in (("refuses connections", closed_url), ("never answers", silent_url)):
            with _shop(dust_url) as (shop, server):
                time.sleep(_SETTLED_SECONDS)
                idle = _percent(shop, server, seconds)
                _begin_outage(shop)
                percent = _percent(shop, server, seconds)
            name = f"CPU in the shop while Dust {away}"
            limit_is = f"all that Medusa and Postgres use; without events {idle:.2f}"
            figures.append(
                Figure(
                    measure=NAME, name=name, value=percent, unit="% of a core", limit=MAX_PERCENT, at_most=True,
                    limit_is=limit_is,
                )
            )  # fmt: skip
    return Outcome(figures=figures, notes=notes)


def _begin_outage(shop: Shop) -> None:
    """Fill the outbox, and wait until the plugin has seen that Dust is away."""
    with psycopg.connect(shop.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(_FILL, [WAITING])

        def attempted() -> bool:
            row = connection.execute(_ATTEMPTED).fetchone()
            return row is not None and row[0] > 0

        if not until(attempted, 60):
            raise RuntimeError("the plugin did not try to send an event")


def _percent(shop: Shop, server: psutil.Process, seconds: float) -> float:
    """Percent of a core that Medusa and its Postgres use during so many seconds."""
    processes = (psutil.Process(shop.pid), server)
    started, before = time.monotonic(), sum(map(cpu_seconds_of, processes))
    time.sleep(seconds)
    return 100 * (sum(map(cpu_seconds_of, processes)) - before) / (time.monotonic() - started)


@contextmanager
def _shop(dust_url: str) -> Iterator[tuple[Shop, psutil.Process]]:
    """Run a new Medusa on a Postgres of its own. Yields it with the main process of that Postgres."""
    folder = Path(tempfile.mkdtemp(prefix="dust-bench-"))
    folder.chmod(0o711)
    try:
        with (
            embedded_postgres(folder, say=_say_nothing) as database_url,
            running_shop(
                built_shop(),
                database_url=database_url,
                dust_url=dust_url,
                webhook_secret=WEBHOOK_SECRET,
                jwt_secret=secrets.token_urlsafe(32),
                admin_token=secrets.token_urlsafe(32),
                admin_password=secrets.token_urlsafe(16),
                log=folder / "medusa.log",
                report=_say_nothing,
            ) as shop,
        ):
            yield shop, postmaster_of(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _silent_server() -> Iterator[str]:
    """An address that takes connections and never answers, because nobody accepts them."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def _closed_port() -> Iterator[str]:
    """An address at which nothing listens; it is bound, so that nobody else gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def _say_nothing(_: str) -> None:
    """Nobody reads the progress of a benchmark."""
