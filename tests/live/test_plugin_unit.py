"""The plugin's own unit tests and its types, run with the shop's `node_modules`: it needs none of its own."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.built_shop import built_shop

pytestmark = pytest.mark.live

# What a shop written in TypeScript gets to see of the package.
_USER = """
import { guardCheckout } from "medusa-plugin-dust/guard"
import type { DustBalance, DustOptions, Problem } from "medusa-plugin-dust/types"

export const options: DustOptions = { url: "http://localhost:8600", secret: "whsec_", token: "t" }
export const guard: Promise<void> = guardCheckout({ items: [] }, {} as never)
export const sentence = (balance: DustBalance, problem: Problem): string => `${balance.available} ${problem.code}`
// @ts-expect-error There is no such figure.
export const nothing = (balance: DustBalance) => balance.coins
"""


@pytest.fixture(scope="module")
def shop_folder() -> Path:
    """The folder that the shop was built in, its plugin beside it."""
    return built_shop().parents[1]


def test_the_plugins_unit_tests_pass(shop_folder: Path) -> None:
    plugin = shop_folder / "plugin"

    run(plugin, "vitest/vitest.mjs", "run")


@pytest.mark.skipif("MEDUSA" in os.environ, reason="the plugin is compiled with the Medusa of the lock file")
def test_the_plugins_types_fit_together(shop_folder: Path) -> None:
    run(shop_folder / "plugin", "typescript/bin/tsc", "--noEmit")


def test_a_shop_written_in_typescript_finds_the_types(shop_folder: Path) -> None:
    user = shop_folder / "user-of-the-types.ts"
    user.write_text(_USER)
    try:
        options = ("--module", "node16", "--target", "es2021", "--strict", "--skipLibCheck", "--noEmit")
        run(shop_folder, "typescript/bin/tsc", *options, user.name)
    finally:
        user.unlink()


def run(folder: Path, program: str, *arguments: str) -> None:
    """Run a program of the shop's installation. Fails the test with what it wrote when it fails."""
    module = next(found for parent in folder.parents if (found := parent / "node_modules" / program).is_file())
    done = subprocess.run(["node", module, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
