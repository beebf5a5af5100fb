"""`dust demo`: starts a shop and Dust, plays the story, and stays up."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bridge.development.demo import captured, story
from bridge.development.demo.install import NodeMissing, Report, install_shop, require_node
from bridge.development.demo.people import Storefront
from bridge.development.demo.seed import ShopKeys, seed
from bridge.development.demo.shop import Shop, running_shop
from bridge.development.demo.storefront import build_storefront, running_storefront, shows_points
from bridge.development.stack.account import open_data_dir
from bridge.development.stack.postgres import embedded_postgres
from bridge.development.stack.processes import free_port
from bridge.development.stack.redis import embedded_redis
from bridge.development.stack.secrets import kept_secret, own_secrets
from bridge.development.stack.up import StackUrls, as_environment, running_stack
from bridge.settings import Settings, load_settings

PROJECT = Path(__file__).parents[3]
# Not in the data folder: 720 MB that all runs share.
_CACHE = PROJECT / ".cache"
# Unless another program listens there.
_MEDUSA_PORT = 9000
_STOREFRONT_PORT = 8000


@dataclass(frozen=True, kw_only=True)
class Running:
    """A Medusa that serves, its keys, and the shopper of the story."""

    shop: Shop
    keys: ShopKeys
    shopper: Storefront


def run_demo(*, once: bool, as_json: bool = False) -> int:
    """Play the story. With `once` end after it, else stay up until Ctrl-C. Returns 0 if all steps succeeded.

    With `as_json` each line is printed as `{"text": …}`.
    """
    console = Console(highlight=False, soft_wrap=True)

    def say(line: str) -> None:
        console.print(json.dumps({"text": line}) if as_json else line, markup=False)

    # Like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        require_node()
    except NodeMissing as missing:
        say(f"{missing}\nWithout it the story uses payloads captured from a real Medusa.")
        return _demo(say, once=once, shop=False)
    return _demo(say, once=once, shop=True)


def _demo(say: Report, *, once: bool, shop: bool) -> int:
    settings = load_settings(join_running=False)
    data_dir = open_data_dir(settings.data_dir / "demo")
    with ExitStack() as stack:
        database = settings.database_url or stack.enter_context(embedded_postgres(data_dir, say=say))
        broker = settings.broker_url or stack.enter_context(embedded_redis(data_dir))
        secrets = {**as_environment(settings), **own_secrets(settings, data_dir).environment}
        port = _port(settings, "port")
        running: Running | None = None
        if shop:
            dust_url = settings.model_copy(update={"port": port}).api_address
            running = _open_shop(stack, data_dir, database, dust_url=dust_url, secrets=secrets, say=say)
        say("Starting Dust: API, worker, beat and Flower …")
        urls = stack.enter_context(
            running_stack(
                _settings(settings, data_dir=data_dir, database=database, broker=broker, port=port),
                # Logs of the processes go to a file.
                console=Console(file=stack.enter_context((data_dir / "dust.log").open("w")), force_terminal=False),
                environment=running.keys.environment() if running else None,
            )
        )
        succeeded = _play(urls, running, say) and _audit_is_clean(urls, say, medusa=running is not None)
        storefront = _open_storefront(stack, data_dir, running, say) if running else None
        if running and storefront:
            succeeded &= _storefront_answers(storefront, running, say)
        say("\nAll steps succeeded." if succeeded else "\n✗ Not all steps succeeded, see above.")
        if once:
            return 0 if succeeded else 1
        _print_addresses(urls, running, storefront, data_dir, say)
        with suppress(KeyboardInterrupt):
            signal.pause()
        return 0 if succeeded else 1


def _settings(settings: Settings, *, data_dir: Path, database: str, broker: str, port: int) -> Settings:
    return settings.model_copy(
        update={
            "data_dir": data_dir,
            "database_url": database,
            "broker_url": broker,
            "test_clock": settings.test_clock or settings.database_url is None,
            "port": port,
            "flower_port": _port(settings, "flower_port"),
        }
    )


def _port(settings: Settings, name: str) -> int:
    """A port that the environment names is kept. The default one may be in use."""
    wanted = int(getattr(settings, name))
    return wanted if wanted and name in settings.model_fields_set else free_port(wanted)


def _open_shop(
    stack: ExitStack, data_dir: Path, database: str, *, dust_url: str, secrets: Mapping[str, str], say: Report
) -> Running:
    _CACHE.mkdir(exist_ok=True)
    server = install_shop(_CACHE, PROJECT / "medusa-plugin", say, dashboard=True)
    shop = stack.enter_context(
        running_shop(
            server,
            database_url=database,
            dust_url=dust_url,
            webhook_secret=secrets["DUST_WEBHOOK_SECRETS"].split(",")[0],
            jwt_secret=secrets["DUST_JWT_SECRET"],
            admin_token=secrets["DUST_ADMIN_TOKEN"],
            log=data_dir / "medusa.log",
            report=say,
            admin_password=kept_secret(data_dir, "SHOP_ADMIN_PASSWORD", lambda: "demo-password"),
            dashboard=True,
            port=free_port(_MEDUSA_PORT),
        )
    )
    say("Filling the shop: regions, prices, stock, keys …")
    keys = seed(shop)
    shopper = Storefront(keys)
    stack.callback(shopper.close)
    return Running(shop=shop, keys=keys, shopper=shopper)


def _open_storefront(stack: ExitStack, data_dir: Path, running: Running, say: Report) -> str:
    folder = build_storefront(_CACHE, PROJECT, say)
    log, port = data_dir / "storefront.log", free_port(_STOREFRONT_PORT)
    return stack.enter_context(running_storefront(folder, running.keys, port=port, log=log, report=say))


def _storefront_answers(url: str, running: Running, say: Report) -> bool:
    succeeded = shows_points(url, running.shopper.token, story.FINAL_BALANCE)
    say(f"   {'✓' if succeeded else '✗'} its home page shows a product and her {story.FINAL_BALANCE} points")
    return succeeded


def _play(urls: StackUrls, running: Running | None, say: Report) -> bool:
    say("")
    if running is None:
        return captured.play(urls, say)
    token = urls.environment["DUST_ADMIN_TOKEN"]
    return story.play(running.shop, running.keys, running.shopper, dust_url=urls.api, admin_token=token, report=say)


def _audit_is_clean(urls: StackUrls, say: Report, *, medusa: bool) -> bool:
    say("Checking the ledger: dust audit" + (" --medusa" if medusa else ""))
    command = [sys.executable, "-m", "bridge.cli", "audit", *(["--medusa"] if medusa else [])]
    audit = subprocess.run(command, env={**os.environ, **urls.environment}, capture_output=True, text=True, check=False)
    if audit.returncode:
        say(f"   ✗ {audit.stdout}{audit.stderr}")
        return False
    say("   ✓ every invariant holds")
    return True


def _print_addresses(
    urls: StackUrls, running: Running | None, storefront: str | None, data_dir: Path, say: Report
) -> None:
    say("")
    if running and storefront:
        shopper = running.shopper
        say(f"Storefront        {storefront}   {shopper.email} / {shopper.password}")
    say(f"Dust's API        {urls.api}/docs")
    say(f"Flower            {urls.flower}")
    if running:
        shop = running.shop
        say(f"Medusa dashboard  {shop.url}/app   {shop.admin_email} / {shop.admin_password}")
        say(f"Publishable key   {running.keys.publishable_key}")
    say(f"Secrets and logs  {data_dir}")
    say(f"The dust command  DUST_DATA_DIR={data_dir} .venv/bin/dust balance CUSTOMER")
    say("Press Ctrl-C to stop everything.")
