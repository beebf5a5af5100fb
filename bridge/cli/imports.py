"""Commands that import balances from a file, undo an import, and export balances."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.core import TyperGroup

from bridge.cli.output import ACTOR, AsJson, Limit, console, counted, print_json, print_rows, say, whole_file
from bridge.clock import now
from bridge.csv_cells import safe_cell
from bridge.db import transaction
from bridge.errors import InvalidInput
from bridge.ids import CustomerId
from bridge.imports import batches
from bridge.imports import export as export_rows
from bridge.imports.customers import find_customers
from bridge.imports.presets import PresetName
from bridge.imports.reading import Reading, read_balances, rows_at
from bridge.imports.tables import BatchState, RowState
from bridge.imports.undo import UndoneCustomer, undo_some
from bridge.medusa.client import get_medusa
from bridge.programme.versions import current_version
from bridge.reports.reading import reading as report_snapshot
from bridge.settings import get_settings

_SHOWN = 50
_BAR = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
_DESCRIPTION = "Balance brought over"

BatchName = Annotated[str, typer.Argument(metavar="BATCH", help="Its name or id; `dust import list` has both.")]


class _FileFirst(TyperGroup):
    """`dust import customers.csv` is short for `dust import file customers.csv`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["file", *args]
        return super().parse_args(ctx, args)


group = typer.Typer(cls=_FileFirst, help="Import balances from another programme's file.", no_args_is_help=True)


