"""Totals of the whole ledger, without a scan: `save` inserts rows of sums, `fold` merges them."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, Connection, cast, func, select, text
from sqlalchemy.dialects.postgresql import insert

from bridge.ledger.postings import Posting
from bridge.ledger.tables import dust_balance, ledger_total

_FIGURES = ("postings", "credited", "debited", "held", "pending")


@dataclass(frozen=True, kw_only=True)
class KindTotal:
    """Totals of all ledger rows of one kind: their count, and what they changed."""

    kind: str
    postings: int
    credited: int
    debited: int
    held: int
    pending: int


def add_to_totals(connection: Connection, postings: Iterable[Posting]) -> None:
    """Add these postings to the totals: one statement, a row per kind."""
    sums: dict[str, dict[str, int]] = {}
    for posting in postings:
        figures = sums.setdefault(posting.details.kind, dict.fromkeys(_FIGURES, 0))
        figures["postings"] += 1
        figures["credited"] += max(posting.amount, 0)
        figures["debited"] += max(-posting.amount, 0)
        figures["held"] += posting.held
        figures["pending"] += posting.pending
    if sums:
        connection.execute(insert(ledger_total).values([{"kind": kind, **figures} for kind, figures in sums.items()]))


def fold(connection: Connection) -> int:
    """Merge the rows of each kind into one; return how many rows were merged. Safe to run concurrently.

    It is a single statement: rows inserted meanwhile are not seen and stay as they are.
    """
    statement = """
        WITH gone AS (DELETE FROM ledger_total RETURNING *),
             kept AS (
                INSERT INTO ledger_total (kind, postings, credited, debited, held, pending)
                SELECT kind, sum(postings), sum(credited), sum(debited), sum(held), sum(pending)
                FROM gone GROUP BY kind)
        SELECT count(*) FROM gone
    """
    return int(connection.scalar(text(statement)) or 0)


def read_kind_totals(connection: Connection) -> list[KindTotal]:
    """Return the totals of each kind of posting. Cheap: no row of the ledger is read."""
    query = select(ledger_total.c.kind, *map(_sum, _FIGURES))
    rows = connection.execute(query.group_by(ledger_total.c.kind).order_by(ledger_total.c.kind))
    return [KindTotal(**row._mapping) for row in rows]


def read_debt(connection: Connection) -> int:
    """Return the total debt of all customers, from an index of those in debt."""
    return int(connection.scalar(select(func.sum(dust_balance.c.debt)).where(dust_balance.c.debt > 0)) or 0)


def _sum(name: str) -> ColumnElement[int]:
    # Postgres sums BIGINT as NUMERIC.
    return cast(func.sum(ledger_total.c[name]), BigInteger).label(name)
