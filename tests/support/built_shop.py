"""The shop of the live tests, with the Medusa that `make test-live MEDUSA=2.18.0` names, or that of the lock file."""

import os
from pathlib import Path

from bridge.development.demo.install import install_shop

PROJECT = Path(__file__).parents[2]
CACHE = PROJECT / ".cache"


def live_log(name: str) -> Path:
    """The log of a server of the live tests. Test processes beside each other have their own servers."""
    process = os.environ.get("PYTEST_XDIST_WORKER", "")
    return CACHE / f"live-{name}{'-' if process else ''}{process}.log"


def built_shop() -> Path:
    """The folder of the shop, installed and built; takes minutes the first time, seconds later."""
    medusa = os.environ.get("MEDUSA") or None
    return install_shop(CACHE, PROJECT / "medusa-plugin", print, dashboard=True, medusa=medusa)
