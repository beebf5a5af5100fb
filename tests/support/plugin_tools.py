"""The plugin's development tools that no shop needs (linter, type generator), in the versions of its package.json."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge.development.demo.install import only_one
from tests.support.built_shop import CACHE, PROJECT

PLUGIN = PROJECT / "medusa-plugin"
_TOOLS = ("@medusajs/eslint-plugin", "eslint", "openapi-typescript", "typescript", "typescript-eslint")
_SOURCES = shutil.ignore_patterns("node_modules", ".medusa")


@contextmanager
def plugin_with_tools() -> Iterator[Path]:
    """A copy of the plugin beside the API's openapi.json, where Node finds the tools."""
    with TemporaryDirectory(dir=_installed()) as folder:
        shutil.copy(PROJECT / "openapi.json", folder)
        yield Path(shutil.copytree(PLUGIN, Path(folder) / "medusa-plugin", ignore=_SOURCES))


def _installed() -> Path:
    """The folder with the tools. Installing takes half a minute, once for each set of versions."""
    versions = json.loads((PLUGIN / "package.json").read_text())["devDependencies"]
    package = json.dumps({"private": True, "dependencies": {name: versions[name] for name in _TOOLS}}, indent=2)
    home = CACHE.resolve() / f"plugin-tools-{hashlib.sha256(package.encode()).hexdigest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    with only_one(home / "lock"):
        if not (home / "installed").exists():
            (home / "package.json").write_text(package)
            command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(command, cwd=home, env=os.environ, check=True)
            (home / "installed").touch()
    return home
