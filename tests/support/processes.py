"""Real processes of Dust, for tests that load or kill them."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO

import httpx
import psutil
from rich.console import Console

from bridge.development.stack.processes import bound_socket, until
from bridge.development.stack.supervisor import Program, supervised
from bridge.development.stack.up import DUST
from tests.support import clock

# Only a defect or a very slow machine takes this long.
PATIENCE_SECONDS = 90.0


@contextmanager
def running(
    environment: Mapping[str, str], *, sockets: Mapping[str, socket.socket] | None = None, **commands: str
) -> Iterator[StringIO]:
    """`dust` programs by name (`worker="worker --concurrency 2"`), started again when they die; yields what they say.

    `sockets` are those that servers listen on, by name of the program.

    `DUST_` variables of this process are not passed on, only those of `environment`.
    """
    with clock.running():
        yield from _running(environment, commands, sockets or {})


def _running(
    environment: Mapping[str, str], commands: Mapping[str, str], sockets: Mapping[str, socket.socket]
) -> Iterator[StringIO]:
    around = {name: value for name, value in os.environ.items() if not name.startswith("DUST_")}
    programs = [
        Program(name=name, command=[*DUST, *command.split()], listens_on=sockets.get(name))
        for name, command in commands.items()
    ]
    output = StringIO()
    variables = {**around, "PYTHONUNBUFFERED": "1", **environment}
    with supervised(programs, environment=variables, console=Console(file=output, width=200)) as supervisor:
        try:
            yield output
            supervisor.check()
        except BaseException:
            # Shown by pytest under the failed test.
            print(output.getvalue()[-20_000:])
            raise


@contextmanager
def serving_dust(environment: Mapping[str, str], **commands: str) -> Iterator[str]:
    """As `running`, with the API beside them; yields its URL once it answers."""
    with bound_socket() as bound, running(environment, sockets={"api": bound}, api="serve", **commands):
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        eventually(lambda: answers(f"{url}/health/live"))
        yield url


def answers(url: str, *, auth: tuple[str, str] | None = None) -> bool:
    """Whether a server answers with success."""
    try:
        return httpx.get(url, auth=auth, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def eventually(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Poll until it holds; fail after `seconds`."""
    assert until(holds, seconds), f"still not so after {seconds:.0f} s"


def dust_processes(command: str) -> list[psutil.Process]:
    """Our own processes that run this Celery command, the parent first."""
    everything = psutil.Process().children(recursive=True)
    matching = [process for process in everything if _runs(process, command)]
    return sorted(matching, key=lambda process: process.pid)


def _runs(process: psutil.Process, command: str) -> bool:
    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return "celery" in words and command in words
