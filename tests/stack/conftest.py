"""Real servers and processes, each test with a data folder of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

REPOSITORY = Path(__file__).parents[2]
# Generous: only a defect, or a machine that hardly moves, ever reaches it.
PATIENCE_SECONDS = 60.0


@contextmanager
def data_folder() -> Iterator[Path]:
    """A data folder that the servers' own user can reach; pytest's `tmp_path` lets only us through."""
    made = Path(tempfile.mkdtemp(prefix="dust-test-"))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made)


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as made:
        yield made


Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run() -> Iterator[Run]:
    """Run Python code in a process of its own, which is killed at the end with all that came of it."""
    processes: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        command = [options.pop("python", sys.executable), "-c", code, *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{sysconfig.get_path('purelib')}"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=environment, cwd="/", **{**pipes, **options})
        processes.append(process)
        return process

    yield start
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            for each in family(process.pid):
                each.kill()
        process.communicate()


def first_line(process: "subprocess.Popen[str]") -> str:
    """Wait for it. Fails with the process's complaint when it ends instead."""
    line = process.stdout.readline() if process.stdout else ""
    assert line, process.stderr and process.stderr.read()
    return line.strip()


def family(pid: int) -> list[psutil.Process]:
    """The process and everything that it started."""
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


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
