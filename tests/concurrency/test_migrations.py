"""Migrations under load: webhooks are accepted and booked, balances are read, and no request is refused.

An operator who updates Dust migrates first and then replaces the processes one by one. So the processes here run the
old code, and the migrations come after all that there are; they do what migrations do to the busiest tables.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from shutil import copytree
from time import monotonic

import httpx
import psycopg
import pytest
from sqlalchemy import text

from bridge.db import migrations, transaction
from tests.support import tokens
from tests.support.brokers import own_broker
from tests.support.deliveries import deliver
from tests.support.orders import order, order_event
from tests.support.processes import eventually, serving_dust

pytestmark = pytest.mark.servers

WRITERS, READERS, CUSTOMERS = 3, 2, 10
FINE = {("webhook", 202), ("balance", 200), ("history", 200)}
HEAD = """
revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None

import sqlalchemy as sa
from alembic import op

from bridge.db.migrations.locks import concurrently
from bridge.db.migrations.privileges import grant
"""
# Migrations of a later version. They change nothing that the present code reads or writes.
NEXT = (
    """
def upgrade():
    op.add_column("webhook_event", sa.Column("later", sa.Text(), nullable=True))
    op.add_column("order_settlement", sa.Column("later", sa.Boolean(), server_default="false", nullable=False))
    with concurrently():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_later")
        op.execute("CREATE INDEX CONCURRENTLY ix_later ON order_settlement (order_id) WHERE later")
""",
    """
def upgrade():
    for table in ("dust_balance", "dust_transaction", "dust_lot"):
        op.add_column(table, sa.Column("later", sa.BigInteger(), server_default="0", nullable=False))
    op.create_check_constraint("ck_dust_balance_later", "dust_balance", "later >= 0")
    op.create_table("later", sa.Column("id", sa.Text(), primary_key=True))
""",
)
# What an earlier version may not have: a table, columns, and a part of a constraint.
EARLIER = """
    DROP TABLE order_former_owner;
    ALTER TABLE order_settlement DROP COLUMN expired, DROP COLUMN taken_back, DROP COLUMN former_share,
        DROP COLUMN gone, DROP COLUMN revision, DROP COLUMN check_at;
    ALTER TABLE dust_redemption_code DROP COLUMN also_order_id;
    ALTER TABLE dust_balance DROP COLUMN waived;
    DELETE FROM alembic_version;
"""
NOW = '''
def upgrade():
    op.execute("""
        ALTER TABLE order_settlement ADD COLUMN expired bigint NOT NULL DEFAULT 0,
            ADD COLUMN taken_back bigint NOT NULL DEFAULT 0, ADD COLUMN former_share bigint,
            ADD COLUMN gone boolean NOT NULL DEFAULT false, ADD COLUMN revision integer NOT NULL DEFAULT 0,
            ADD COLUMN check_at timestamptz;
        ALTER TABLE dust_redemption_code ADD COLUMN also_order_id text;
        ALTER TABLE dust_balance ADD COLUMN waived bigint NOT NULL DEFAULT 0, ADD CONSTRAINT ck_dust_balance_figures
            CHECK (held >= 0 AND pending >= 0 AND debt >= 0 AND waived >= 0);
        CREATE TABLE order_former_owner (
            order_id text NOT NULL, customer_id text NOT NULL, first boolean NOT NULL, booked bigint NOT NULL,
            not_taken bigint NOT NULL, expired bigint NOT NULL, taken_back bigint NOT NULL, unearned bigint NOT NULL,
            worth bigint NOT NULL,
            CONSTRAINT pk_order_former_owner PRIMARY KEY (order_id, customer_id)
        );
        CREATE INDEX ix_order_former_owner_customer_id ON order_former_owner (customer_id);
    """)
    grant("SELECT, INSERT, UPDATE, DELETE", "order_former_owner")
    with concurrently():
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_order_settlement_check_at ON order_settlement (check_at)"
            " WHERE check_at IS NOT NULL"
        )
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_dust_redemption_code_also_order_id ON dust_redemption_code (also_order_id)"
            " WHERE also_order_id IS NOT NULL"
        )
'''


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The folder with the migrations that `migrations.upgrade` of this process applies; a copy, to be changed."""
    folder = tmp_path / "migrations"
    copytree(migrations._FOLDER, folder)
    monkeypatch.setattr(migrations, "_FOLDER", folder)
    migrations.known_revisions.cache_clear()
    yield folder / "versions"
    migrations.known_revisions.cache_clear()


@pytest.fixture
def later(versions: Path) -> list[str]:
    """`dust migrate` as a later version has it: two migrations more; their revisions."""
    before = migrations.known_revisions()[0]
    revisions = []
    for number, body in enumerate(NEXT, start=1):
        revision = f"9{number:03}"
        head = HEAD.format(revision=revision, before=before)
        (versions / f"{revision}_later.py").write_text(head + body)
        revisions.append(revision)
        before = revision
    migrations.known_revisions.cache_clear()
    return revisions


@pytest.fixture
def behind(settings: dict[str, str], versions: Path) -> str:
    """A database as an earlier version left it, with the migration that brings it up to date; its address."""
    newest = migrations.known_revisions()[0]
    with psycopg.connect(settings["DUST_DATABASE_URL"]) as connection:
        connection.execute(EARLIER)
    for file in versions.glob("[0-9]*.py"):
        file.unlink()
    head = HEAD.format(revision=newest, before="").replace('down_revision = ""', "down_revision = None")
    (versions / f"{newest}_now.py").write_text(head + NOW)
    return settings["DUST_DATABASE_URL"]


