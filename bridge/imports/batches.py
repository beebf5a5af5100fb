"""Post the rows of an import, up to 500 per transaction. `undo.py` takes them back.

A batch is stored with all of its rows before the first one is posted. From then on the rows' states say what is left to
do, and the file is not needed any more. Every step locks its batch, so concurrent runs have the effect of one. Each
posting has the key `import:<batch>:<line>`, which is unique in its customer's ledger.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, cast, func, or_, select, true, update

from bridge.db.advisory_locks import lock_names
from bridge.db.bulk import among, insert_rows
from bridge.db.rows import TypedRow
from bridge.errors import Conflict, NotFound, field_error
from bridge.ids import CustomerId, new_id
from bridge.imports.reading import Entry, Reading
from bridge.imports.tables import BatchState, RowState, import_batch, import_row
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import open_accounts, save

# Keeps locks and memory small; the work lost by a kill is repeated in a second.
ROWS_AT_ONCE = 500
REFERENCE = "import"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


class UnknownBatch(NotFound):
    """No import has this name or id."""

    code = "unknown_import"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no import {name}: `dust import list` names them.")


class ImportedBefore(Conflict):
    """The file or the name belongs to another import."""

    code = "imported_before"


class BatchIsUndone(Conflict):
    """The import is being undone, or is undone; nothing can be posted to it."""

    code = "import_undone"


@dataclass(frozen=True, kw_only=True)
class Batch(TypedRow):
    """An import and its state. `dust` is the sum in points that its rows brought, whatever happened to them since."""

    id: str
    name: str
    preset: str
    file_name: str
    state: BatchState
    actor: str
    created_at: datetime
    finished_at: datetime | None
    rows: dict[str, int]
    dust: int
    customers: int
    taken_back: int

    @property
    def waiting(self) -> int:
        return self.rows.get(RowState.WAITING, 0)


def default_name(file_name: str, sha256: str) -> str:
    """Return the default name of an import. The same file gets the same name, so a repeated import is recognised."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", file_name.rpartition(".")[0] or file_name).strip("-")
    return f"{stem[:80] or 'import'}-{sha256[:8]}"


def check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise field_error("batch", "use letters, digits, dots, dashes and underscores, 100 at most")
    return name


def find_earlier(connection: Connection, name: str, sha256: str, *, again: bool) -> Batch | None:
    """Return the import of this name and file, to be continued; None if it is a new one.

    Raises `ImportedBefore` if the name belongs to another file. Also if the file was imported under another name and
    `again` is not set.
    """
    live = import_batch.c.state != BatchState.UNDONE
    rows = connection.execute(
        select(import_batch).where(live, or_(import_batch.c.name == name, import_batch.c.file_sha256 == sha256))
    ).all()
    for row in rows:
        if row.name == name and row.file_sha256 != sha256:
            raise ImportedBefore(f"The import {name} is of another file: choose another --batch name.")
        if row.name == name:
            return read_batch(connection, row.id)
    if rows and not again:
        raise ImportedBefore(
            f"This file was imported as {rows[0].name} on {rows[0].created_at:%Y-%m-%d}: imported again,"
            " its points would count twice. Use --again when that is meant."
        )
    return None


def keep_batch(
    connection: Connection,
    reading: Reading,
    customers: dict[int, CustomerId],
    *,
    name: str,
    file_name: str,
    description: str,
    actor: str,
    now: datetime,
) -> str:
    """Store what is to be posted; return the id of the batch. Raises `ImportedBefore` if the name was taken."""
    # Of two concurrent runs the second waits here, and then finds the first one's batch.
    lock_names(connection, ["import_batch"])
    live = import_batch.c.state != BatchState.UNDONE
    if connection.scalar(select(import_batch.c.id).where(live, import_batch.c.name == name)) is not None:
        raise ImportedBefore(f"The import {name} has begun elsewhere: ask for it again to go on with it.")
    batch_id = new_id("dimp")
    connection.execute(
        import_batch.insert(),
        {
            "id": batch_id,
            "name": name,
            "preset": reading.preset.value,
            "file_name": file_name,
            "file_sha256": reading.sha256,
            "description": description,
            "state": BatchState.POSTING,
            "actor": actor,
            "created_at": now,
        },
    )
    insert_rows(connection, import_row, [_row(batch_id, entry, customers[entry.line]) for entry in reading.entries])
    refused = [
        {
            "batch_id": batch_id,
            "line": problem.line,
            "state": RowState.REFUSED,
            "field": problem.field,
            "reason": problem.message,
        }
        for problem in reading.problems
    ]
    insert_rows(connection, import_row, refused)
    return batch_id


def _row(batch_id: str, entry: Entry, customer_id: CustomerId) -> dict[str, Any]:
    return {
        "batch_id": batch_id,
        "line": entry.line,
        "customer_id": customer_id,
        "state": RowState.WAITING,
        "amount": entry.amount,
        "earned_at": entry.earned_at,
        "matures_at": entry.matures_at,
        "expires_at": entry.expires_at,
    }


