"""The storefront kit with its development tools, in the versions of its lock file."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.development.demo.install import only_one
from tests.support.built_shop import CACHE, PROJECT

KIT = PROJECT / "storefront-kit"
_SOURCES = shutil.ignore_patterns("node_modules", "dist", "*.tgz")


@contextmanager
def kit_with_tools() -> Iterator[Path]:
    """A copy of the kit beside the API's openapi.json, with the tools in its node_modules."""
    home = installed([KIT / "package.json", KIT / "package-lock.json"])
    with TemporaryDirectory(dir=home) as folder:
        shutil.copy(PROJECT / "openapi.json", folder)
        kit = Path(shutil.copytree(KIT, Path(folder) / "storefront-kit", ignore=_SOURCES))
        (kit / "node_modules").symlink_to(home / "node_modules")
        yield kit


def installed(packages: list[Path]) -> Path:
    """A folder with the packages of a package.json, and of its lock file if given. Installs them once per content."""
    content = b"".join(file.read_bytes() for file in packages)
    home = CACHE.resolve() / f"storefront-kit-{hashlib.sha256(content).hexdigest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    with only_one(home / "lock"):
        if not (home / "installed").exists():
            for file in packages:
                shutil.copy(file, home)
            npm(home, "ci" if len(packages) > 1 else "install", "--ignore-scripts")
            (home / "installed").touch()
    return home


def npm(folder: Path, *arguments: str) -> str:
    return run(folder, "npm", *arguments, "--no-audit", "--no-fund", "--loglevel=error")


def node(folder: Path, program: str, *arguments: str, **variables: str) -> str:
    """Run a program of `node_modules`, such as `vitest/vitest.mjs`."""
    return run(folder, "node", f"node_modules/{program}", *arguments, **variables)


def run(folder: Path, *command: str, **variables: str) -> str:
    """The output of a command. Fails the test with it when the command fails."""
    environment = {**os.environ, "NEXT_TELEMETRY_DISABLED": "1", **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