@group.command(name="file")
def import_file(
    file: Annotated[Path, typer.Argument(help="A CSV file.", exists=True, dir_okay=False)],
    preset: Annotated[PresetName, typer.Option(help="The programme that wrote the file.")] = PresetName.PLAIN,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and show what would be imported.")] = False,
    batch: Annotated[str | None, typer.Option(help="A name. Default: the file's, with a part of its hash.")] = None,
    skip_refused: Annotated[bool, typer.Option("--skip-refused", help="Import the other rows.")] = False,
    refused: Annotated[Path | None, typer.Option(help="Write refused rows to this CSV file.", dir_okay=False)] = None,
    description: Annotated[str, typer.Option(help="What customers see with the points.")] = _DESCRIPTION,
    trust_ids: Annotated[bool, typer.Option("--trust-ids", help="Do not look up customer ids in Medusa.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Import a file again that was imported before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import balances, all rows or none. Repeat it to continue. Example: dust import file.csv --dry-run"""
    if refused is not None and refused.exists() and refused.samefile(file):
        raise InvalidInput(f"--refused: give another file, because the refused rows would replace {file}.")
    content, moment = file.read_bytes(), now()
    with transaction() as connection:
        time_zone = current_version(connection).programme.time_zone
    reading = read_balances(content, preset, now=moment, time_zone=time_zone)
    name = batches.check_name(batch) if batch else batches.default_name(file.name, reading.sha256)
    with transaction() as connection:
        earlier = batches.find_earlier(connection, name, reading.sha256, again=again)
    if earlier is not None and not dry_run:
        _post(earlier.id, earlier.waiting, quiet=as_json)
        _print_imported(earlier.id, earlier, as_json=as_json)
        return
    customers = _look_up(reading, trust_ids=trust_ids, quiet=as_json)
    if refused is not None:
        _write_refused(refused, content, reading)
    if dry_run or (reading.problems and not skip_refused) or not reading.entries:
        _print_checked(reading, customers, earlier, dry_run=dry_run, as_json=as_json)
        raise typer.Exit(1 if reading.problems and not skip_refused else 0)
    with transaction() as connection:
        batch_id = batches.keep_batch(
            connection,
            reading,
            customers,
            name=name,
            file_name=file.name,
            description=description,
            actor=ACTOR,
            now=moment,
        )
    _post(batch_id, len(reading.entries), quiet=as_json)
    if not as_json:
        _print_reading(reading)
    _print_imported(batch_id, None, as_json=as_json)


def _look_up(reading: Reading, *, trust_ids: bool, quiet: bool) -> dict[int, CustomerId]:
    by_email = any(entry.email for entry in reading.entries)
    ask = by_email or not trust_ids
    medusa = get_medusa() if ask and (get_settings().medusa_url or not by_email) else None
    with _bar("Looking up customers", len(reading.entries), quiet=quiet) as step:
        return find_customers(medusa, reading, step)


def _post(batch_id: str, waiting: int, *, quiet: bool) -> None:
    with _bar("Posting rows", waiting, quiet=quiet) as step:
        while True:
            with transaction() as connection:
                posted = batches.post_some(connection, batch_id, now=now())
            if not posted:
                return
            step(posted)


@contextmanager
def _bar(words: str, total: int, *, quiet: bool) -> Iterator[Any]:
    with Progress(*_BAR, console=console, disable=quiet, transient=True) as progress:
        task = progress.add_task(words, total=total)
        yield lambda steps: progress.advance(task, steps)


def _print_checked(
    reading: Reading, customers: dict[int, CustomerId], earlier: batches.Batch | None, *, dry_run: bool, as_json: bool
) -> None:
    dust = sum(entry.amount for entry in reading.entries)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "batch": earlier.name if earlier else None,
                "rows": len(reading.entries),
                "customers": len(set(customers.values())),
                "dust": dust,
                "zeros": reading.zeros,
                "left_out": reading.left_out,
                "refused": [vars(problem) for problem in reading.problems],
            }
        )
        return
    _print_reading(reading)
    if earlier:
        console.print(f"It was imported before, as {earlier.name}: importing it again would change nothing.")
    elif dry_run or reading.problems:
        number = len(set(customers.values()))
        console.print(
            f"{counted(len(reading.entries), 'row')} could be imported: {counted(dust, 'point')} for"
            f" {counted(number, 'customer')}."
        )
    if not dry_run:
        console.print(
            "Nothing was imported." + (" Correct the file, or use --skip-refused." if reading.problems else "")
        )


def _print_reading(reading: Reading) -> None:
    if reading.problems:
        rows = [vars(problem) for problem in reading.problems[:_SHOWN]]
        print_rows(rows, ("line", "field", "message"))
        more = len(reading.problems) - _SHOWN
        console.print(
            f"{len(reading.problems)} rows are refused." + (f" {more} more: --refused FILE" if more > 0 else "")
        )
    if reading.zeros:
        console.print(f"{reading.zeros} rows have a balance of 0: nothing to import.")
    if reading.left_out:
        console.print(
            f"Left out: {counted(reading.left_out, 'pending point')}. The file does not say when they may be spent."
        )


def _print_imported(batch_id: str, earlier: batches.Batch | None, *, as_json: bool) -> None:
    with transaction() as connection:
        batch = batches.read_batch(connection, batch_id)
    if as_json:
        print_json(vars(batch))
        return
    if earlier is not None:
        went_on = f"It continued: {earlier.waiting} rows." if earlier.waiting else "Nothing was left to do."
        console.print(f"This file was imported before. {went_on}")
    console.print(
        f"Imported: {counted(batch.rows.get(RowState.POSTED, 0), 'row')}, {counted(batch.dust, 'point')} for"
        f" {counted(batch.customers, 'customer')}."
    )
    console.print(f"To undo it: dust import undo {batch.name}", soft_wrap=True)


def _write_refused(file: Path, content: bytes, reading: Reading) -> None:
    """Write the refused rows unchanged, each with the reason. After a correction the file can be imported."""
    problems = {problem.line: problem for problem in reading.problems}
    with whole_file(file, errors="surrogateescape") as out:
        writer = csv.writer(out)
        rows = rows_at(content, reading.preset, problems)
        _, headings = next(rows)
        writer.writerow((*headings, "refused_line", "refused_field", "refused_because"))
        for line, cells in rows:
            filled = [*cells, *[""] * (len(headings) - len(cells))][: len(headings)]
            writer.writerow(map(safe_cell, (*filled, line, problems[line].field, problems[line].message)))


@group.command(name="undo")
def import_undo(batch: BatchName, as_json: AsJson = False) -> None:
    """Reverse an import, by the rules' negative_balance. Example: dust import undo file-1a2b3c4d"""
    with transaction() as connection:
        summary = batches.read_batch(connection, batch)
    if summary.state is BatchState.UNDONE:
        raise InvalidInput(f"The import {summary.name} was undone already.")
    undone: list[UndoneCustomer] = []
    with _bar("Reversing", summary.customers, quiet=as_json) as step:
        while True:
            with transaction() as connection:
                customers = undo_some(connection, summary.id, actor=ACTOR, now=now())
            if not customers:
                break
            undone += customers
            step(len(customers))
    _print_undone(summary, undone, as_json=as_json)


def _print_undone(batch: batches.Batch, undone: list[UndoneCustomer], *, as_json: bool) -> None:
    gone = [vars(customer) for customer in undone if customer.gone or customer.expired or customer.waived]
    totals = {
        name: sum(getattr(customer, name) for customer in undone) for name in ("dust", "expired", "gone", "waived")
    }
    if as_json:
        print_json({"batch": batch.name, "customers": len(undone), **totals, "not_found": gone})
        return
    console.print(f"Reversed: {counted(totals['dust'], 'point')} of {counted(len(undone), 'customer')}.")
    if gone:
        console.print("These customers did not have all of them any more:")
        columns = ("customer_id", "dust", "expired", "gone", "waived", "balance")
        print_rows(gone[:_SHOWN], columns)
        if len(gone) > _SHOWN:
            console.print(f"and {len(gone) - _SHOWN} more: --json lists all of them")


@group.command(name="list")
def import_list(limit: Limit = 20, as_json: AsJson = False) -> None:
    """List imports, newest first. Example: dust import list"""
    with transaction() as connection:
        newest = batches.list_batches(connection, limit=limit)
    if as_json:
        print_json([vars(batch) for batch in newest])
        return
    rows = [{**vars(batch), "rows": sum(batch.rows.values()), "waiting": batch.waiting} for batch in newest]
    columns = ("name", "preset", "state", "rows", "waiting", "dust", "customers", "created_at")
    print_rows(rows, columns, empty="Nothing was imported.")


@group.command(name="show")
def import_show(batch: BatchName, as_json: AsJson = False) -> None:
    """Show one import, with its refused rows. Example: dust import show file-1a2b3c4d"""
    with transaction() as connection:
        summary = batches.read_batch(connection, batch)
        refused = [dict(row._mapping) for row in batches.refused_rows(connection, summary.id)]
    if as_json:
        print_json({**vars(summary), "refused": refused})
        return
    for name, value in vars(summary).items():
        say(f"{name:12} {value}")
    if refused:
        print_rows(refused, ("line", "field", "reason"))


def export(
    file: Annotated[Path | None, typer.Argument(help="The file. Default: standard output.", dir_okay=False)] = None,
    lots: Annotated[bool, typer.Option("--lots", help="One row for each lot, with its dates.")] = False,
    transactions: Annotated[bool, typer.Option("--transactions", help="One row for each ledger transaction.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write a JSON list instead of CSV.")] = False,
) -> None:
    """Write all balances as CSV, in the format that dust import reads. Example: dust export balances.csv --lots"""
    if lots and transactions:
        raise InvalidInput("Choose --lots or --transactions.")
    write = export_rows.lots if lots else export_rows.transactions if transactions else export_rows.balances
    with report_snapshot() as connection, whole_file(file) if file else nullcontext(sys.stdout) as out:
        lines = (_write_json if as_json else _write_csv)(write(connection), out)
    if file:
        console.print(f"{lines} rows are in {file}")


def _write_csv(rows: Iterator[export_rows.Cells], out: TextIO) -> int:
    """Write the column names and the rows; return the number of rows."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(next(rows))
    number = 0
    for row in rows:
        writer.writerow(map(safe_cell, row))
        number += 1
    return number


def _write_json(rows: Iterator[export_rows.Cells], out: TextIO) -> int:
    """Write a list of objects, each in its own line; return their number. Sums are decimals without places."""
    names = next(rows)
    number = 0
    out.write("[")
    for row in rows:
        document = {str(name): None if value == "" else value for name, value in zip(names, row, strict=True)}
        out.write(("," if number else "") + "\n" + json.dumps(document, default=int))
        number += 1
    out.write("\n]\n")
    return number
