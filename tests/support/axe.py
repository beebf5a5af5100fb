"""axe-core, which finds accessibility problems of a page."""

import json
import subprocess
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from bridge.development.demo.install import only_one
from tests.support.built_shop import CACHE, PROJECT


def axe_script() -> Path:
    """The script, in the version of the example shop. Installing it takes seconds, once."""
    versions = json.loads((PROJECT / "examples/storefront/package.json").read_text())["devDependencies"]
    package = f"axe-core@{versions['axe-core']}"
    home = CACHE.resolve() / package
    script = home / "node_modules/axe-core/axe.min.js"
    home.mkdir(parents=True, exist_ok=True)
    with only_one(home / "lock"):
        if not script.exists():
            command = ["npm", "install", "--prefix", str(home), "--no-audit", "--no-fund", "--loglevel=error", package]
            subprocess.run(command, check=True)
    return script


def serious_findings(
    page: Page, script: Path, *, within: str | dict[str, list[str]] = "html"
) -> list[tuple[str, str, list[str]]]:
    """The serious and critical findings on the page: rule, what to do, and the elements.

    `within` is a CSS selector, or a context of axe with `include` and `exclude`.
    """
    page.evaluate(script.read_text())
    violations: list[dict[str, Any]] = page.evaluate(
        "within => axe.run(within).then(({ violations }) => violations)", within
    )
    return [
        (violation["id"], violation["help"], [node["html"] for node in violation["nodes"]])
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ]
