"""Builds the example shop of `examples/storefront` in a cache folder, and runs it."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bridge.development.demo import install
from bridge.development.demo.seed import ShopKeys
from bridge.development.stack.processes import spawn, stop, until

_PACKAGE_FILES = ("package.json", "package-lock.json", ".npmrc")
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0


def build_storefront(cache_dir: Path, project: Path, report: install.Report) -> Path:
    """Build the example shop with the storefront kit and return its folder. A second call takes no time.

    As with Medusa, builds share one `node_modules` in a folder above them. The kit is compiled with the shop's
    TypeScript, so it needs no installation of its own. Raises `NodeMissing` or `CommandFailed`.
    """
    install.require_node()
    shop, kit = project / "examples" / "storefront", project / "storefront-kit"
    packages = [*(shop / name for name in _PACKAGE_FILES), kit / "package.json"]
    home = cache_dir.absolute() / f"storefront-{install.fingerprint(project, packages)}"
    # The same places as in the project, where package.json looks for the kit.
    installed = home / "examples" / "storefront"
    installed.mkdir(parents=True, exist_ok=True)
    with install.only_one(home / "lock"):
        if not (home / "packages.installed").exists():
            _install(installed, packages, home, report)
        folder = installed / f"build-{install.fingerprint(project, [*install.sources(shop), *install.sources(kit)])}"
        if not (folder / "built").exists():
            _build(folder, shop, kit, report)
        return folder


def _install(installed: Path, packages: list[Path], home: Path, report: install.Report) -> None:
    *own, kit = packages
    for file in own:
        shutil.copy(file, installed)
    (home / "storefront-kit").mkdir(exist_ok=True)
    shutil.copy(kit, home / "storefront-kit")
    # Without scripts, as npm would compile the kit, which is not there yet. No package needs its own.
    command = ["npm", "install", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    title = "Installing the storefront's packages (about 300 MB, once)"
    install.run_reported(command, cwd=installed, env=os.environ, log=home / "install.log", title=title, report=report)
    (home / "packages.installed").touch()


def _build(folder: Path, shop: Path, kit: Path, report: install.Report) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns(*install.BUILD_OUTPUT, *_PACKAGE_FILES[1:])
    shutil.copytree(shop, folder, ignore=ignored)
    shutil.copytree(kit, folder / "kit", ignore=ignored)
    # Its tsconfig.json names types below its own packages.
    (folder / "kit" / "node_modules").symlink_to(Path("..", "..", "node_modules"))
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / "dust-storefront-kit").symlink_to(Path("..", "kit"))
    log = folder / "build.log"
    compiler = _program(folder, "typescript/bin/tsc")
    for title, command in (
        ("Compiling the storefront kit", [*compiler, "--project", "kit/tsconfig.build.json"]),
        ("Building the storefront", [*_program(folder, "next/dist/bin/next"), "build"]),
    ):
        install.run_reported(command, cwd=folder, env=_environment(), log=log, title=title, report=report)
        for style in (folder / "kit" / "src").glob("*.css"):
            shutil.copy(style, folder / "kit" / "dist")
    (folder / "built").touch()


@contextmanager
def running_storefront(folder: Path, keys: ShopKeys, *, port: int, log: Path, report: install.Report) -> Iterator[str]:
    """Serve the built shop for this Medusa during the block, and yield its URL."""
    report("Starting the storefront …")
    url = f"http://127.0.0.1:{port}"
    variables = {"MEDUSA_URL": keys.url, "MEDUSA_PUBLISHABLE_KEY": keys.publishable_key}
    command = [*_program(folder, "next/dist/bin/next"), "start", "--port", str(port), "--hostname", "127.0.0.1"]
    with log.open("ab") as output:
        process = spawn(
            command, death_signal=signal.SIGKILL, cwd=folder, env={**_environment(), **variables}, stdout=output
        )
    try:
        install.await_start(process, f"{url}/icon.svg", _START_SECONDS, title="Starting the storefront", log=log)
        yield url
    finally:
        stop(process, (signal.SIGTERM, _STOP_SECONDS))


def _program(folder: Path, path: str) -> list[str | Path]:
    return ["node", folder.parent / "node_modules" / path]


def _environment() -> dict[str, str]:
    return {**os.environ, "NODE_ENV": "production", "NEXT_TELEMETRY_DISABLED": "1"}


def shows_points(url: str, token: str, points: int) -> bool:
    """Whether the home page of a signed-in customer has a product and this balance, soon.

    The first page after the start is slow, and a page does not wait long for points.
    """

    def shows() -> bool:
        page = httpx.get(url, cookies={"shop_token": token}, timeout=30, trust_env=False)
        return page.is_success and 'href="/products/' in page.text and f"{points} points" in page.text

    return until(shows, _START_SECONDS)
