"""The user that the embedded servers run as, and folders that this user can reach."""

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bridge.development.stack.errors import StackError

_SYSTEM_FOLDER = Path("/var/lib/dust")


@dataclass(frozen=True, kw_only=True)
class SystemAccount:
    uid: int
    gid: int


def server_account(folder: Path) -> SystemAccount | None:
    """The user for the server with this folder. None: the current user.

    Postgres refuses to run as root, and Redis does not need it. For root it is the folder's owner, or `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists() and folder.stat().st_uid != 0:
        return SystemAccount(uid=folder.stat().st_uid, gid=folder.stat().st_gid)
    nobody = pwd.getpwnam("nobody")
    return SystemAccount(uid=nobody.pw_uid, gid=nobody.pw_gid)


def open_data_dir(data_dir: Path) -> Path:
    """The absolute path of the data folder, created if missing. Other users can pass through it, but not list it.

    Raises `StackError` if it cannot be created, is no folder, or cannot be written to.
    """
    try:
        data_dir = data_dir.resolve()
    except RuntimeError as error:
        raise StackError(f"{data_dir} is a link to itself: set DUST_DATA_DIR to a folder") from error
    _make_passable(data_dir)
    if not data_dir.is_dir():
        raise StackError(f"{data_dir} is not a folder: set DUST_DATA_DIR to one")
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise StackError(
            f"cannot write to {data_dir}: it belongs to another user, or its disk is mounted read-only. Run as that "
            "user, or set DUST_DATA_DIR to another folder"
        )
    return data_dir


def server_folder(data_dir: Path, name: str, account: SystemAccount | None) -> Path:
    """The folder `name` in the data folder, created if missing, owned by the account and closed to other users.

    Root's data folder is often below /root, which other users cannot pass through, and should not. In that case the
    folder is under /var/lib/dust, and the data folder has a link to it.
    """
    folder = data_dir / name
    if account and not folder.is_symlink() and not reachable(data_dir, account):
        # A random name, so that a data folder that was deleted and created again does not get the old files.
        with contextlib.suppress(FileExistsError):
            folder.symlink_to(_SYSTEM_FOLDER / secrets.token_hex(8) / name)
    target = folder.resolve()
    _make_passable(target.parent)
    target.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(target, account.uid, account.gid)
    return target


def reachable_package(package: Path, version: str, account: SystemAccount | None) -> Path:
    """The installed package, or a copy under /var/lib/dust if the account cannot reach it (see above)."""
    if account is None or reachable(package, account):
        return package
    copy = _SYSTEM_FOLDER / f"{package.name}-{version}"
    if not copy.exists():
        _make_passable(copy.parent)
        # Copied under another name and then renamed, so that an interrupted copy is not used.
        unfinished = copy.with_name(f"{copy.name}.{secrets.token_hex(8)}")
        # A wheel has the libraries of its programs in a second folder.
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(folder, unfinished / folder.name, symlinks=True)
        subprocess.run(["chmod", "-R", "a+rX", unfinished], check=True)
        try:
            unfinished.rename(copy)
        except OSError:
            # Another process was faster.
            shutil.rmtree(unfinished)
    return copy / package.name


def reachable(folder: Path, account: SystemAccount) -> bool:
    """Whether the account can enter the folder. Runs `test` as that user, which covers modes, ACLs and mounts."""
    test = ["test", "-x", str(folder)]
    return subprocess.run(test, user=account.uid, group=account.gid, extra_groups=[]).returncode == 0


def _make_passable(folder: Path) -> None:
    """Like mkdir -p. New folders get mode 711, whatever the umask is."""
    try:
        if folder.exists():
            return
        _make_passable(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
    except OSError as error:
        raise StackError(
            f"cannot create {folder} ({error.strerror}): set DUST_DATA_DIR to a folder elsewhere"
        ) from error
