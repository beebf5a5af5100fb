"""Start Flower with Dust's settings."""

import logging
import signal
import socket
import sys
from types import FrameType
from typing import NoReturn

import structlog
from flower.command import apply_env_options, extract_settings
from flower.options import options
from flower.urls import settings as flower_settings
from tornado.httpserver import HTTPServer

from bridge.development.stack.account import open_data_dir
from bridge.development.stack.errors import cannot_listen
from bridge.observability.logs import set_up_logs
from bridge.settings import Settings
from workers.app import app
from workers.flower.app import DustFlower

log = structlog.get_logger(__name__)

_SAVE_MILLISECONDS = 5_000
# 5.4 KB each, so about 110 MB. Failed tasks that no longer fit are still in the inbox and in the result backend.
_MAX_TASKS = 20_000


def run_flower(settings: Settings, *, fd: int | None = None) -> None:
    """Run until SIGINT or SIGTERM, on the inherited socket `fd` if it is given.

    Raises `SettingsError` without a login, `StackError` if it cannot listen or write into the data folder.
    """
    settings.require("broker_url", "database_url")
    if not settings.flower_open:
        settings.require("flower_basic_auth")
    set_up_logs(settings)
    # A log line for each request is noise, as the pages poll. Refused requests are still logged.
    logging.getLogger("tornado.access").setLevel(logging.WARNING)
    _set_options(settings)
    flower = DustFlower(capp=app, options=options, **flower_settings)
    try:
        port = flower.start_http_server() if fd is None else _listen(flower, fd)
    except OSError as error:
        raise cannot_listen(settings.flower_host, settings.flower_port, "DUST_FLOWER_PORT", error) from None
    log.info("flower_serves", host=settings.flower_host, port=port, login=bool(settings.flower_basic_auth))
    signal.signal(signal.SIGTERM, _exit)
    try:
        flower.start()
    except (KeyboardInterrupt, SystemExit):
        pass
    finally:
        flower.stop()


def _listen(flower: DustFlower, fd: int) -> int:
    """Serve on an inherited socket, and return its port. Flower itself has no such option."""
    inherited = socket.socket(fileno=fd)
    inherited.setblocking(False)
    inherited.listen()
    server = HTTPServer(flower, ssl_options=flower.ssl_options, xheaders=flower.options.xheaders)
    server.add_socket(inherited)
    port: int = inherited.getsockname()[1]
    return port


def _set_options(settings: Settings) -> None:
    """Apply Flower's own `FLOWER_…` variables (a URL prefix behind a proxy, for example), except for Dust's own
    settings.
    """
    apply_env_options()
    folder = open_data_dir(settings.data_dir) / "flower"
    # Private: the history holds arguments, and write access to it can make Flower unpickle anything.
    folder.mkdir(mode=0o700, exist_ok=True)
    options.address = settings.flower_host
    options.port = settings.flower_port
    options.basic_auth = [settings.flower_basic_auth.get_secret_value()] if settings.flower_basic_auth else []
    options.persistent = True
    options.db = str(folder / "history")
    options.state_save_interval = _SAVE_MILLISECONDS
    options.max_tasks = _MAX_TASKS
    if settings.flower_cookie_secret:
        options.cookie_secret = settings.flower_cookie_secret.get_secret_value()
    extract_settings()


def _exit(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)
