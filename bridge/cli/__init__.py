"""The `dust` command. Each file has a group of commands; this one combines them and prints errors."""

import sys

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
from bridge.errors import DustError
from bridge.settings import SettingsError

app = typer.Typer(
    name="dust",
    help="Loyalty points for a Medusa shop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (
    servers,
    events,
    outgoing,
    accounts,
    bonuses,
    guests,
    programme,
    imports,
    backfill,
    upkeep,
    reports,
    scenarios,
    clock,
    doctor,
):
    group.add_commands(app)


def main() -> None:
    """Run a command. Exit code 1 is a failure, 2 a wrong call or missing settings."""
    # Logs go to standard error, so that JSON output stays valid. Servers set up their own logs later.
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        app()
    except SettingsError as error:
        for line in error.problems:
            print(f"dust: {line}", file=sys.stderr)
        sys.exit(2)
    except (DustError, StackError) as error:
        print(f"dust: {error}", file=sys.stderr)
        sys.exit(1)
