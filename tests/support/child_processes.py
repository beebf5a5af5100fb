"""Processes and servers that a test starts, and their data folders."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

# Generous: only a defect, or a machine that hardly moves, ever reaches it.
PATIENCE_SECONDS = 60.0


Run = Callable[..., "subprocess.Popen[str]"]


def first_line(process: "subprocess.Popen[str]") -> str:
    """Wait for it. Fails with the process's complaint when it ends instead."""
    line = process.stdout.readline() if process.stdout else ""
    assert line, process.stderr and process.stderr.read()
    return line.strip()


def users(processes: Collection[psutil.Process]) -> set[str]:
    """Who they run as; Postgres' short-lived helpers may be gone by now."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found.add(process.username())
    return found


def assert_all_end(processes: Collection[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(list(processes), timeout=PATIENCE_SECONDS)
    assert not alive


def family(pid: int) -> list[psutil.Process]:
    """The process and everything that it started."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


@contextmanager
def data_folder() -> Iterator[Path]:
    """A data folder that the servers' user can reach. pytest's `tmp_path` is closed to other users."""
    made = Path(tempfile.mkdtemp(prefix="dust-test-"))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made)
