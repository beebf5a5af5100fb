"""Runs a few commands side by side: their output under their names, again when one dies, all stopped together."""

import contextlib
import signal
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

# How `dust` commands say that they will not start with these settings; trying again would change nothing.
REFUSED = 2
# Celery finishes or hands back its tasks within `worker_soft_shutdown_timeout` (10 s), the API its requests.
_STOP_SECONDS = 20.0
# A process that lived this long did start: its death is an accident, not a habit.
_SETTLED_SECONDS = 10.0
# Waits of 0.5, 1, 2 and 4 s between five starts; then something is wrong that another start will not fix.
_STARTS = 5
_FIRST_DELAY_SECONDS = 0.5
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_red")
_NAME_WIDTH = 8
_LAST_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Program:
    name: str
    command: Sequence[str]


class Supervisor:
    """Programs that run until `stop`, or until one of them cannot start: then `failure` says why."""

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
        """Let every program end in its own way and start it anew."""
        for child in self._children:
            child.restart()

    def stop(self) -> None:
        """Stop all, the last started first, each within its seconds."""
        for child in reversed(self._children):
            child.stop()
        self.ended.set()

    def fail(self, reason: str) -> None:
        self.failure = self.failure or reason
        self.ended.set()

    def check(self) -> None:
        """Raises `StackError` when a program could not be kept running."""
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
    """Run the program once, its output under its name, and return its exit code."""
    process = spawn(program.command, death_signal=signal.SIGKILL, env=environment, stdout=PIPE)
    try:
        _each_line(process.stdout, _Printer(program.name, console, "white"))
        return process.wait()
    finally:
        stop(process, (signal.SIGTERM, _STOP_SECONDS))


class _Printer:
    """Prints lines under a name, and remembers the last few."""

    def __init__(self, name: str, console: Console, colour: str) -> None:
        self._prefix = Text(f"{name:<{_NAME_WIDTH}} │ ", style=colour)
        self._console = console
        self._last: deque[str] = deque(maxlen=_LAST_LINES)

    def __call__(self, line: str) -> None:
        self._last.append(line)
        # A terminal that went away must not end what runs.
        with contextlib.suppress(OSError):
            self._console.print(self._prefix + Text.from_ansi(line), soft_wrap=True)

    @property
    def last_words(self) -> str:
        return "\n".join(self._last)


class _Child(threading.Thread):
    """Keeps one program running.

    The thread starts every process of it itself and outlives them all: Linux takes the end of the starting thread for
    the parent's death.
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
        # Held to start a process and to forbid it, so that none is started that nobody stops.
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
        """Until the process has ended, and whatever it started with it."""
        with self._changing:
            if self._stopping.is_set():
                return 0
            # SIGKILL: when the supervisor was killed, its servers go too, and nothing is left to end gracefully with.
            process = spawn(self._program.command, death_signal=signal.SIGKILL, env=self._environment, stdout=PIPE)
            self._process = process
        reader = threading.Thread(target=_each_line, args=[process.stdout, self._print], daemon=True)
        reader.start()
        code = process.wait()
        stop(process)
        # What left the group of processes may hold the pipe open; its output is not worth waiting for.
        reader.join(_SETTLED_SECONDS)
        return code


def _each_line(output: IO[bytes] | None, print_line: _Printer) -> None:
    with output or contextlib.nullcontext(()) as lines:
        for line in lines:
            print_line(line.decode(errors="replace").rstrip("\r\n"))


def _how(code: int) -> str:
    """A return code as `subprocess` gives it."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
