"""Commands that start processes, migrate the database, and create secrets."""

import os
import sys
import tempfile
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from bridge.cli.output import AlwaysJson, AsJson, JsonLogs, console, print_json
from bridge.db import migrations
from bridge.development.stack.errors import cannot_listen
from bridge.development.stack.processes import bound_socket
from bridge.development.stack.secrets import new_webhook_secret
from bridge.errors import InvalidInput
from bridge.http.connections import Connection, send_without_delay
from bridge.settings import Settings, get_settings, load_settings

_QUEUES = "events,redemptions,medusa,sweeps"


def up(
    reload: Annotated[bool, typer.Option("--reload", help="Restart the API when its code changes.")] = False,
    as_json: JsonLogs = False,
) -> None:
    """Start everything on one machine, in the foreground. Example: dust up"""
    from bridge.development.stack.up import up as start

    start(load_settings(join_running=False), reload=reload)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after the story.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each line as a JSON object.")] = False,
) -> None:
    """Start everything with a real Medusa, and run a story against it. Example: dust demo --once"""
    from bridge.development.demo.run import run_demo

    raise typer.Exit(run_demo(once=once, as_json=as_json))


def serve(
    reload: Annotated[bool, typer.Option("--reload", help="Restart when the code changes.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    fd: Annotated[int | None, typer.Option(help="Listen on this inherited socket instead of DUST_PORT.")] = None,
    as_json: JsonLogs = False,
) -> None:
    """Start the API. Example: DUST_PORT=8600 dust serve"""
    from bridge.app import settings_of_app

    settings = settings_of_app()  # Report missing settings once, not in every process.
    if fd is not None:
        send_without_delay(fd)
    else:
        _require_free(settings.host, settings.port)
    uvicorn.run(
        "bridge.app:served_app",
        factory=True,
        http=Connection,
        host=settings.host,
        port=settings.port,
        fd=fd,
        workers=workers,
        reload=reload,
        log_config=None,
        forwarded_allow_ips=_trusted_addresses(settings.trusted_proxies),
        # The proxy logs requests. Dust logs what happens to events.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        # Longer than proxies keep a connection (usually 60 s). Otherwise a request could meet a closing connection.
        timeout_keep_alive=75,
    )


def _require_free(host: str, port: int) -> None:
    """Raises `StackError` if the address cannot be listened on. uvicorn's own message names no setting."""
    try:
        bound_socket(host, port).close()
    except OSError as error:
        raise cannot_listen(host, port, "DUST_PORT", error) from None


def _trusted_addresses(proxies: Iterable[str]) -> str:
    """The proxies in the form that uvicorn understands.

    It ignores a network that is written as one of its addresses. On an IPv6 socket that also serves IPv4, an IPv4 proxy
    has an address such as `::ffff:10.0.0.1`.
    """
    if "*" in proxies:
        return "*"
    networks = [ip_network(proxy, strict=False) for proxy in proxies]
    as_ipv6 = [f"::ffff:{net.network_address}/{96 + net.prefixlen}" for net in networks if net.version == 4]
    return ",".join([*map(str, networks), *as_ipv6])


def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="Number of child processes.")] = 2,
    queues: Annotated[str, typer.Option(help="Queues to process.")] = _QUEUES,
    as_json: JsonLogs = False,
) -> None:
    """Start a Celery worker. Example: dust worker --queues medusa --concurrency 2

    Run separate workers for the queues `redemptions` and `medusa`. Then a backlog of events delays no shopper, and a
    slow Medusa delays only tasks that need it.
    """
    names = [name.strip() for name in queues.split(",")]
    if unknown := [name for name in names if name not in _QUEUES.split(",")]:
        # Celery would create them, and wait for messages that never come.
        raise InvalidInput(f"--queues: there is no queue {unknown[0]!r}. The queues are {_QUEUES}.")
    settings = get_settings()
    settings.require("database_url", "broker_url")
    if "medusa" in names:
        # This queue sends outgoing webhooks.
        settings.require_outgoing_webhook_secret()
    # SIGTERM lets running tasks finish. Celery's plain one was seen to hang and to repeat a finished task.
    os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
    # Two workers on one machine need different names.
    queues = ",".join(names)
    name = "celery" if queues == _QUEUES else queues.replace(",", "-")
    _celery(
        "worker",
        *("--concurrency", str(concurrency), "--queues", queues, "--hostname", f"{name}@%h"),
        *("--without-gossip", "--without-mingle"),
    )


def beat(as_json: JsonLogs = False) -> None:
    """Start Celery's scheduler. One is enough. Example: dust beat"""
    get_settings().require("broker_url")
    _celery("beat", "--pidfile", "")


def flower(
    fd: Annotated[int | None, typer.Option(help="Listen on this inherited socket instead of DUST_FLOWER_PORT.")] = None,
    as_json: JsonLogs = False,
) -> None:
    """Start Flower, for operators. Example: DUST_FLOWER_BASIC_AUTH=operator:long-password dust flower"""
    from workers.flower import run_flower

    run_flower(get_settings(), fd=fd)


def migrate(
    check: Annotated[bool, typer.Option("--check", help="Only check whether the tables match the code.")] = False,
    revision: Annotated[str, typer.Option(help="Migrate to this revision instead of the newest.")] = "head",
    down: Annotated[bool, typer.Option("--down", help="Migrate down to --revision.")] = False,
    as_json: AsJson = False,
) -> None:
    """Migrate the database to the newest revision. Example: dust migrate"""
    settings = get_settings()
    if check:
        differences = _differences(settings)
        if as_json:
            print_json({"differences": differences})
            raise typer.Exit(1 if differences else 0)
        for line in differences:
            console.print(f"✗ {line}", markup=False)
        console.print(
            "✗ the migrations are behind the models" if differences else "✓ migrations and models are in step"
        )
        raise typer.Exit(1 if differences else 0)
    if not settings.owner_database_url:
        settings.require("database_url")
    url = str(settings.migration_url)
    step = migrations.downgrade if down else migrations.upgrade
    if revision not in (*migrations.known_revisions(), "head", "base"):
        raise InvalidInput(f"There is no revision {revision}; there are {', '.join(migrations.known_revisions())}.")
    before, after = step(url, revision, say=lambda line: typer.echo(f"  {line}", err=as_json))
    if as_json:
        print_json({"revision": after, "was": before})
        return
    console.print(f"database at {after or 'nothing'}" + ("" if before == after else f" (was {before or 'empty'})"))


def _differences(settings: Settings) -> list[str]:
    """Compare the database with the code. Without a database, migrate an empty one for it."""
    if settings.migration_url:
        return migrations.differences(settings.migration_url)
    from bridge.development.stack.postgres import embedded_postgres

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        with embedded_postgres(Path(folder), settings={"fsync": "off"}, say=lambda _: None) as url:
            migrations.upgrade(url)
            return migrations.differences(url)


def secret(as_json: AsJson = False) -> None:
    """Create a webhook secret for DUST_WEBHOOK_SECRETS. Example: dust secret"""
    created = new_webhook_secret()
    if as_json:
        print_json({"secret": created})
    else:
        print(created)


def _celery(*arguments: str) -> None:
    """Replace this process by Celery, so that signals reach it directly."""
    sys.stdout.flush()
    command = [sys.executable, "-m", "celery", "--app", "workers.app", *arguments]
    os.execv(sys.executable, command)  # noqa: S606


def openapi(as_json: AlwaysJson = False) -> None:
    """Print the OpenAPI schema of the API. It needs no settings. Example: dust openapi > openapi.json"""
    from bridge.app import create_app

    print_json(create_app(Settings()).openapi())
