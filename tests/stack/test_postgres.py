import os
import pwd
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from bridge.development.stack.account import SystemAccount, reachable
from bridge.development.stack.errors import StackError
from bridge.development.stack.postgres import embedded_postgres
from bridge.development.stack.processes import until
from tests.support.child_processes import PATIENCE_SECONDS, Run, assert_all_end, data_folder, family, first_line, users
from tests.support.source_files import ROOT

pytestmark = pytest.mark.servers

FAST = {"fsync": "off"}
HOLD = """
import sys, time
from pathlib import Path
from bridge.development.stack.postgres import embedded_postgres
with embedded_postgres(Path(sys.argv[1]), say=lambda line: None) as url:
    print(url, flush=True)
    time.sleep(600)
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A data folder with a cluster that the tests start and stop in turn; making one can take seconds."""
    with data_folder() as path:
        yield path


def query(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement).fetchone()
        return row[0] if row else None


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def answers(url: str) -> bool:
    try:
        return query(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def postmaster(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "postgres/cluster/postmaster.pid").read_text().split()[0]))


def test_data_outlives_the_server(shared: Path) -> None:
    with embedded_postgres(shared, settings=FAST) as url:
        execute(url, "CREATE TABLE restarted AS SELECT 'still here' AS word")
    with embedded_postgres(shared, settings=FAST) as url:
        assert query(url, "SELECT word FROM restarted") == "still here"


def test_it_has_the_required_and_the_given_settings(shared: Path) -> None:
    with embedded_postgres(shared, settings=FAST) as url:
        assert query(url, "SHOW max_connections") == "200"
        assert query(url, "SHOW listen_addresses") == "127.0.0.1"
        assert query(url, "SHOW fsync") == "off"
        assert query(url, "SELECT current_database()") == "dust"
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(url.replace("dust:", "dust:not-", 1))


def test_the_password_is_on_no_command_line_and_in_no_readable_file(shared: Path) -> None:
    with embedded_postgres(shared, settings=FAST) as url:
        password = url.split(":")[2].split("@")[0]
        assert password not in " ".join(postmaster(shared).cmdline())
        assert (shared / "secrets/postgres-password").stat().st_mode & 0o077 == 0
        assert (shared / "postgres.log").stat().st_mode & 0o077 == 0


def test_killing_the_parent_ends_the_server_and_the_next_start_works(shared: Path, run: Run) -> None:
    holder = run(HOLD, shared)
    execute(first_line(holder), "CREATE TABLE parent_killed AS SELECT 1 AS one")
    everything = family(holder.pid)
    assert any("checkpointer" in " ".join(process.cmdline()) for process in everything)
    holder.kill()
    assert_all_end(everything)
    with embedded_postgres(shared) as url:
        assert query(url, "SELECT one FROM parent_killed") == 1


def test_it_starts_after_a_kill_of_parent_and_server(shared: Path, run: Run) -> None:
    holder = run(HOLD, shared)
    execute(first_line(holder), "CREATE TABLE both_killed AS SELECT 1 AS one")
    server = postmaster(shared)
    holder.kill()
    server.kill()
    with embedded_postgres(shared) as url:
        assert query(url, "SELECT one FROM both_killed") == 1


def test_it_starts_although_the_pid_file_names_another_process(shared: Path) -> None:
    with embedded_postgres(shared, settings=FAST):
        pid_file = shared / "postgres/cluster/postmaster.pid"
        lines = pid_file.read_text().splitlines()
    other = pid_file.parent.stat()
    other = subprocess.Popen(
        ["sleep", "600"],
        user=other.st_uid if os.geteuid() == 0 else None,
        group=other.st_gid if os.geteuid() == 0 else None,
    )
    try:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        with embedded_postgres(shared, settings=FAST) as url:
            assert answers(url)
    finally:
        other.kill()
        other.wait()


