"""Real servers and processes, each test with a data folder of its own."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.child_processes import Run, data_folder, family
from tests.support.source_files import ROOT


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as path:
        yield path


@pytest.fixture
def run() -> Iterator[Run]:
    """Run Python code in a process of its own, which is killed at the end with all that came of it."""
    processes: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        command = [options.pop("python", sys.executable), "-c", code, *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=environment, cwd="/", **{**pipes, **options})
        processes.append(process)
        return process

    yield start
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            for member in family(process.pid):
                member.kill()
        process.communicate()
