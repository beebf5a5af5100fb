"""The plugin's own unit tests, types and lint rules.

The tests and the compiler run with the shop's `node_modules`; the linter and the type generator, which no shop needs,
have a folder of their own.
"""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from tests.support.built_shop import built_shop
from tests.support.plugin_tools import PLUGIN, plugin_with_tools

pytestmark = pytest.mark.live

# The types of the package that a shop written in TypeScript uses.
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

    run(plugin, "vitest/vitest.mjs", "run", OPENAPI=str(PLUGIN.parent / "openapi.json"))


@pytest.mark.skipif("MEDUSA" in os.environ, reason="the plugin is compiled with the Medusa of the lock file")
def test_the_plugins_types_fit_together(shop_folder: Path) -> None:
    run(shop_folder / "plugin", "typescript/bin/tsc", "--noEmit")


def test_the_plugin_keeps_medusas_lint_rules() -> None:
    with plugin_with_tools() as plugin:
        run(plugin, "eslint/bin/eslint.js", "--max-warnings", "0", ".")


def test_the_types_of_the_bridge_are_those_of_its_schema() -> None:
    with plugin_with_tools() as plugin:
        types = plugin / "src/types/bridge.generated.ts"
        committed = types.read_text()
        run(plugin, "openapi-typescript/bin/cli.js", "../openapi.json", "--output", str(types))
        assert types.read_text() == committed, "out of date: run `npm run types` in medusa-plugin"


def test_the_migrations_are_in_step_with_the_models(shop_folder: Path, database_url: str) -> None:
    server = urlsplit(database_url)
    account = {"DB_USERNAME": str(server.username), "DB_PASSWORD": str(server.password)}
    address = {"DB_HOST": str(server.hostname), "DB_PORT": str(server.port)}

    def migrations(plugin: Path) -> dict[str, str]:
        return {file.name: file.read_text() for file in (plugin / "src/modules/dust/migrations").iterdir()}

    with TemporaryDirectory(dir=shop_folder) as folder:
        plugin = shutil.copytree(
            PLUGIN, Path(folder) / "plugin", ignore=shutil.ignore_patterns("node_modules", ".medusa")
        )
        run(plugin, "@medusajs/cli/cli.js", "plugin:db:generate", **account, **address)

        assert migrations(plugin) == migrations(PLUGIN), "run `npx medusa plugin:db:generate` in medusa-plugin"


def test_a_shop_written_in_typescript_finds_the_types(shop_folder: Path) -> None:
    user = shop_folder / "user-of-the-types.ts"
    user.write_text(_USER)
    try:
        options = ("--module", "node16", "--target", "es2021", "--strict", "--skipLibCheck", "--noEmit")
        run(shop_folder, "typescript/bin/tsc", *options, user.name)
    finally:
        user.unlink()


def run(folder: Path, program: str, *arguments: str, **variables: str) -> None:
    """Run a program of the shop's installation. If it fails, the test fails with its output."""
    module = next(file for parent in folder.parents if (file := parent / "node_modules" / program).is_file())
    environment = {**os.environ, **variables}
    done = subprocess.run(["node", module, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