def test_an_incomplete_cluster_is_created_again(shared: Path) -> None:
    with embedded_postgres(shared, settings=FAST):
        pass
    (shared / "postgres/cluster").rename(shared / "postgres/unfinished")
    with embedded_postgres(shared, settings=FAST) as url:
        assert answers(url)


def test_a_second_process_gets_the_same_server_and_leaves_it_running(shared: Path, run: Run) -> None:
    with embedded_postgres(shared, settings=FAST) as url:
        second = run(HOLD, shared)
        assert first_line(second) == url
        second.send_signal(signal.SIGKILL)
        second.wait(PATIENCE_SECONDS)
        assert answers(url)


def test_a_server_that_dies_comes_back_at_the_same_address(shared: Path) -> None:
    with embedded_postgres(shared, settings=FAST) as url:
        first = postmaster(shared)
        first.kill()
        assert until(lambda: answers(url) and postmaster(shared) != first, PATIENCE_SECONDS)


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with (
        pytest.raises(StackError, match="no_such_setting"),
        embedded_postgres(folder, settings={"no_such_setting": "1"}),
    ):
        pass


def test_a_lost_password_is_named_as_the_cause(shared: Path) -> None:
    with embedded_postgres(shared, settings=FAST):
        pass
    lost = (shared / "secrets/postgres-password").rename(shared / "lost")
    with pytest.raises(StackError, match="password"), embedded_postgres(shared, settings=FAST):
        pass
    lost.rename(shared / "secrets/postgres-password")


@as_root
def test_for_root_the_server_runs_as_another_user_without_our_variables(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUST_ADMIN_TOKEN", "not-for-the-server")
    with embedded_postgres(shared, settings=FAST):
        server = postmaster(shared)
        assert server.username() == "nobody"
        assert "DUST_ADMIN_TOKEN" not in server.environ()


@as_root
def test_a_data_folder_closed_to_other_users_has_a_link_to_the_data(folder: Path) -> None:
    folder.chmod(0o700)
    folder = folder / "data"
    with embedded_postgres(folder, settings=FAST) as url:
        execute(url, "CREATE TABLE moved AS SELECT 1 AS one")
    moved = (folder / "postgres").readlink()
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    with embedded_postgres(folder, settings=FAST) as url:
        assert query(url, "SELECT one FROM moved") == 1
    shutil.rmtree(moved.parent)


@pytest.fixture
def normal_user(folder: Path) -> dict[str, object]:
    """What makes `run` run as a user without rights, in a home folder closed to everybody else."""
    entry = pwd.getpwnam("nobody")
    account = SystemAccount(uid=entry.pw_uid, gid=entry.pw_gid)
    pythons = [sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"]
    python = next((python for python in pythons if reachable(Path(python), account)), None)
    packages = Path(sysconfig.get_path("purelib"))
    if python is None or not reachable(ROOT, account) or not reachable(packages, account):
        pytest.skip("Python, Dust or its packages lie where only root can read them")
    os.chown(folder, account.uid, account.gid)
    folder.chmod(0o700)
    return {"python": python, "user": account.uid, "group": account.gid, "extra_groups": []}


@as_root
def test_a_normal_user_starts_it_in_a_private_home(folder: Path, run: Run, normal_user: dict[str, object]) -> None:
    holder = run(HOLD, folder / "data", **normal_user)
    assert answers(first_line(holder))
    everything = family(holder.pid)
    assert users(everything) == {"nobody"}
    holder.kill()
    assert_all_end(everything)
    assert not (folder / "data/postgres").is_symlink()


@as_root
def test_another_users_data_folder_is_refused_in_plain_words(
    folder: Path, run: Run, normal_user: dict[str, object]
) -> None:
    (folder / "data").mkdir()
    (folder / "data").chmod(0o711)
    _, complaint = run(HOLD, folder / "data", **normal_user).communicate(timeout=PATIENCE_SECONDS)
    assert "belongs to another user" in complaint
