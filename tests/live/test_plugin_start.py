"""A Medusa in which the checkout guard or the events would not work does not start, and says what to do."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bridge.development.demo.install import CommandFailed, medusa_command, medusa_environment, run_reported
from bridge.development.demo.shop import Shop, running_shop
from bridge.development.stack.postgres import create_database
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


@pytest.fixture(scope="module")
def migrated(built: Path, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database with Medusa's tables: without them Medusa would not start for other reasons."""
    url = create_database(database_url, "medusa_migrated")
    command(built, url, tmp_path_factory.mktemp("migrated") / "log", "db:migrate")
    return url


def command(server: Path, url: str, log: Path, *arguments: str, webhook_secret: str = WEBHOOK_SECRET) -> None:
    environment = medusa_environment(
        server,
        DATABASE_URL=url,
        DUST_URL="http://127.0.0.1:9",
        DUST_ADMIN_TOKEN=ADMIN_TOKEN,
        DUST_WEBHOOK_SECRET=webhook_secret,
        JWT_SECRET=JWT_SECRET,
        COOKIE_SECRET=JWT_SECRET,
    )
    words = medusa_command(server, *arguments)
    run_reported(words, cwd=server, env=environment, log=log, title=f"medusa {arguments[0]}", report=print)


def test_a_weak_secret_stops_the_start(built: Path, migrated: str, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"option \\?\"secret\\?\" must look like whsec_"):
        command(built, migrated, tmp_path / "log", "start", webhook_secret="whsec_c2hvcnQ=")


def test_a_medusa_that_is_too_old_does_not_start(built: Path, migrated: str, tmp_path: Path) -> None:
    # A copy of the shop whose plugin finds the installed Medusa under an older version.
    with TemporaryDirectory(dir=built.parents[2]) as folder:
        shop = Path(shutil.copytree(built.parents[1], Path(folder) / "shop", symlinks=True))
        installed = built.parents[2] / "node_modules/@medusajs/medusa"
        older = shop / "plugin/node_modules/@medusajs/medusa"
        older.mkdir(parents=True)
        package = json.loads((installed / "package.json").read_text())
        (older / "package.json").write_text(json.dumps({**package, "version": "2.12.6"}))
        (older / "dist").symlink_to(installed / "dist")

        with pytest.raises(CommandFailed, match=r"needs Medusa 2\.13\.0 or later, and this is 2\.12\.6"):
            command(shop / ".medusa/server", migrated, tmp_path / "log", "start")


def test_a_shop_with_another_handler_of_the_same_hook_reads_how_to_keep_both(
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