@dataclass
class Load:
    """Webhooks and reads without a pause. Counts statuses by call, and keeps the slowest response time."""

    url: str
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    slowest_seconds: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def write(self, writer: int) -> None:
        for number in count():
            if self.over.is_set():
                return
            name = f"{writer}_{number:04}"
            body = order_event(order(f"order_{name}", customer_id=f"cus_{number % CUSTOMERS}"))
            if self._ask("webhook", lambda http, body=body, name=name: deliver(http, body, event_id=name)) == 202:
                self.accepted.add(name)
            # A rate that the worker can process, also on a busy machine.
            self.over.wait(0.05)

    def read(self, reader: int) -> None:
        headers = tokens.customer(f"cus_{reader}")
        while not self.over.is_set():
            self._ask("balance", lambda http: http.get("/store/dust/balance", headers=headers))
            self._ask("history", lambda http: http.get("/store/dust/transactions", headers=headers))

    def _ask(self, call_name: str, call: Callable[[httpx.Client], httpx.Response]) -> int:
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as http:
            started = monotonic()
            status = call(http).status_code
        self.slowest_seconds = max(self.slowest_seconds, monotonic() - started)
        self.answers[call_name, status] += 1
        return status

    def goes_on(self) -> None:
        """Wait until every kind of call was answered again."""
        before = self.answers.copy()
        eventually(lambda: all(self.answers[kind] > before[kind] for kind in FINE))


@contextmanager
def under_load(url: str) -> Iterator[Load]:
    """Send webhooks and reads during the block. At the end all responses must have been successful."""
    load = Load(url)
    threads = [threading.Thread(target=load.write, args=[number]) for number in range(WRITERS)]
    threads += [threading.Thread(target=load.read, args=[number]) for number in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        load.goes_on()
        yield load
        load.goes_on()
    finally:
        load.over.set()
        for thread in threads:
            thread.join()
    print(dict(load.answers), f"slowest {load.slowest_seconds:.2f} s")
    assert set(load.answers) == FINE


def handled() -> set[str]:
    with transaction() as connection:
        return set(connection.scalars(text("SELECT id FROM webhook_event WHERE state = 'handled'")))


@contextmanager
def installation(settings: dict[str, str]) -> Iterator[str]:
    with own_broker() as broker:
        environment = {**settings, "DUST_BROKER_URL": broker.url, "DUST_SWEEP_SECONDS": "1"}
        with serving_dust(environment, worker="worker --concurrency 1", beat="beat") as url:
            yield url


def test_no_request_fails_while_the_tables_change(settings: dict[str, str], later: list[str]) -> None:
    with installation(settings) as url:
        with under_load(url) as load:
            assert migrations.upgrade(settings["DUST_DATABASE_URL"])[1] == later[-1]
            load.goes_on()
            ready = httpx.get(f"{url}/health/ready", timeout=60, trust_env=False)
            assert ready.status_code == 200, "who is a version behind the database serves until its turn comes"
        # The fixture audits the ledger.
        eventually(lambda: load.accepted <= handled())


def test_a_migration_that_waits_for_a_long_reader_blocks_no_request(settings: dict[str, str], later: list[str]) -> None:
    database = settings["DUST_DATABASE_URL"]
    messages: list[str] = []
    result: list[tuple[str | None, str | None]] = []
    migrating = threading.Thread(target=lambda: result.append(migrations.upgrade(database, say=messages.append)))
    with installation(settings) as url:
        with under_load(url) as load, psycopg.connect(database, application_name="a long report") as reader:
            # A long read, as of `dust audit`, a report or a backup.
            reader.execute("SELECT count(*) FROM dust_balance")
            migrating.start()
            try:
                eventually(lambda: sum(f"at {later[0]}" in line for line in messages) >= 2)
                # It has released the table twice, other requests are served, and the migrations before it are done.
                load.goes_on()
                with transaction() as connection:
                    assert migrations.current_revision(connection) == later[0]
            finally:
                reader.rollback()
                migrating.join()
        eventually(lambda: load.accepted <= handled())
    assert result == [(migrations.known_revisions()[len(later)], later[-1])]
    assert any("a long report" in line for line in messages)


def test_code_newer_than_its_tables_stores_every_event_and_processes_them_after_the_migration(
    settings: dict[str, str], behind: str
) -> None:
    with installation(settings) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        ready = http.get("/health/ready")
        assert (ready.status_code, ready.json()["missing"]) == (503, ["migrations"])
        for number in range(20):
            body = order_event(order(f"order_{number}", customer_id="cus_1"))
            assert deliver(http, body, event_id=f"msg_{number}").status_code == 202
        answers = [
            http.get(path, headers=tokens.customer("cus_1"))
            for path in ("/store/dust/balance", "/store/dust/transactions", "/store/dust/referral")
        ]
        for response in answers:
            assert response.status_code == 200 or (response.status_code, response.json()["code"]) == (
                503,
                "database_behind",
            )
        assert handled() == set()
        assert migrations.upgrade(behind) == (None, migrations.known_revisions()[0])
        assert migrations.differences(behind) == []
        eventually(lambda: len(handled()) == 20)
        assert http.get("/health/ready").status_code == 200
        assert http.get("/store/dust/balance", headers=tokens.customer("cus_1")).json()["balance"] == 200
