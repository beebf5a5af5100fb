"""A Medusa that would run unguarded or deaf does not start, and says what to do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.development.demo.install import CommandFailed
from bridge.development.demo.shop import Shop, running_shop
from tests.support.built_shop import built_shop
from tests.support.live_worlds import ADMIN_TOKEN, JWT_SECRET, WEBHOOK_SECRET

pytestmark = pytest.mark.live

_OWN_HANDLER = """
const { completeCartWorkflow } = require("@medusajs/medusa/core-flows")
completeCartWorkflow.hooks.validate(async () => undefined)
"""


@pytest.fixture(scope="module")
def built() -> Path:
    return built_shop()


@contextmanager
def another_shop(server: Path, database_url: str, log: Path, *, webhook_secret: str = WEBHOOK_SECRET) -> Iterator[Shop]:
    with running_shop(
        server,
        database_url=database_url,
        dust_url="http://127.0.0.1:9",
        webhook_secret=webhook_secret,
        jwt_secret=JWT_SECRET,
        admin_token=ADMIN_TOKEN,
        admin_password="only-for-live-tests",
        log=log,
        report=print,
    ) as shop:
        yield shop


def test_a_missing_secret_is_named(built: Path, database_url: str, tmp_path: Path) -> None:
    with (
        pytest.raises(CommandFailed, match=r"option \\?\"secret\\?\" is missing"),
        another_shop(built, database_url, tmp_path / "log", webhook_secret=""),
    ):
        pass


def test_a_shop_with_a_handler_of_its_own_reads_how_to_keep_both(
    built: Path, database_url: str, tmp_path: Path
) -> None:
    # Beside the built one, where Node finds the same packages.
    server = built.with_name("own-handler")
    shutil.copytree(built, server, dirs_exist_ok=True)
    hooks = server / "src" / "workflows" / "hooks"
    hooks.mkdir(parents=True, exist_ok=True)
    (hooks / "complete-cart.js").write_text(_OWN_HANDLER)
    try:
        with (
            pytest.raises(CommandFailed, match=r"Call guardCheckout\(cart, container\)"),
            another_shop(server, database_url, tmp_path / "log"),
        ):
            pass
    finally:
        shutil.rmtree(server)
