"""Dust behind PgBouncer in transaction mode, which gives each transaction another connection to Postgres."""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import sql

from bridge import db
from bridge.app import create_app
from bridge.development.stack.account import server_account
from bridge.development.stack.processes import spawn
from bridge.development.stack.servers import served
from bridge.inbox.process_batch import process_batch
from bridge.operations import doctor
from bridge.operations.doctor.finding import Finding
from bridge.settings import get_settings
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.orders import order, order_event

CUSTOMERS = 8
PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"

pytestmark = pytest.mark.skipif(not Path(PROGRAM).exists(), reason="PgBouncer is not installed (.ci/run installs it)")


@contextmanager
def pgbouncer(logins: dict[str, str], postgres_port: int, **options: str) -> Iterator[int]:
    """The port of a PgBouncer with these users and passwords."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        account = server_account(folder / "none")
        (folder / "users").write_text("".join(f'"{user}" "{password}"\n' for user, password in logins.items()))

        def launch(port: int, log: object) -> object:
            settings = {
                "listen_addr": "127.0.0.1",
                "listen_port": str(port),
                "unix_socket_dir": "",
                "auth_type": "scram-sha-256",
                "auth_file": str(folder / "users"),
                "pool_mode": "transaction",
                "default_pool_size": "3",
                **options,
            }
            (folder / "pgbouncer.ini").write_text(
                f"[databases]\n* = host=127.0.0.1 port={postgres_port}\n[pgbouncer]\n"
                + "".join(f"{option} = {value}\n" for option, value in settings.items())
            )
            if account:
                for path in (folder, *folder.iterdir()):
                    os.chown(path, account.uid, account.gid)
            return spawn([PROGRAM, folder / "pgbouncer.ini"], death_signal=signal.SIGKILL, account=account, stdout=log)  # type: ignore[arg-type]

        user, password = next(iter(logins.items()))

        def answers(port: int) -> bool:
            try:
                with psycopg.connect(f"postgresql://{user}:{password}@127.0.0.1:{port}/postgres", connect_timeout=2):
                    return True
            except psycopg.OperationalError:
                return False

        with served(launch, answers, log=folder / "log", stop_steps=((signal.SIGTERM, 10.0),)) as port:  # type: ignore[arg-type]
            yield port


@pytest.fixture
def serving_login(database: str) -> Iterator[str]:
    """A login that may do what Dust does all day, and owns nothing."""
    name = f"serve_{urlsplit(database).path[1:]}"
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'serves' IN ROLE dust_app").format(sql.Identifier(name)))
        yield name
        owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def pooled(
    settings: dict[str, str], database: str, serving_login: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., None]]:
    """`pooled(user=…, ignore=…, pool_mode=…, **variables)` puts a PgBouncer between Dust and its Postgres."""
    direct = urlsplit(database)
    assert direct.port
    assert direct.username
    assert direct.password
    logins = {direct.username: direct.password, serving_login: "serves"}
    with ExitStack() as running:

        def put_between(user: str, *, ignore: str = "", pool_mode: str = "transaction", **variables: str) -> None:
            options = {"pool_mode": pool_mode} | ({"ignore_startup_parameters": ignore} if ignore else {})
            port = running.enter_context(pgbouncer(logins, direct.port, **options))
            monkeypatch.setenv("DUST_DATABASE_URL", f"postgresql://{user}:{logins[user]}@127.0.0.1:{port}{direct.path}")
            for name, value in variables.items():
                monkeypatch.setenv(f"DUST_{name}", value)
            reread_clock()

        yield put_between
        monkeypatch.setenv("DUST_DATABASE_URL", database)
        monkeypatch.delenv("DUST_DATABASE_POOLED", raising=False)
        reread_clock()


def reread_clock() -> None:
    get_settings.cache_clear()
    db.dispose_engine()


def wrong(*checks: str) -> dict[str, Finding]:
    findings = {finding.check: finding for finding in doctor.examine()}
    return {name: findings[name] for name in checks if findings[name].ok is False}


@pytest.mark.parametrize("pool_mode", ["session", "transaction"])
def test_doctor_names_what_to_set_when_the_pooler_refuses(
    pooled: Callable[..., None], database: str, pool_mode: str
) -> None:
    pooled(str(urlsplit(database).username), pool_mode=pool_mode)
    finding = wrong("database")["database"]
    assert "refuses the settings of Dust's sessions" in finding.detail
    assert "DUST_DATABASE_POOLED=true" in str(finding.fix)
    assert "DUST_OWNER_DATABASE_URL" in str(finding.fix)


def test_doctor_names_the_mode_of_a_pooler_that_has_no_transactions(
    pooled: Callable[..., None], serving_login: str
) -> None:
    pooled(serving_login, pool_mode="statement", DATABASE_POOLED="true")
    finding = wrong("database")["database"]
    assert "single statements" in finding.detail
    assert "pool_mode = transaction" in str(finding.fix)


def test_doctor_notices_a_pooler_that_drops_the_settings(pooled: Callable[..., None], database: str) -> None:
    pooled(str(urlsplit(database).username), ignore="options")
    assert "DUST_DATABASE_POOLED=true" in str(wrong("sessions")["sessions"].fix)


@pytest.mark.parametrize("pool_mode", ["session", "transaction"])
def test_what_doctor_says_is_all_there_is_to_set(
    pooled: Callable[..., None], database: str, serving_login: str, pool_mode: str
) -> None:
    owner_name = str(urlsplit(database).username)
    pooled = partial(pooled, pool_mode=pool_mode)
    pooled(owner_name, DATABASE_POOLED="true")
    findings = wrong("database", "sessions", "privileges")
    assert set(findings) == {"sessions", "privileges"}
    assert "IN ROLE dust_app" in str(findings["privileges"].fix)

    pooled(serving_login, DATABASE_POOLED="true")
    findings = wrong("database", "sessions", "privileges")
    assert set(findings) == {"sessions"}
    statements = re.findall(r"ALTER ROLE [^;]+;", str(findings["sessions"].fix))
    assert len(statements) >= 2
    with psycopg.connect(database, autocommit=True) as owner:
        for statement in statements:
            owner.execute(statement)
    # As the pooler does when it connects again.
    pooled(serving_login, DATABASE_POOLED="true")
    assert wrong("database", "sessions", "privileges") == {}


def test_points_are_right_and_no_role_reaches_another_client(
    pooled: Callable[..., None], database: str, serving_login: str, enqueued: list[object]
) -> None:
    pooled(serving_login, DATABASE_POOLED="true")
    events = [order_event(order(f"order_{n}", customer_id=f"cus_{n % CUSTOMERS}")) for n in range(4 * CUSTOMERS)]
    with TestClient(create_app()) as api:
        with ThreadPoolExecutor(8) as pool:
            assert {answer.status_code for answer in pool.map(lambda body: deliver(api, body), events)} == {202}
        while process_batch().taken:
            pass
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(
                lambda n: api.get("/store/dust", headers=tokens.customer(f"cus_{n % CUSTOMERS}")), range(40)
            )
            points = {answer.json()["points"] for answer in answers}
    assert len(points) == 1
    assert points != {0}
    address = urlsplit(str(get_settings().database_url))
    owner = urlsplit(database)
    through = f"postgresql://{owner.username}:{owner.password}@127.0.0.1:{address.port}{owner.path}"
    for _ in range(5):
        with psycopg.connect(through) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (owner.username,)
