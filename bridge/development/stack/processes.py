"""Starts and stops processes that must end with their parent."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import httpx

from bridge.development.stack.account import SystemAccount

_LAUNCH = Path(__file__).with_name("launch.py")
_POLL_SECONDS = 0.1


def spawn(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals,
    account: SystemAccount | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command`, with standard error in standard output. It gets `death_signal` when this process dies.

    On Linux that signal comes when the calling *thread* ends, so call this from a thread that outlives the child.
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
        # Ctrl-C in a terminal reaches the whole foreground group. Servers must end after the processes that use them.
        process_group=0,
    )


def stop(process: subprocess.Popen[bytes], *steps: tuple[signal.Signals, float]) -> None:
    """Send each signal and wait its seconds for the process to end. Then kill the rest of its process group."""
    for number, seconds in steps:
        if process.poll() is None:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def bound_socket(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """A socket for a server that another process runs: bound, so that nobody else gets the port, but not listening.

    Port 0 is any free port. The process inherits the socket by its number. Raises `OSError` if the port is in use.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Of a name with several addresses, such as localhost, the first IPv4 address.
    family, *_, address = min(addresses, key=lambda entry: entry[0] != socket.AF_INET)
    bound = socket.socket(family)
    # As servers do: connections of a server that just ended remain for a minute and do not matter.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def free_port(wanted: int = 0) -> int:
    """The wanted port if it is free now, else another one. Another process may take it first: then try again."""
    try:
        with bound_socket(port=wanted) as bound:
            return int(bound.getsockname()[1])
    except OSError:
        return free_port()


def answers(url: str) -> bool:
    """Whether a server answers this URL with success."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def until(ready: Callable[[], bool], seconds: float) -> bool:
    """Poll every tenth of a second. Returns False after `seconds`."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
