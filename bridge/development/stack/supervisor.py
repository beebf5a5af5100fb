"""Runs several commands: prints their output with their names, restarts one that dies, and stops all together."""

import contextlib
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import PIPE, Popen
from typing import IO

from rich.console import Console
from rich.text import Text

from bridge.development.stack.errors import StackError
from bridge.development.stack.processes import spawn, stop

# Exit code of `dust` commands that refuse to start with these settings. Another start would not help.
REFUSED = 2
# Celery finishes or returns its tasks within `worker_soft_shutdown_timeout` (10 s), the API its requests.
_STOP_SECONDS = 20.0
# A process that lived this long has started correctly, so its death does not count as a failed start.
_SETTLED_SECONDS = 10.0
# Pauses of 0.5, 1, 2 and 4 s between five starts. Then another start would not help.
_STARTS = 5
_FIRST_DELAY_SECONDS = 0.5
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_red")
_NAME_WIDTH = 8
_LAST_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Program:
    name: str
    command: Sequence[str]
    listens_on: socket.socket | None = None
    """The socket of a server. Its number is appended to the command as `--fd`."""

    def start(self, *, death_signal: signal.Signals, environment: Mapping[str, str]) -> "Popen[bytes]":
        files = [self.listens_on.fileno()] if self.listens_on else []
        command = [*self.command, *(["--fd", str(files[0])] if files else [])]
        return spawn(command, death_signal=death_signal, env=environment, stdout=PIPE, pass_fds=files)


class Supervisor:
    """Runs programs until `stop`, or until one of them cannot start; then `failure` says why."""

    def __init__(self, programs: Sequence[Program], *, environment: Mapping[str, str], console: Console) -> None:
        self.ended = threading.Event()
        self.failure: str | None = None
        self._children = [
            _Child(program, self, environment, _Printer(program.name, console, _COLOURS[number % len(_COLOURS)]))
            for number, program in enumerate(programs)
        ]

    def start(self) -> None:
        for child in self._children:
            child.start()

    def restart(self) -> None:
        """Ask every program to end, and start it again."""
        for child in self._children:
            child.restart()

    def stop(self) -> None:
        """Stop all programs, the last started first."""
        for child in reversed(self._children):
            child.stop()
        self.ended.set()

    def fail(self, reason: str) -> None:
        self.failure = self.failure or reason
        self.ended.set()

    def check(self) -> None:
        """Raises `StackError` if a program could not be kept running."""
        if self.failure:
            raise StackError(self.failure)


@contextmanager
def supervised(
    programs: Sequence[Program], *, environment: Mapping[str, str], console: Console
) -> Iterator[Supervisor]:
    supervisor = Supervisor(programs, environment=environment, console=console)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()


def run_to_end(program: Program, *, environment: Mapping[str, str], console: Console) -> int:
    """Run a program once, with its output under its name. Returns its exit code."""
    process = program.start(death_signal=signal.SIGKILL, environment=environment)
    try:
        _each_line(process.stdout, _Printer(program.name, console, "white"))
        return process.wait()
    finally:
        stop(process, (signal.SIGTERM, _STOP_SECONDS))


class _Printer:
    """Prints lines with a name, and keeps the last few."""

    def __init__(self, name: str, console: Console, colour: str) -> None:
        self._prefix = Text(f"{name:<{_NAME_WIDTH}} │ ", style=colour)
        self._console = console
        self._last: deque[str] = deque(maxlen=_LAST_LINES)

    def __call__(self, line: str) -> None:
        self._last.append(line)
        # A closed terminal must not end the programs.
        with contextlib.suppress(OSError):
            self._console.print(self._prefix + Text.from_ansi(line), soft_wrap=True)

    @property
    def last_words(self) -> str:
        return "\n".join(self._last)


class _Child(threading.Thread):
    """Keeps one program running.

    Its thread starts each process and outlives it, because Linux treats the end of the starting thread as the parent's
    death.
    """

    def __init__(
        self, program: Program, supervisor: Supervisor, environment: Mapping[str, str], printer: _Printer
    ) -> None:
        super().__init__(name=f"keep {program.name}", daemon=True)
        self._program = program
        self._supervisor = supervisor
        self._environment = environment
        self._print = printer
        self._process: Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._restarting = threading.Event()
        # Held while a process starts and while stopping begins, so that no process starts after the stop.
        self._changing = threading.Lock()

    def restart(self) -> None:
        with self._changing:
            self._restarting.set()
            if self._process:
                self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        with self._changing:
            self._stopping.set()
            process = self._process
        if process:
            stop(process, (signal.SIGTERM, _STOP_SECONDS))
        self.join()

    def run(self) -> None:
        try:
            self._keep_running()
        except Exception as error:
            self._supervisor.fail(f"{self._program.name}: {error}")
            raise

    def _keep_running(self) -> None:
        quick_deaths = 0
        while True:
            started = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set():
                return
            if self._restarting.is_set():
                self._restarting.clear()
                continue
            if code == REFUSED:
                self._supervisor.fail(f"{self._program.name} refuses to start:\n{self._print.last_words}")
                return
            quick_deaths = quick_deaths + 1 if time.monotonic() - started < _SETTLED_SECONDS else 0
            if quick_deaths >= _STARTS:
                words = self._print.last_words
                self._supervisor.fail(
                    f"{self._program.name} ended {quick_deaths} times in a row ({_how(code)}):\n{words}"
                )
                return
            self._print(f"ended ({_how(code)}), starting it again")
            self._stopping.wait(_FIRST_DELAY_SECONDS * 2 ** max(quick_deaths - 1, 0))

    def _run_once(self) -> int:
        """Run the program until it and all its children have ended. Returns its exit code."""
        with self._changing:
            if self._stopping.is_set():
                return 0
            # SIGKILL: if the supervisor is killed, its servers die too, so a graceful end is not possible.
            process = self._program.start(death_signal=signal.SIGKILL, environment=self._environment)
            self._process = process
        reader = threading.Thread(target=_each_line, args=[process.stdout, self._print], daemon=True)
        reader.start()
        code = process.wait()
        stop(process)
        # A process that left the process group may keep the pipe open. Do not wait for its output.
        reader.join(_SETTLED_SECONDS)
        return code


def _each_line(output: IO[bytes] | None, print_line: _Printer) -> None:
    with output or contextlib.nullcontext(()) as lines:
        for line in lines:
            print_line(line.decode(errors="replace").rstrip("\r\n"))


def _how(code: int) -> str:
    """Describe a return code of `subprocess`."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
