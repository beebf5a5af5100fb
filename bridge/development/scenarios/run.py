"""Runs each scenario on its own empty database."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from bridge import db
from bridge.db import migrations
from bridge.development.scenarios.document import Scenario
from bridge.development.scenarios.play import Failure, Report, play
from bridge.development.scenarios.shop import Shop, serving
from bridge.development.stack.postgres import embedded_postgres
from bridge.development.stack.secrets import own_secrets
from bridge.medusa import client
from bridge.settings import get_settings

# The databases are temporary, so they need not survive a crash.
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

Player = Callable[[Scenario, Report], list[Failure]]


@contextmanager
def stage() -> Iterator[Player]:
    """Run a server during the block, and yield a function that plays a scenario on its own database.

    It replaces all `DUST_` variables of this process.
    """
    with tempfile.TemporaryDirectory(prefix="dust-scenario-") as name:
        folder = Path(name)
        # If root runs it, Postgres runs as another user, who must be able to pass through.
        folder.chmod(0o711)
        with embedded_postgres(folder / "data", settings=_QUICK, say=lambda _: None) as template:
            migrations.upgrade(template)
            _put_environment(folder)
            # Each step is reported, so only errors are logged.
            logging.disable(logging.WARNING)
            played = 0

            def on_a_fresh_database(scenario: Scenario, report: Report) -> list[Failure]:
                nonlocal played
                played += 1
                shop = Shop()
                with serving(shop) as address:
                    _set({"DUST_DATABASE_URL": _copy(template, played), "DUST_MEDUSA_URL": address})
                    try:
                        return play(scenario, shop, report)
                    finally:
                        db.dispose_engine()

            yield on_a_fresh_database


def _put_environment(folder: Path) -> None:
    for name in [name for name in os.environ if name.startswith("DUST_")]:
        del os.environ[name]
    _set({"DUST_DATA_DIR": str(folder / "data")})
    _set(own_secrets(get_settings(), folder / "data").environment)
    # There are no workers and no broker: messages of the API are lost, which is allowed.
    _set({"DUST_BROKER_URL": "redis://127.0.0.1:1/0", "DUST_MEDUSA_API_KEY": "sk_of_a_scenario"})


def _set(variables: Mapping[str, str]) -> None:
    os.environ.update(variables)
    get_settings.cache_clear()
    client.get_medusa.clear()


def _copy(template: str, number: int) -> str:
    server, _, name = template.rpartition("/")
    copy = f"scenario_{number}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(copy), sql.Identifier(name)))
    return f"{server}/{copy}"