def post_some(connection: Connection, batch_id: str, *, now: datetime) -> int:
    """Post the next waiting rows, up to `ROWS_AT_ONCE`, and return how many; 0 means that the batch is posted.

    Raises `UnknownBatch`, `BatchIsUndone`.
    """
    batch = lock_batch(connection, batch_id)
    if batch.state in {BatchState.UNDOING, BatchState.UNDONE}:
        raise BatchIsUndone(f"The import {batch.name} is {batch.state}.")
    rows = connection.execute(
        select(import_row)
        .where(import_row.c.batch_id == batch_id, import_row.c.state == RowState.WAITING)
        .order_by(import_row.c.line)
        .limit(ROWS_AT_ONCE)
    ).all()
    if not rows:
        set_state(connection, batch, BatchState.POSTED, now=now)
        return 0
    accounts = open_accounts(connection, {CustomerId(row.customer_id) for row in rows}, lots=False)
    for row in rows:
        accounts[CustomerId(row.customer_id)].earn(
            row.amount,
            PostingDetails(
                kind=Kind.IMPORT,
                reference_type=REFERENCE,
                reference_id=batch_id,
                description=batch.description,
                event_at=row.earned_at or now,
                actor=batch.actor,
                idempotency_key=f"import:{batch_id}:{row.line}",
            ),
            now=now,
            matures_at=row.matures_at,
            expires_at=row.expires_at,
        )
    save(connection, accounts.values())
    connection.execute(
        update(import_row)
        .where(import_row.c.batch_id == batch_id, among(import_row.c.line, [row.line for row in rows]))
        .values(state=RowState.POSTED)
    )
    return len(rows)


def lock_batch(connection: Connection, batch_id: str) -> Row[Any]:
    row = connection.execute(select(import_batch).where(import_batch.c.id == batch_id).with_for_update()).one_or_none()
    if row is None:
        raise UnknownBatch(batch_id)
    return row


def set_state(connection: Connection, batch: Row[Any], state: BatchState, *, now: datetime) -> None:
    if batch.state != state:
        finished = now if state in {BatchState.POSTED, BatchState.UNDONE} else None
        row = update(import_batch).where(import_batch.c.id == batch.id)
        connection.execute(row.values(state=state, finished_at=finished))


def read_batch(connection: Connection, name_or_id: str) -> Batch:
    """Return an import by id or name; of equal names the one that is not undone, else the newest.

    Raises `UnknownBatch`.
    """
    named = select(import_batch.c.id).where(or_(import_batch.c.id == name_or_id, import_batch.c.name == name_or_id))
    live_first = named.order_by(import_batch.c.state == BatchState.UNDONE, import_batch.c.id.desc()).limit(1)
    batch_id = connection.scalar(live_first)
    if batch_id is None:
        raise UnknownBatch(name_or_id)
    return _read(connection, import_batch.c.id == batch_id)[0]


def list_batches(connection: Connection, *, limit: int) -> list[Batch]:
    """List imports, newest first."""
    newest = select(import_batch.c.id).order_by(import_batch.c.id.desc()).limit(limit)
    return _read(connection, import_batch.c.id.in_(newest))


def refused_rows(connection: Connection, batch_id: str) -> list[Row[Any]]:
    """Return the refused rows with field and reason, by line."""
    query = select(import_row.c.line, import_row.c.field, import_row.c.reason).where(
        import_row.c.batch_id == batch_id, import_row.c.state == RowState.REFUSED
    )
    return list(connection.execute(query.order_by(import_row.c.line)))


def _read(connection: Connection, condition: Any) -> list[Batch]:
    brought = import_row.c.state.in_([RowState.POSTED, RowState.UNDONE])
    sums = (
        select(
            cast(func.coalesce(func.sum(import_row.c.amount).filter(brought), 0), BigInteger).label("dust"),
            func.count(import_row.c.customer_id.distinct()).filter(brought).label("customers"),
            cast(func.coalesce(func.sum(import_row.c.taken_back), 0), BigInteger).label("taken_back"),
        )
        .where(import_row.c.batch_id == import_batch.c.id)
        .lateral()
    )
    query = select(import_batch, sums).join(sums, true()).where(condition).order_by(import_batch.c.id.desc())
    batches = connection.execute(query).all()
    counted = (
        select(import_row.c.batch_id, import_row.c.state, func.count().label("rows"))
        .where(among(import_row.c.batch_id, [batch.id for batch in batches]))
        .group_by(import_row.c.batch_id, import_row.c.state)
    )
    rows: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(counted):
        rows[row.batch_id][row.state.value] = row.rows
    return [Batch.from_row(batch, rows=rows[batch.id]) for batch in batches]
