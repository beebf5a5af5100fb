"""No installed package has a known vulnerability, according to PyPI.

The plugin has no dependencies of its own: it uses those of Medusa.
"""

import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.live

REPOSITORY = Path(__file__).parents[2]
# Abandoned releases with vulnerabilities that will not be fixed. They show that the check finds some.
KNOWN_BAD = ("pycrypto", "2.6.1")


@dataclass(frozen=True)
class Finding:
    """The vulnerabilities of a release by id; None if the registry does not say."""

    package: str
    version: str
    vulnerabilities: tuple[str, ...] | None


def locked() -> list[tuple[str, str, str]]:
    """Registry, package and version of all that `make install` installs."""
    packages = tomllib.loads((REPOSITORY / "uv.lock").read_text())["package"]
    return [
        (package["source"]["registry"], package["name"], package["version"])
        for package in packages
        if "registry" in package["source"]
    ]


def ask(http: httpx.Client, registry: str, package: str, version: str) -> Finding:
    pages = f"{registry.removesuffix('/simple')}/pypi/{package}"
    for url in (f"{pages}/{version}/json", f"{pages}/json"):
        response = http.get(url)
        # Mirrors have the page of the newest release only.
        if response.is_success and response.json()["info"]["version"] == version:
            vulnerabilities = response.json()["vulnerabilities"]
            return Finding(
                package, version, tuple(entry["id"] for entry in vulnerabilities if not entry.get("withdrawn"))
            )
    return Finding(package, version, None)


def test_no_locked_package_has_a_known_vulnerability() -> None:
    packages = locked()
    with httpx.Client(follow_redirects=True, timeout=60) as http:
        try:
            bad = ask(http, packages[0][0], *KNOWN_BAD)
        except httpx.TransportError as error:
            pytest.skip(f"the registry's advisories cannot be read here: {error}")
        assert bad.vulnerabilities
        with ThreadPoolExecutor(4) as pool:
            findings = list(pool.map(lambda package: ask(http, *package), packages))
    assert len(findings) > 50
    unknown = [f"{finding.package} {finding.version}" for finding in findings if finding.vulnerabilities is None]
    print(f"{len(findings) - len(unknown)} packages looked up; nobody says of {unknown or 'none'}")
    assert {finding.package: finding.vulnerabilities for finding in findings if finding.vulnerabilities} == {}


def test_the_plugin_brings_no_packages_along() -> None:
    assert "dependencies" not in json.loads((REPOSITORY / "medusa-plugin/package.json").read_text())
