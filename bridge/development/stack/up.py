"""Starts everything that Dust needs on one machine, for `dust up`, the demo and tests."""

import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pydantic import SecretStr
from rich.console import Console
from watchfiles import watch

from bridge.development.stack.account import open_data_dir
from bridge.development.stack.errors import StackError, cannot_listen
from bridge.development.stack.postgres import embedded_postgres
from bridge.development.stack.processes import answers, bound_socket, until
from bridge.development.stack.redis import embedded_redis
from bridge.development.stack.secrets import own_secrets
from bridge.development.stack.supervisor import Program, Supervisor, run_to_end, supervised
from bridge.settings import Settings, running_stack_file

# The `dust` command of this interpreter, independent of PATH.
DUST = (sys.executable, "-m", "bridge.cli")
# Three workers: when Medusa hangs, earning continues in the first, and redemptions do not wait for tasks of the third.
_PROGRAMS = {
    "serve": ("serve",),
    "worker": ("worker", "--queues", "events,sweeps"),
    "redemptions": ("worker", "--queues", "redemptions"),
    "medusa": ("worker", "--queues", "medusa"),
    "beat": ("beat",),
    "flower": ("flower",),
}
# Six Python processes import everything at once, on a busy machine with two cores.
_READY_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class StackUrls:
    """Addresses of a running stack. `environment` has all `DUST_…` variables of its processes, with secrets."""

    api: str
    flower: str
    database: str
    broker: str
    environment: Mapping[str, str]
    ended: threading.Event = field(default_factory=threading.Event)
    """Set once a program could not be kept running."""


def up(settings: Settings, *, reload: bool = False, dust: Sequence[str] = DUST) -> None:
    """Run the stack until Ctrl-C or SIGTERM. Raises `StackError` if it cannot start or continue, and `SettingsError`.

    When the API answers, it prints one line on standard output, `ready http://…`. All other output is on standard
    error.
    """
    settings.require_outgoing_webhook_secret()
    with _ended_by_signals(), running_stack(settings, reload=reload, dust=dust) as stack:
        print(f"ready {stack.api}", flush=True)
        _until(stack.ended)


@contextmanager
def running_stack(
    settings: Settings,
    *,
    environment: Mapping[str, str] | None = None,
    dust: Sequence[str] = DUST,
    console: Console | None = None,
    reload: bool = False,
) -> Iterator[StackUrls]:
    """Run the stack during the block. It serves when the block is entered.

    Only `settings` count: `DUST_` variables of this process are not passed on; `environment` adds some. `dust` is the
    command whose `serve`, `worker` and so on are run. Raises `StackError`, also at the end of the block, if a program
    could not be kept running.
    """
    console = console or Console(stderr=True)
    with ExitStack() as stack:
        sockets = {
            "serve": _socket(stack, settings.host, settings.port, "DUST_PORT"),
            "flower": _socket(stack, settings.flower_host, settings.flower_port, "DUST_FLOWER_PORT"),
        }
        ports = {name: bound.getsockname()[1] for name, bound in sockets.items()}
        urls = _prepared(stack, settings, environment or {}, console, ports)
        # Variables of the system and of Python, such as PATH.
        system_variables = {name: value for name, value in os.environ.items() if not name.startswith("DUST_")}
        variables = {**system_variables, "PYTHONUNBUFFERED": "1", **urls.environment}
        _migrate(dust, variables, console)
        programs = [
            Program(name=name, command=[*dust, *arguments], listens_on=sockets.get(name))
            for name, arguments in _PROGRAMS.items()
        ]
        supervisor = stack.enter_context(supervised(programs, environment=variables, console=console))
        _wait_until_live(urls.api, supervisor)
        stack.enter_context(_environment_file(urls.environment))
        if reload:
            stack.enter_context(_restarted_on_change(supervisor, console))
        yield replace(urls, ended=supervisor.ended)
        supervisor.check()


