import io
import signal
import socket
import sys
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
import redis
from rich.console import Console

from bridge.development.stack.errors import StackError
from bridge.development.stack.processes import until
from bridge.development.stack.up import as_environment, running_stack
from bridge.settings import Settings, load_settings
from tests.support.child_processes import PATIENCE_SECONDS, Run, assert_all_end, family, first_line

pytestmark = pytest.mark.servers

FAKE_DUST = (sys.executable, str(Path(__file__).with_name("fake_dust.py")))
UP = """
import sys
from bridge.settings import Settings
from bridge.development.stack.errors import StackError
from bridge.development.stack.processes import until
from bridge.development.stack.up import up
try:
    up(Settings(data_dir=sys.argv[1], port=0, flower_port=0), dust=sys.argv[2:])
except StackError as error:
    sys.exit(str(error))
"""


def quiet_settings(folder: Path, **others: object) -> Settings:
    return Settings.model_validate({"data_dir": folder, "port": 0, "flower_port": 0, **others})


def test_the_block_has_a_serving_stack_with_servers_and_secrets(folder: Path) -> None:
    with running_stack(quiet_settings(folder), dust=FAKE_DUST, environment={"DUST_TEST_EXTRA": "1"}) as urls:
        assert httpx.get(f"{urls.api}/health/live").status_code == httpx.codes.OK
        with psycopg.connect(urls.database) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("dust",)
        with redis.Redis.from_url(urls.broker) as client:
            assert client.ping()
        assert urls.environment["DUST_TEST_EXTRA"] == "1"
        assert urls.environment["DUST_ADMIN_TOKEN"] == (folder / "secrets/DUST_ADMIN_TOKEN").read_text()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{urls.api}/health/live")


def test_a_request_waits_while_the_api_is_started_again(folder: Path) -> None:
    with running_stack(quiet_settings(folder), dust=FAKE_DUST) as urls:
        (api,) = (child for child in psutil.Process().children(recursive=True) if "serve" in child.cmdline())
        api.kill()
        api.wait()
        assert httpx.get(f"{urls.api}/health/live", timeout=PATIENCE_SECONDS).status_code == httpx.codes.OK


def test_up_prints_one_line_and_sigterm_ends_everything(folder: Path, run: Run) -> None:
    process = run(UP, folder, *FAKE_DUST)
    ready = first_line(process)
    assert ready.startswith("ready http://127.0.0.1:")
    assert httpx.get(f"{ready.removeprefix('ready ')}/health/live").status_code == httpx.codes.OK
    everything = family(process.pid)
    process.send_signal(signal.SIGTERM)
    rest, narration = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, rest) == (0, "")
    assert_all_end(everything[1:])
    secret = (folder / "secrets/DUST_ADMIN_TOKEN").read_text()
    assert str(folder / "secrets/DUST_ADMIN_TOKEN") in narration
    assert secret not in narration


def test_killing_up_leaves_nothing_and_it_starts_again(folder: Path, run: Run) -> None:
    process = run(UP, folder, *FAKE_DUST)
    first_line(process)
    everything = family(process.pid)
    process.kill()
    assert_all_end(everything)
    again = run(UP, folder, *FAKE_DUST)
    assert first_line(again).startswith("ready")
    again.send_signal(signal.SIGINT)
    assert again.wait(PATIENCE_SECONDS) == 0


SIGNALS = """
import random, signal, threading
from bridge.development.stack.up import _ended_by_signals, _until

for _ in range(3000):
    ended = threading.Event()
    with _ended_by_signals():
        # A timer of a few microseconds stands for the sender of the signal.
        signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 3e-5))
        _until(ended)
    # As the supervisor does when it stops.
    ended.set()
"""


def test_no_signal_is_lost_that_comes_as_the_waiting_begins(run: Run) -> None:
    process = run(SIGNALS)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("command", "reason"),
    [("migrate", "`dust migrate` ended with 2"), ("beat", "beat refuses to start:\n.*\nDUST_EXAMPLE is not set")],
)
def test_a_program_that_refuses_ends_up_with_its_reason(folder: Path, command: str, reason: str) -> None:
    environment = {"DUST_TEST_REFUSES": command}
    running = running_stack(quiet_settings(folder), dust=FAKE_DUST, environment=environment)
    with pytest.raises(StackError, match=reason), running:
        pytest.fail("it does not get this far")


def test_a_port_that_is_taken_is_named_before_anything_starts(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        settings = quiet_settings(folder, port=port)
        with pytest.raises(StackError, match=f"127.0.0.1:{port}.*DUST_PORT"), running_stack(settings, dust=FAKE_DUST):
            pytest.fail("it does not get this far")
    assert not (folder / "postgres").exists()


def test_the_environment_says_what_the_settings_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        webhook_secrets="whsec_" + "A" * 32 + ",whsec_" + "B" * 32,
        admin_token="t" * 32,
        cors_origins="http://a,http://b",
        medusa_timeout_seconds=2.5,
    )
    for name, value in as_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_variables_around_us_do_not_reach_the_programs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUST_TEST_REFUSES", "worker")
    with io.StringIO() as written, running_stack(quiet_settings(folder), dust=FAKE_DUST, console=Console(file=written)):
        assert until(lambda: "worker   │ worker has postgresql and redis" in written.getvalue(), PATIENCE_SECONDS)
