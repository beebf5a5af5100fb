"""Installs and builds the demo shop in a cache folder: once for each set of dependencies and of sources."""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from bridge.development.stack.errors import StackError
from bridge.development.stack.processes import answers, spawn, stop, until

Report = Callable[[str], None]

TEMPLATE = Path(__file__).parent / "shop_template"
# Medusa 2.21 asks for Node 20 or newer.
_NODE_MAJOR = 20
_PACKAGE_FILES = ("package.json", "package-lock.json")
BUILD_OUTPUT = {"node_modules", ".medusa", ".next", "dist", "next-env.d.ts", "tsconfig.tsbuildinfo"}
# Commands that take longer report their progress.
_HEARTBEAT_SECONDS = 5.0
_LAST_LINES = 25


class NodeMissing(Exception):
    """Node is missing or too old, so Medusa cannot run."""


class CommandFailed(StackError):
    """A command of the installation failed. The message has the end of its output."""

    def __init__(self, title: str, log: Path) -> None:
        super().__init__(f"{title} failed. The end of {log}:\n{_tail(log)}")


def install_shop(
    cache_dir: Path, plugin_dir: Path, report: Report, *, dashboard: bool = False, medusa: str | None = None
) -> Path:
    """Build a shop and return its folder for `medusa start`. A second call takes seconds.

    `medusa` is a version such as `2.18.0`; by default it is that of the lock file. Each build has its own folder below
    one `node_modules`, and Node looks for packages in the parent folders. So plugin and shop share one installation,
    and a change of the plugin does not affect a running shop. Raises `NodeMissing` or `CommandFailed`.
    """
    require_node()
    packages = [TEMPLATE / name for name in _PACKAGE_FILES]
    version = f"-{medusa}" if medusa else ""
    home = cache_dir.absolute() / f"medusa-{fingerprint(TEMPLATE, packages)}{version}"
    home.mkdir(parents=True, exist_ok=True)
    with only_one(home / "lock"):
        _install_packages(home, report, medusa)
        return _build(home, plugin_dir, report, dashboard=dashboard)


def require_node() -> None:
    """Raise `NodeMissing` unless node and npm are installed and new enough."""
    node = shutil.which("node")
    if not node or not shutil.which("npm"):
        raise NodeMissing(f"Node {_NODE_MAJOR} or newer with npm is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    match = re.match(r"v(\d+)", version)
    if not match or int(match.group(1)) < _NODE_MAJOR:
        raise NodeMissing(f"Node {_NODE_MAJOR} or newer is needed, this is {version}")


def medusa_command(folder: Path, *arguments: str) -> list[str]:
    """The command line of Medusa's CLI for a shop in `folder`, from the nearest `node_modules` above."""
    for parent in folder.parents:
        cli = parent / "node_modules" / "@medusajs" / "cli" / "cli.js"
        if cli.is_file():
            return ["node", str(cli), *arguments]
    raise FileNotFoundError(f"no @medusajs/cli is installed above {folder}")


def medusa_environment(folder: Path, **variables: str) -> dict[str, str]:
    """The environment of Medusa's processes in `folder`: this process's, without telemetry, with `variables`."""
    # The first parent with packages has only the plugin. Medusa before 2.21 looks for it from its own folder.
    plugins = next(parent / "node_modules" for parent in folder.parents if (parent / "node_modules").is_dir())
    own = {"MEDUSA_DISABLE_TELEMETRY": "true", "NODE_ENV": "production", "NODE_PATH": str(plugins)}
    return {**os.environ, **own, **variables}


def run_reported(
    command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], log: Path, title: str, report: Report
) -> None:
    """Run a command with its output in `log`, and report progress every few seconds. Raises `CommandFailed`."""
    started = time.monotonic()
    report(f"{title} …")
    with log.open("ab") as output:
        process = spawn(command, death_signal=signal.SIGKILL, cwd=cwd, env=env, stdout=output)
    try:
        while not until(lambda: process.poll() is not None, _HEARTBEAT_SECONDS):
            report(f"{title} … {time.monotonic() - started:.0f} s")
    finally:
        stop(process)
    if process.returncode != 0:
        raise CommandFailed(title, log)


def await_start(process: Popen[bytes], url: str, seconds: float, *, title: str, log: Path) -> None:
    """Wait until the process answers this URL. Else stop it and raise `CommandFailed`."""
    until(lambda: process.poll() is not None or answers(url), seconds)
    if process.poll() is not None or not answers(url):
        stop(process)
        raise CommandFailed(title, log)


def _tail(log: Path) -> str:
    """The last lines of a log, without terminal colours."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()[-_LAST_LINES:])


def _install_packages(home: Path, report: Report, medusa: str | None) -> None:
    done = home / "packages.installed"
    if done.exists():
        return
    if medusa:
        # Without the lock file, which is for another version.
        package = (TEMPLATE / "package.json").read_text()
        (home / "package.json").write_text(re.sub(r'("@medusajs/[a-z-]+": )"[^"]+"', rf'\1"{medusa}"', package))
    else:
        for name in _PACKAGE_FILES:
            shutil.copy(TEMPLATE / name, home / name)
    # `npm ci` of some npm versions refuses a lock file because of optional packages of other platforms; `npm install`
    # also uses the locked versions. Parts of Medusa's dashboard have conflicting peers, hence --legacy-peer-deps.
    command = ["npm", "install", "--include=dev", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error"]
    title = "Installing Medusa (about 750 MB, once)"
    environment = {**os.environ, "MEDUSA_DISABLE_TELEMETRY": "true"}
    run_reported(command, cwd=home, env=environment, log=home / "install.log", title=title, report=report)
    done.touch()


def _build(home: Path, plugin_dir: Path, report: Report, *, dashboard: bool) -> Path:
    versions = fingerprint(TEMPLATE, sources(TEMPLATE)) + fingerprint(plugin_dir, sources(plugin_dir))
    name = hashlib.sha256(versions.encode()).hexdigest()[:12]
    folder = home / f"{'dashboard' if dashboard else 'headless'}-{name}"
    server = folder / ".medusa" / "server"
    if (folder / "built").exists():
        return server

    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(TEMPLATE, folder)
    plugin = folder / "plugin"
    shutil.copytree(plugin_dir, plugin, ignore=shutil.ignore_patterns(*BUILD_OUTPUT))
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "medusa-plugin-dust").symlink_to(Path("..") / "plugin")

    environment = medusa_environment(server, SHOP_DASHBOARD=str(dashboard).lower())
    log = folder / "build.log"
    for title, command, cwd in (
        ("Building the Dust plugin", "plugin:build", plugin),
        ("Building Medusa with its dashboard" if dashboard else "Building Medusa", "build", folder),
    ):
        run_reported(medusa_command(cwd, command), cwd=cwd, env=environment, log=log, title=title, report=report)
    (folder / "built").touch()
    return server


def sources(folder: Path) -> list[Path]:
    """The files of a folder without packages and build output."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not BUILD_OUTPUT.intersection(path.relative_to(folder).parts)
    ]


def fingerprint(folder: Path, files: list[Path]) -> str:
    """A short hash of the names and contents of these files."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Let concurrent runs install and build one after the other."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