@contextmanager
def _environment_file(environment: Mapping[str, str]) -> Iterator[None]:
    """Write the environment into the data folder for commands in other terminals. It has secrets: mode 600."""
    file = running_stack_file(Path(environment["DUST_DATA_DIR"]))
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(
        "".join(f"{name}={_quoted(value)}\n" for name, value in environment.items() if name.startswith("DUST_"))
    )
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _quoted(value: str) -> str:
    """The value as a .env file has it: a password may have quotes in it."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _prepared(
    stack: ExitStack, settings: Settings, extra: Mapping[str, str], console: Console, ports: Mapping[str, int]
) -> StackUrls:
    """Create secrets and start the servers. Returns the addresses and the programs' environment."""

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, highlight=False, markup=False)

    data_dir = open_data_dir(settings.data_dir)
    secrets = own_secrets(settings, data_dir)
    for name, file in secrets.files.items():
        say(f"{name} is not set: using {file}")
    database = settings.database_url or stack.enter_context(embedded_postgres(data_dir, say=say))
    broker = settings.broker_url or stack.enter_context(embedded_redis(data_dir))
    called = settings.model_copy(update={"port": ports["serve"], "flower_port": ports["flower"]})
    return StackUrls(
        api=called.api_address,
        flower=called.flower_address,
        database=database,
        broker=broker,
        environment={
            **as_environment(settings),
            **secrets.environment,
            "DUST_DATA_DIR": str(data_dir),
            "DUST_DATABASE_URL": database,
            "DUST_BROKER_URL": broker,
            "DUST_PORT": str(ports["serve"]),
            "DUST_FLOWER_PORT": str(ports["flower"]),
            # With its own database the stack is for trying things out, unless the setting says otherwise.
            "DUST_TEST_CLOCK": str(may_move_time(settings)),
            # Without a login Flower listens on loopback only.
            "DUST_FLOWER_OPEN": "true",
            # The processes write into a pipe, so they cannot detect the terminal.
            "DUST_LOG_FORMAT": settings.log_format or ("console" if console.is_terminal else "json"),
            **extra,
        },
    )


def may_move_time(settings: Settings) -> bool:
    """Whether the stack of these settings is for trying things out."""
    return settings.test_clock if "test_clock" in settings.model_fields_set else settings.database_url is None


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that make another process read these settings."""
    values = {f"DUST_{name.upper()}": value for name, value in settings if value is not None}
    return {
        name: ",".join(map(_plain, value)) if isinstance(value, tuple) else _plain(value)
        for name, value in values.items()
    }


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _socket(stack: ExitStack, host: str, port: int, variable: str) -> socket.socket:
    """The socket to listen on. Raises `StackError` if it cannot be bound."""
    try:
        return stack.enter_context(bound_socket(host, port))
    except OSError as error:
        raise cannot_listen(host, port, variable, error) from None


def _migrate(dust: Sequence[str], variables: Mapping[str, str], console: Console) -> None:
    migrate = Program(name="migrate", command=[*dust, "migrate"])
    code = run_to_end(migrate, environment=variables, console=console)
    if code != 0:
        raise StackError(f"the database could not be migrated: `dust migrate` ended with {code}")


def _wait_until_live(api: str, supervisor: Supervisor) -> None:
    came_up = until(lambda: supervisor.ended.is_set() or answers(f"{api}/health/live"), _READY_SECONDS)
    supervisor.check()
    if not came_up:
        raise StackError(f"{api}/health/live does not answer after {_READY_SECONDS:.0f} s")


@contextmanager
def _restarted_on_change(supervisor: Supervisor, console: Console) -> Iterator[None]:
    """Restart all programs when the code changes. A worker with old code would be hard to recognise."""
    folders = [Path(spec.origin).parent for name in ("bridge", "workers") if (spec := find_spec(name)) and spec.origin]
    leaving = threading.Event()

    def restart_on_change() -> None:
        for changes in watch(*folders, stop_event=leaving):
            console.print(f"{len(changes)} changed: starting the programs again", highlight=False)
            supervisor.restart()

    watcher = threading.Thread(target=restart_on_change, name="watch the code", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        leaving.set()
        watcher.join()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP end the block once, in order. Later ones are ignored."""
    signals = [signal.SIGINT, signal.SIGTERM]
    # nohup ignores it, and it stays ignored.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)

    def leave(number: int, _frame: FrameType | None) -> NoReturn:
        for signal_number in signals:
            signal.signal(signal_number, signal.SIG_IGN)
        raise _Left

    before = {number: signal.signal(number, leave) for number in signals}
    try:
        yield
    except _Left:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _until(ended: threading.Event) -> None:
    """Wait by polling. A signal at the start of `ended.wait()` could be missed, or lock the event."""
    until(ended.is_set, math.inf)


class _Left(BaseException):
    """Raised by the signal handler. A BaseException, so that no error handler catches it."""
