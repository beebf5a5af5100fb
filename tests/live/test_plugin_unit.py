"""The plugin's own unit tests, run with the shop's installation: the plugin needs no second `node_modules`."""

import subprocess
from pathlib import Path

import pytest

from bridge.demo.install import install_shop
from tests.live.conftest import CACHE, PROJECT

pytestmark = pytest.mark.live


def test_the_plugins_unit_tests_pass() -> None:
    server = install_shop(CACHE, PROJECT / "medusa-plugin", print)
    plugin = server.parents[1] / "plugin"
    vitest = _installed_above(plugin, Path("vitest/vitest.mjs"))

    run = subprocess.run(["node", vitest, "run"], cwd=plugin, capture_output=True, text=True)

    assert run.returncode == 0, run.stdout + run.stderr


def _installed_above(folder: Path, module: Path) -> Path:
    return next(found for parent in folder.parents if (found := parent / "node_modules" / module).is_file())
