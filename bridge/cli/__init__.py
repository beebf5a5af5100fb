"""The `dust` command: lists the commands of all files, and prints errors."""

import io
import sys
from collections.abc import Iterable

import structlog
import typer

from bridge.cli import (
    accounts,
    backfill,
    bonuses,
    clock,
    doctor,
    events,
    guests,
    imports,
    outgoing,
    programme,
    reports,
    scenarios,
    servers,
    upkeep,
)
from bridge.development.stack.errors import StackError
from bridge.errors import DustError, InvalidInput
from bridge.settings import SettingsError, misspelt_variables

app = typer.Typer(
    name="dust",
    help="Loyalty points for a Medusa shop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    servers.up, servers.demo, servers.serve, servers.worker, servers.beat, servers.flower, servers.migrate,
    servers.secret, servers.openapi,
    events.trigger, events.events, events.retry, outgoing.webhooks,
    accounts.balance, accounts.history, accounts.explain, accounts.token, accounts.adjust, accounts.merge,
    accounts.unmerge, bonuses.bonus,
    imports.export, backfill.backfill, upkeep.audit, upkeep.reconcile, scenarios.scenario, clock.clock, doctor.doctor,
):  # fmt: skip
    # An amount such as -50 is a value of `adjust`, not an option.
    app.command(context_settings={"ignore_unknown_options": command is accounts.adjust})(command)
for name, group in (
    ("product", accounts.products), ("guests", guests.group), ("programme", programme.group), ("import", imports.group),
    ("report", reports.group),
):  # fmt: skip
    app.add_typer(group, name=name)


def main() -> None:
    """Run a command. Exit code 1 is a failure, 2 a wrong call or missing settings."""
    _write_everything()
    # Logs go to standard error, so that JSON output stays valid. Servers set up their own logs later.
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        _refuse_other_encodings(sys.argv[1:])
        for line in misspelt_variables():
            print(f"dust: {line}", file=sys.stderr)
        app()
    except SettingsError as error:
        for line in error.problems:
            print(f"dust: {line}", file=sys.stderr)
        sys.exit(2)
    except (DustError, StackError) as error:
        print(f"dust: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        # A file that cannot be read or written, or a full disk.
        file = f": {error.filename}" if error.filename else ""
        print(f"dust: {error.strerror or error}{file}", file=sys.stderr)
        sys.exit(1)


def _write_everything() -> None:
    """Write UTF-8 into files and pipes. A terminal of another encoding shows what it cannot as `\\u2713`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def _refuse_other_encodings(arguments: Iterable[str]) -> None:
    """Python reads bytes that are not UTF-8 as half surrogates, which neither Postgres nor a terminal takes."""
    for number, argument in enumerate(arguments, start=1):
        if not argument.isascii() and argument.encode("utf-8", "replace").decode() != argument:
            raise InvalidInput(f"Argument {number} is not UTF-8.")
