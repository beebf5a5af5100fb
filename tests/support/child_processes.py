"""Processes and servers that a test starts, and their data folders."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

# Only a defect or a very slow machine takes this long.
PATIENCE_SECONDS = 60.0


Run = Callable[..., "subprocess.Popen[str]"]


def first_line(process: "subprocess.Popen[str]") -> str:
    """Wait for the first line of output. Fails with the error output if the process ends instead."""
    line = process.stdout.readline() if process.stdout else ""
    assert line, process.stderr and process.stderr.read()
    return line.strip()


def users(processes: Collection[psutil.Process]) -> set[str]:
    """The names of the users that these processes run as. Some of Postgres' helpers may have ended."""
    names = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            names.add(process.username())
    return names


def assert_all_end(processes: Collection[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(list(processes), timeout=PATIENCE_SECONDS)
    assert not alive


def family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


@contextmanager
def data_folder() -> Iterator[Path]:
    """A data folder that the servers' user can reach. pytest's `tmp_path` is closed to other users."""
    path = Path(tempfile.mkdtemp(prefix="dust-test-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path)
