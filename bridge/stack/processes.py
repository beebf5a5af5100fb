"""Starting and stopping processes that must not outlive us."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from bridge.stack.account import Account

_LAUNCH = Path(__file__).with_name("launch.py")
# The other process may be creating a cluster, or a server told to stop may be writing out what it holds in memory.
_ATTACH_SECONDS = 90.0
_POLL_SECONDS = 0.1


class StackError(Exception):
    """A server or process of the stack cannot run; the message says why, in words for whoever typed the command."""


def spawn(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command`, standard error joined to standard output; it gets `death_signal` when our process dies.

    Linux ties that signal to the *thread* that called, so call it from one that lives as long as the child should.
    """
    owner = f"{account.uid}:{account.gid}" if account else ""
    launch: list[str | Path] = [sys.executable, "-I", "-S", _LAUNCH, str(os.getpid()), str(int(death_signal)), owner]
    return subprocess.Popen(
        [*launch, *command],
        env=env,
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        pass_fds=pass_fds,
        # Ctrl-C in a terminal reaches the whole foreground group; servers must outlast those who still use them.
        process_group=0,
    )


def stop(process: subprocess.Popen[bytes], *steps: tuple[signal.Signals, float]) -> None:
    """Send each signal in turn, wait its seconds for the process to end, and at last kill its whole group."""
    for number, seconds in steps:
        if process.poll() is None:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on now. Another process may take it before we do: whoever uses it tries again."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def package_folder(package: str) -> Path:
    """Where an installed package's files are, without importing it. Raises `StackError` when it is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(
            f"the package {package} is not installed: install Dust with its `embedded` extra, "
            "or set DUST_DATABASE_URL and DUST_BROKER_URL to servers of your own"
        )
    return Path(spec.submodule_search_locations[0])


def private_log(log: Path) -> IO[bytes]:
    """The file, emptied: a server's complaints may quote rows, so they are for its owner only."""
    log.touch(mode=0o600)
    return log.open("wb")


def log_tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def until(ready: Callable[[], bool], seconds: float) -> bool:
    """Ask every tenth of a second; False when the time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


@contextmanager
def started_once(
    lock_file: Path, start: Callable[[int], AbstractContextManager[int]], answers: Callable[[int], bool]
) -> Iterator[int]:
    """The port of the server that `start` starts, or of the one that another process started and still holds.

    Two locks. The first says who started the server, and its file on which port it `answers`. The second is
    inherited by the server (`start` gets its descriptor to pass on) and by everything the server forks: when the first
    process was killed, the next one waits there until the last of the old server's processes is gone, so that two
    servers never write to one folder and any pid file left behind is known to be stale.
    """
    deadline = time.monotonic() + _ATTACH_SECONDS
    while True:
        with _opened(lock_file) as owner:
            if _try_lock(owner):
                owner.truncate(0)
                with _opened(lock_file.with_suffix(".alive")) as alive:
                    if not until(lambda: _try_lock(alive), _ATTACH_SECONDS):
                        raise StackError(f"a server from before still runs: see `fuser {alive.name}`, and stop it")
                    with start(alive.fileno()) as port:
                        owner.write(str(port))
                        owner.flush()
                        yield port
                return
            owner.seek(0)
            port_of_other = owner.read()
        # The port may be that of an earlier server, when the new owner has not got so far as to clear it.
        if port_of_other and answers(int(port_of_other)):
            yield int(port_of_other)
            return
        if time.monotonic() > deadline:
            raise StackError(f"another process has been starting a server for too long: see `fuser {lock_file}`")
        time.sleep(_POLL_SECONDS)


def _opened(lock_file: Path) -> IO[str]:
    try:
        return lock_file.open("a+")
    except PermissionError as error:
        raise StackError(f"{lock_file} belongs to another user: be that user, or set another DUST_DATA_DIR") from error


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
