"""The unit tests of the storefront kit and the example shop, with the tools of the kit's lock file."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.built_shop import PROJECT
from tests.support.kit_tools import kit_with_tools, node

pytestmark = pytest.mark.live


def test_the_kits_unit_tests_pass() -> None:
    with kit_with_tools() as kit:
        node(kit, "vitest/vitest.mjs", "run")


def test_the_example_shops_unit_tests_pass() -> None:
    shop = Path("examples", "storefront")
    with kit_with_tools() as kit:
        ignored = shutil.ignore_patterns("node_modules", ".next")
        copy = Path(shutil.copytree(PROJECT / shop, kit.parent / shop, ignore=ignored))
        (copy / "node_modules").symlink_to(kit / "node_modules")
        node(copy, "vitest/vitest.mjs", "run", "--config", "unit-tests/vitest.config.mts")


def test_the_kits_types_fit_together() -> None:
    with kit_with_tools() as kit:
        node(kit, "typescript/bin/tsc", "--noEmit")


def test_the_kits_types_are_those_of_the_schema() -> None:
    with kit_with_tools() as kit:
        types = kit / "src/api.generated.ts"
        committed = types.read_text()
        node(kit, "openapi-typescript/bin/cli.js", "../openapi.json", "--output", str(types))
        assert types.read_text() == committed, "out of date: run `npm run types` in storefront-kit"


def test_the_schema_passes_redoclys_recommended_rules() -> None:
    with kit_with_tools() as kit:
        quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
        options = ("lint", "--extends=recommended", "--format=json", "../openapi.json")
        report = json.loads(node(kit, "@redocly/cli/bin/cli.js", *options, **quiet))
    assert report["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, report["problems"]
