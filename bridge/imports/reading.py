"""Read a CSV file of balances as spreadsheets write it; each error gets a line, a field and a fix.

Accepted: a byte order mark, UTF-16, commas, semicolons, tabs or bars, quotes, any order and case of columns, unknown
columns, blank lines, Excel's `sep=;`. Refused: ambiguous values such as `1,250` or `01/02/2026`.
"""

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal

from bridge.csv_cells import plain_cell
from bridge.errors import InvalidInput
from bridge.ids import CustomerId, is_id
from bridge.imports.presets import PRESETS, Preset, PresetName, column_name
from bridge.ledger.postings import MAX_DUST
from bridge.medusa.times import is_storable
from bridge.programme.days import end_of_day, start_of_day, zone_named

_DELIMITERS = ",;\t|"
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# Excel's first line that names the separator.
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?')
_WHOLE_OR_NOT = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?")
_FEW_DIGITS = re.compile(r"[0-9]{1,18}")
# Not the full syntax of addresses, only what an address known to Medusa can look like.
_EMAIL = re.compile(r"[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+")
_MAX_EMAIL_CHARACTERS = 254


class UnreadableImport(InvalidInput):
    """The whole file cannot be read; the message says why and what to do."""

    code = "unreadable_import"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a row is refused, and what to do. It never repeats the cell, which may be an e-mail address."""

    line: int
    field: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A valid row. The customer is given by id or by e-mail; `amount` is in whole points, above zero."""

    line: int
    customer_id: CustomerId | None
    email: str | None
    amount: int
    earned_at: datetime | None = None
    matures_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(kw_only=True)
class Reading:
    """The result of reading a file.

    `zeros` is the number of rows without points; `left_out` are the points that the preset does not import.
    """

    preset: PresetName
    sha256: str
    has_lots: bool
    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    zeros: int = 0
    left_out: int = 0


class _Refused(Exception):
    def __init__(self, column: str, message: str) -> None:
        self.column, self.message = column, message


def read_balances(content: bytes, preset: PresetName, *, now: datetime, time_zone: str = "UTC") -> Reading:
    """Read a whole file; a date alone, and a time without a zone, are in `time_zone`.

    Raises `UnreadableImport` if the file as a whole cannot be read; a wrong row becomes a problem.
    """
    text = _decode(content)
    # Not `splitlines`, which also splits at characters that a spreadsheet may write inside a cell.
    lines = list(io.StringIO(text, newline=""))
    start, delimiter, columns = _find_header(lines, preset)
    reading = Reading(preset=preset, sha256=hashlib.sha256(content).hexdigest(), has_lots="amount" in columns)
    headings = [column_name(heading) for heading in _split(lines[start], delimiter)]
    width = len(headings)
    left_out = [headings.index(name) for name in PRESETS[preset].left_out if name in headings]
    for line, cells in _records(lines[start + 1 :], delimiter, first_line=start + 2):
        try:
            _check_width(cells, width)
            cell = {name: plain_cell(cells[place].strip()) for name, place in columns.items()}
            entry = _entry(line, cell, now, time_zone)
        except _Refused as refused:
            reading.problems.append(Problem(line=line, field=refused.column, message=refused.message))
            continue
        reading.left_out += sum(int(cells[place]) for place in left_out if _FEW_DIGITS.fullmatch(cells[place].strip()))
        if entry is None:
            reading.zeros += 1
        else:
            reading.entries.append(entry)
    return reading


def rows_at(content: bytes, preset: PresetName, wanted: Container[int]) -> Iterator[tuple[int, list[str]]]:
    """Yield the header line, and then the rows that begin at the wanted lines, unchanged."""
    lines = list(io.StringIO(_decode(content), newline=""))
    start, delimiter, _ = _find_header(lines, preset)
    yield start + 1, _split(lines[start], delimiter)
    for line, cells in _records(lines[start + 1 :], delimiter, first_line=start + 2):
        if line in wanted:
            yield line, cells


def _decode(content: bytes) -> str:
    """Decode the file.

    Bytes that are not UTF-8 become lone surrogates, so that only a row that needs them is refused.
    """
    encoding = next((name for mark, name in _ENCODINGS if content.startswith(mark)), "utf-8")
    return content.decode(encoding, "surrogateescape" if encoding != "utf-16" else "replace")


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise UnreadableImport(f"The line that names the columns cannot be read ({error}).") from error


def _find_header(lines: Sequence[str], preset: PresetName) -> tuple[int, str, dict[str, int]]:
    """Return the line of the header, the separator, and the columns by meaning."""
    start, delimiters = 0, _DELIMITERS
    while start < len(lines) and not lines[start].strip():
        start += 1
    if start < len(lines) and (separator := _SEPARATOR_LINE.fullmatch(lines[start].strip("\r\n"))):
        start, delimiters = start + 1, separator[1]
    if start >= len(lines):
        raise UnreadableImport("The file is empty: its first line must name the columns.")
    for delimiter in delimiters:
        columns = _columns(_split(lines[start], delimiter), PRESETS[preset])
        if columns is not None:
            return start, delimiter, columns
    raise UnreadableImport(_no_columns(lines[start], delimiters, preset))


