"""How commands print: tables for people, JSON for programs."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bridge.counted import counted as in_a_sentence
from bridge.errors import InvalidInput
from bridge.ids import is_id
from bridge.medusa.times import is_storable
from bridge.settings import log_as_json

# Texts of merchants and names of files can have brackets and colons, which Rich reads as styles and emoji.
console = Console(markup=False, emoji=False)

# Who did it, in rows that a command writes.
ACTOR = "cli"

_MAX_KEY_CHARACTERS = 255


def check_id(value: str) -> str:
    """Refuse what the API refuses. Copied with a space or a comma, an id would be another customer's."""
    if not is_id(value):
        raise typer.BadParameter(f"{value!r} is not an id of Medusa.")
    return value


def check_ids(values: list[str]) -> list[str]:
    return [check_id(value) for value in values]


def _check_key(key: str | None) -> str | None:
    if key is not None and not (0 < len(key) <= _MAX_KEY_CHARACTERS and key.isprintable()):
        raise typer.BadParameter(f"Give 1 to {_MAX_KEY_CHARACTERS} printable characters.")
    return key


def counted(number: int, thing: str) -> str:
    """`1 point`, `1200 points`: without separators of thousands, for scripts that read the output."""
    return in_a_sentence(number, thing).replace(",", "")


def _at_most(characters: int) -> Callable[[str], str]:
    """As long as the API takes it."""

    def check(value: str) -> str:
        if len(value) > characters:
            raise typer.BadParameter(f"Give at most {characters} characters.")
        return value

    return check


def _log_as_json(as_json: bool) -> bool:
    if as_json:
        log_as_json()
    return as_json


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AlwaysJson = Annotated[bool, typer.Option("--json", help="Print JSON, as it does anyway.")]
JsonLogs = Annotated[
    bool, typer.Option("--json", help="Write logs as JSON, as DUST_LOG_FORMAT=json does.", callback=_log_as_json)
]
Customer = Annotated[str, typer.Argument(help="A Medusa customer id, cus_…", callback=check_id)]
Key = Annotated[
    str | None, typer.Option(help="Idempotency key. Repeating it has no second effect.", callback=_check_key)
]
Limit = Annotated[int, typer.Option(min=1, max=1000)]
Reason = Annotated[str, typer.Option(help="Why; for the shop only.", callback=_at_most(200))]
Description = Annotated[
    str, typer.Option(help="What the customer sees; the reason is for the shop only.", callback=_at_most(500))
]


def read_time(text: str) -> datetime:
    """The parser of an option for a time, in ISO 8601. Typer's own reads a number as seconds since 1970."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        right = "write 2026-12-01, 2026-12-01T12:00 (UTC) or 2026-12-01T12:00+01:00"
        raise typer.BadParameter(f"{text!r} is not a valid datetime: {right}.") from None


def to_utc(moment: datetime) -> datetime:
    """The time of an option in UTC; without a zone it is UTC already. Raises `InvalidInput` for a year out of range."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not is_storable(aware):
        raise InvalidInput(f"{moment.date()} is not possible here: times must be in the years 1900 to 2999.")
    return aware.astimezone(UTC)


def as_utc(moment: datetime | None) -> datetime | None:
    """As `to_utc`, for an option that may be missing."""
    return to_utc(moment) if moment else None


@contextmanager
def counting(words: str, things: str, *, quiet: bool, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Show how many `things` are done while the block runs; it yields a function that adds to the number."""
    number = TextColumn(f"{{task.completed:.0f}} {things}")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), number, TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet, transient=True) as progress:
        task = progress.add_task(words, total=None, completed=done)
        yield lambda steps: progress.advance(task, steps)


@contextmanager
def whole_file(file: Path, *, errors: str = "strict") -> Iterator[TextIO]:
    """Open a file for writing. If the block raises, the file is as it was: half an export looks like a whole one."""
    # A device or a pipe is written as it is.
    is_new = not file.exists() or file.is_file()
    target = file.resolve()
    part = target.with_name(f"{target.name}.part") if is_new else file
    try:
        with part.open("w", newline="", encoding="utf-8", errors=errors) as out:
            yield out
        if is_new:
            part.replace(target)
    except BaseException as error:
        if is_new:
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            # A write to a full disk names no file.
            error.filename = str(file)
        raise


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(value, default=str, indent=2))


def print_result(document: Any, sentence: str, *, as_json: bool) -> None:
    """Print what a command has done: as a sentence, or as one JSON document."""
    if as_json:
        print_json(document)
    else:
        console.print(sentence)


def say(text: str) -> None:
    """Print text as it is: without colours, and without line breaks at the width of the terminal."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_rows(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool = False, empty: str = ""
) -> None:
    """Print rows as a table, or as a JSON list."""
    shown = list(rows)
    if as_json:
        print_json(shown)
        return
    if not shown:
        console.print(empty)
        return
    table = Table()
    for column in columns:
        # An id must be in one line, so that it can be copied. Other text may wrap.
        table.add_column(column, no_wrap=column.endswith("id") or column == "subject")
    for row in shown:
        table.add_row(*(_cell(row[column]) for column in columns))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)
