import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from bridge.development.stack import supervisor as module
from bridge.development.stack.errors import StackError
from bridge.development.stack.processes import until
from bridge.development.stack.supervisor import Program, Supervisor, run_to_end, supervised
from tests.support.child_processes import PATIENCE_SECONDS, Run, assert_all_end, family, first_line

pytestmark = pytest.mark.servers

FOREVER = "import time; time.sleep(600)"


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_DELAY_SECONDS", 0.01)


@pytest.fixture
def console() -> Iterator[Console]:
    with io.StringIO() as written:
        yield Console(file=written)


def output(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def python(name: str, code: str, *arguments: object) -> Program:
    return Program(name=name, command=[sys.executable, "-u", "-c", code, *map(str, arguments)])


def eventually(condition: Callable[[], bool]) -> None:
    assert until(condition, PATIENCE_SECONDS)


def fails_with(running: Supervisor) -> str:
    assert running.ended.wait(PATIENCE_SECONDS)
    with pytest.raises(StackError) as failure:
        running.check()
    return str(failure.value)


def test_each_line_has_its_program_name_and_no_colours_in_a_file(console: Console) -> None:
    long = "x" * 300
    with supervised([python("a", f"print('[b]{long}')"), python("b", FOREVER)], environment={}, console=console):
        eventually(lambda: "ended" in output(console))
    assert f"a        │ [b]{long}\n" in output(console)
    assert "\x1b" not in output(console)


def test_a_program_that_dies_is_started_again(console: Console, tmp_path: Path) -> None:
    dies_twice = """
import pathlib, sys, time
file = pathlib.Path(sys.argv[1])
with file.open("a") as starts: starts.write("x")
time.sleep(600) if len(file.read_text()) == 3 else sys.exit(1)
"""
    starts = tmp_path / "starts"
    with supervised([python("worker", dies_twice, starts)], environment={}, console=console) as running:
        eventually(lambda: starts.exists() and starts.read_text() == "xxx")
        running.check()
    assert output(console).count("ended (exit code 1), starting it again") == 2


def test_a_program_that_refuses_is_not_started_again(console: Console) -> None:
    refuses = python("serve", "import sys; print('DUST_ADMIN_TOKEN is not set'); sys.exit(2)")
    with supervised([refuses, python("beat", FOREVER)], environment={}, console=console) as running:
        assert fails_with(running) == "serve refuses to start:\nDUST_ADMIN_TOKEN is not set"
    assert output(console).count("DUST_ADMIN_TOKEN") == 1


def test_a_program_that_cannot_start_ends_the_attempts(console: Console) -> None:
    dies = python("flower", "raise SystemExit('the port is taken')")
    with supervised([dies], environment={}, console=console) as running:
        failure = fails_with(running)
    assert "flower ended 5 times in a row (exit code 1)" in failure
    assert "the port is taken" in failure


def test_a_command_that_does_not_exist_is_named(console: Console) -> None:
    with supervised([Program(name="beat", command=["no-such-command"])], environment={}, console=console) as running:
        assert "no-such-command" in fails_with(running)


def test_the_last_started_is_stopped_first(console: Console, tmp_path: Path) -> None:
    says_when_it_ends = """
import pathlib, signal, sys, time
def end(*_):
    with pathlib.Path(sys.argv[1]).open("a") as order: order.write(sys.argv[2])
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("waiting")
time.sleep(600)
"""
    order = tmp_path / "order"
    programs = [python(name, says_when_it_ends, order, name) for name in "abc"]
    with supervised(programs, environment={}, console=console):
        eventually(lambda: output(console).count("waiting") == 3)
    assert order.read_text() == "cba"


def own_children() -> set[psutil.Process]:
    """What this process has started, a database for other tests among it."""
    return set(psutil.Process().children(recursive=True))


def test_a_program_that_does_not_stop_is_killed_with_its_children(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STOP_SECONDS", 0.2)
    stubborn = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
print("waiting")
time.sleep(600)
"""
    others = own_children()
    with supervised([python("worker", stubborn)], environment={}, console=console):
        eventually(lambda: output(console).count("waiting") == 2)
        children = own_children() - others
        assert len(children) == 2
    assert_all_end(children)


def test_restart_is_no_failure_however_often(console: Console) -> None:
    says_so = "import os, time; print('started', os.getpid()); time.sleep(600)"
    with supervised([python("serve", says_so)], environment={}, console=console) as running:
        for times in range(1, 9):
            eventually(lambda times=times: output(console).count("started") == times)
            running.restart()
        running.check()
    assert "ended" not in output(console)


def test_killing_the_supervisor_kills_its_programs(run: Run) -> None:
    code = """
import sys, time
from rich.console import Console
from bridge.development.stack.supervisor import Program, supervised
wait = [sys.executable, "-c", "print('waiting'); import time; time.sleep(600)"]
programs = [Program(name=name, command=wait) for name in "ab"]
with supervised(programs, environment={"PYTHONUNBUFFERED": "1"}, console=Console()):
    time.sleep(600)
"""
    parent = run(code)
    first_line(parent), first_line(parent)
    everything = family(parent.pid)
    assert len(everything) == 3
    parent.kill()
    assert_all_end(everything)


def test_a_program_that_runs_once_gives_its_exit_code(console: Console) -> None:
    migrate = python("migrate", "print('step 1'); raise SystemExit(3)")
    assert run_to_end(migrate, environment={}, console=console) == 3
    assert output(console) == "migrate  │ step 1\n"


def test_no_zombies_are_left(console: Console) -> None:
    others = own_children()
    with supervised([python("a", "raise SystemExit(1)")], environment={}, console=console) as running:
        fails_with(running)
    assert own_children() <= others