def _columns(headings: Sequence[str], preset: Preset) -> dict[str, int] | None:
    """Return the place of each column that the preset knows; None if the customer or the points are missing."""
    names = [column_name(heading) for heading in headings]
    columns: dict[str, int] = {}
    for column in ("customer_id", "email", "amount", "balance", "earned_at", "matures_at", "expires_at"):
        for name in getattr(preset, column):
            if name in names:
                if names.count(name) > 1:
                    raise UnreadableImport(f"Two columns are called {name}: keep one.")
                columns[column] = names.index(name)
                break
    if not columns.keys() & {"customer_id", "email"} or not columns.keys() & {"amount", "balance"}:
        return None
    if {"amount", "balance"} <= columns.keys():
        raise UnreadableImport(
            "The file has both an amount (rows are lots) and a balance (rows are customers): keep one."
        )
    return columns


def _no_columns(header: str, delimiters: str, preset: PresetName) -> str:
    fits = [
        name.value
        for name in PresetName
        if any(_columns(_split(header, delimiter), PRESETS[name]) is not None for delimiter in delimiters)
    ]
    rules = PRESETS[preset]
    columns = " or ".join((*rules.customer_id, *rules.email[:1]))
    amounts = " or ".join((*rules.amount, *rules.balance))
    hint = f" They fit --preset {fits[0]}." if fits else ""
    return f"The first line does not name the columns of the preset {preset}: it needs {columns}, and {amounts}.{hint}"


def _records(lines: Sequence[str], delimiter: str, *, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """Yield rows that are not blank, with the line of the file on which each begins."""
    reader = csv.reader(lines, delimiter=delimiter)
    line = first_line
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            message = f"Line {line} cannot be read ({error}): a quote that is never closed swallows the lines after it."
            raise UnreadableImport(message) from error
        begins, line = line, first_line + reader.line_num
        if any(cell.strip() for cell in cells):
            yield begins, cells


def _check_width(cells: list[str], width: int) -> None:
    if len(cells) < width:
        raise _Refused("row", f"has {len(cells)} cells where the first line names {width}: complete it")
    if any(cell.strip() for cell in cells[width:]):
        raise _Refused(
            "row", f"has {len(cells)} cells where the first line names {width}: put a value with a separator in quotes"
        )


def _entry(line: int, cell: dict[str, str], now: datetime, time_zone: str) -> Entry | None:
    for name, value in cell.items():
        if any("\ud800" <= character <= "\udfff" or character == "\ufffd" for character in value):
            raise _Refused(name, "is not UTF-8: save the file as CSV in UTF-8")
    customer_id, email = cell.get("customer_id", ""), cell.get("email", "")
    if not customer_id and not email:
        raise _Refused("email" if "email" in cell else "customer_id", "is empty: say whose points these are")
    if customer_id and not is_id(customer_id):
        raise _Refused("customer_id", "is not an id of Medusa: use one such as cus_01J…")
    if not customer_id and (len(email) > _MAX_EMAIL_CHARACTERS or not _EMAIL.fullmatch(email)):
        raise _Refused("email", "is not an e-mail address: correct it")
    column = "amount" if "amount" in cell else "balance"
    amount = _whole(column, cell[column])
    if amount == 0:
        return None
    earned_at = _moment("earned_at", cell, time_zone)
    matures_at = _moment("matures_at", cell, time_zone)
    expires_at = _moment("expires_at", cell, time_zone, is_end=True)
    if earned_at and earned_at > now:
        raise _Refused("earned_at", "is still to come: correct it, or leave it empty")
    if expires_at and expires_at <= now:
        raise _Refused("expires_at", "is over, so there is nothing to bring: leave the row out")
    if expires_at and matures_at and expires_at <= matures_at:
        raise _Refused("expires_at", "is not after matures_at: correct one of them")
    return Entry(
        line=line,
        customer_id=CustomerId(customer_id) if customer_id else None,
        email=email if not customer_id else None,
        amount=amount,
        earned_at=earned_at,
        matures_at=matures_at,
        expires_at=expires_at,
    )


def _whole(column: str, cell: str) -> int:
    if not cell:
        raise _Refused(column, "is empty: write 0, or leave the row out")
    if not _WHOLE_OR_NOT.fullmatch(cell):
        raise _Refused(column, "is not a whole number: write it with digits alone, such as 1250")
    value = Decimal(cell)
    if value != value.to_integral_value():
        raise _Refused(column, "is a fraction: points are whole, round it")
    if value < 0:
        raise _Refused(column, "is below zero: leave the row out, and correct that customer with dust adjust")
    if value > MAX_DUST:
        raise _Refused(column, f"is more than {MAX_DUST}: that is no balance")
    return int(value)


def _moment(column: str, cell: dict[str, str], time_zone: str, *, is_end: bool = False) -> datetime | None:
    value = cell.get(column, "")
    if not value:
        return None
    try:
        moment = _parse_moment(value, time_zone, is_end=is_end)
    except ValueError:
        raise _Refused(column, "is not a date: write 2026-12-31 or 2026-12-31T12:00:00Z") from None
    except OverflowError:
        moment = None
    # Other programs write 9999-12-31T23:59:59Z for never. In Tokyo that is the year 10000, which Python does not have.
    if moment is None or not is_storable(moment):
        raise _Refused(column, "is not in the years 1900 to 2999: correct it, or leave it empty")
    return moment


def _parse_moment(value: str, time_zone: str, *, is_end: bool) -> datetime:
    """Parse ISO 8601. A date alone is the day's first moment, or its last one for an end."""
    try:
        day = date.fromisoformat(value)
    except ValueError:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone_named(time_zone))).astimezone(UTC)
    return end_of_day(day, time_zone) if is_end else start_of_day(day, time_zone)
