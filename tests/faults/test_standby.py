"""Postgres dies under load and its synchronous standby takes over: nothing acknowledged is lost."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bridge.db import migrations
from bridge.development.stack.account import open_data_dir, server_account, server_folder
from bridge.development.stack.postgres import embedded_postgres
from bridge.development.stack.secrets import kept_secret
from bridge.development.stack.servers import package_folder
from bridge.operations.audit import audit
from tests.support.brokers import own_broker
from tests.support.child_processes import data_folder, family
from tests.support.databases import at_database
from tests.support.processes import eventually, serving_dust
from tests.support.steady_orders import selling

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

# A commit waits until the standby has written it to disk.
_SYNCHRONOUS = "ALTER SYSTEM SET synchronous_standby_names = '*'"


@contextmanager
def standby_of(primary: str, folder: Path) -> Iterator[str]:
    """Create a second server that replicates the first. Returns its address."""
    data = open_data_dir(folder)
    account = server_account(data / "postgres")
    cluster = server_folder(data, "postgres", account) / "cluster"
    password = str(conninfo_to_dict(primary)["password"])
    kept_secret(data, "postgres-password", lambda: password)
    copy = package_folder("embedded_postgres") / "pginstall/bin/pg_basebackup"
    subprocess.run([copy, "-d", primary, "-D", cluster, "-R", "-c", "fast"], check=True)
    if account:
        for path in (cluster, *cluster.rglob("*")):
            os.lchown(path, account.uid, account.gid)
    with embedded_postgres(data, say=lambda _: None) as url:
        yield url


def either(*urls: str) -> str:
    """One database address with both servers, as an operator writes it."""
    servers = [conninfo_to_dict(url) for url in urls]
    hosts = ",".join(f"{server['host']}:{server['port']}" for server in servers)
    credentials = f"{servers[0]['user']}:{servers[0]['password']}"
    return f"postgresql://{credentials}@{hosts}/{servers[0]['dbname']}?target_session_attrs=read-write"


def kill(folder: Path) -> None:
    """Kill all of its processes. If it is restarted, it starts as a standby, as after a failover."""
    cluster = folder / "postgres/cluster"
    postmaster = int((cluster / "postmaster.pid").read_text().split()[0])
    follow = cluster / "standby.signal"
    follow.touch()
    shutil.chown(follow, *owner(cluster))
    for process in family(postmaster):
        process.send_signal(signal.SIGKILL)


def owner(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_uid, status.st_gid


def test_the_standby_takes_over(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        data_folder() as first_folder,
        data_folder() as second_folder,
        embedded_postgres(first_folder, say=lambda _: None) as first,
        psycopg.connect(first, autocommit=True) as there,
        own_broker() as broker,
    ):
        migrations.upgrade(first)
        with standby_of(first, second_folder) as second, psycopg.connect(second, autocommit=True) as here:
            there.execute(_SYNCHRONOUS)
            there.execute("SELECT pg_reload_conf()")
            state = "SELECT sync_state FROM pg_stat_replication"
            eventually(lambda: there.execute(state).fetchall() == [("sync",)])
            both = either(first, second)
            environment = {**settings, "DUST_DATABASE_URL": both, "DUST_BROKER_URL": broker.url}
            with serving_dust(environment, worker="worker --concurrency 2", beat="beat") as url, selling(url) as orders:
                orders.sell_more()
                assert orders.refused == 0
                kill(first_folder)
                died = time.monotonic()
                # The promotion is a decision of the operator, or of their failover tool.
                here.execute("SELECT pg_promote()")
                orders.sell_more(1)
                print(f"acknowledged again after {time.monotonic() - died:.1f} s, {orders.refused} refused meanwhile")
                orders.sell_more()
                orders.close()
                done = "SELECT count(*) FILTER (WHERE state = 'handled'), count(*) FROM webhook_event"
                eventually(lambda: here.execute(done).fetchone() == (orders.acknowledged, orders.acknowledged))
            balances = dict(here.execute("SELECT customer_id, balance FROM dust_balance").fetchall())
            assert balances == orders.balances
            with at_database(both, monkeypatch):
                assert audit() == []
