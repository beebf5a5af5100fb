"""Read and post with ten million rows in the ledger, and compare with ten thousand.

Simplified: the rows of `dust_transaction` and `dust_balance` are made by Postgres itself, with figures that add up but
hashes that chain to nothing and one open lot for each customer; inbox and settled orders are not made to match.

The small ledger has a row for each of its customers, and not 50 as the large one: so a batch of 500 events is of some
490 customers in both. Of 200 customers it would open 184 accounts, and be a quarter quicker for that alone.
"""

import random
import time
from dataclasses import dataclass
from functools import partial
from statistics import median

from benchmarks.deliveries import customer_name, fill_inbox, read
from benchmarks.figures import Figure, Outcome, Scale
from benchmarks.installation import Installation, new_installation
from benchmarks.load import send
from benchmarks.plans import read_whole
from bridge.inbox.process_batch import BATCH_SIZE, process_batch
from tests.support.tokens import token

SMALL_ROWS, ROWS_OF_A_CUSTOMER, MOST = 10_000, 50, 1.25
READERS, POSTINGS, ROUNDS = 2_000, 3_000, 11
NAME = "growth"

# With this, what a transaction writes into a table that it has emptied itself needs no log: the files are synced.
_QUICK_BUILD = {"wal_level": "minimal", "max_wal_senders": "0", "maintenance_work_mem": "256MB"}
_BUILD = """
    BEGIN;
    ALTER TABLE dust_transaction DISABLE TRIGGER USER;
    TRUNCATE dust_transaction, dust_balance, dust_lot;
    {drop}
    INSERT INTO dust_balance (customer_id, balance, version, head)
        SELECT 'cus_' || lpad(n::text, 26, '0'), {each} * 47, {each}, sha256(int8send(n))
        FROM generate_series(0, {customers} - 1) AS n;
    INSERT INTO dust_lot (customer_id, id, origin_version, source_type, source_id, amount, remaining, held, matured,
            expires_at, created_at)
        SELECT customer_id, 'dlot_' || substr(customer_id, 5), 1, 'order', 'order_0', balance, balance, 0, true,
            now() + interval '1 year', now()
        FROM dust_balance;
    INSERT INTO dust_transaction (customer_id, version, id, amount, held, pending, type, kind, reference_type,
            reference_id, description, balance_after, held_after, pending_after, programme_version, actor, event_at,
            created_at, hash)
        SELECT 'cus_' || lpad(n::text, 26, '0'), v, 'dtx_' || lpad((n * {each} + v)::text, 26, '0'), 47, 0, 0, 'credit',
            'earn', 'order', 'order_old' || lpad((n * {each} + v)::text, 23, '0'), 'Earned with an order', v * 47, 0, 0,
            0, 'dust', now(), now(), sha256(int8send(n * {each} + v))
        FROM generate_series(0, {customers} - 1) AS n, generate_series(1, {each}) AS v;
    {create}
    ALTER TABLE dust_transaction ENABLE TRIGGER USER;
    COMMIT;
"""


@dataclass(frozen=True, kw_only=True)
class _Book:
    """Start an installation with a ledger of this size."""

    installation: Installation
    rows: int
    customers: int
    chance: random.Random


def measure(scale: Scale) -> Outcome:
    with new_installation(_QUICK_BUILD) as small_installation, new_installation(_QUICK_BUILD) as large_installation:
        small = _Book(installation=small_installation, rows=SMALL_ROWS, customers=SMALL_ROWS, chance=random.Random(1))
        customers = scale.ledger_rows // ROWS_OF_A_CUSTOMER
        large = _Book(
            installation=large_installation, rows=scale.ledger_rows, customers=customers, chance=random.Random(2)
        )
        for book in (small, large):
            _build(book)
        reads, postings = _reading(small, large, scale), _posting(small, large)
        with large.installation.in_this_process():
            scans = read_whole(large.installation, large.customers)
        size = large.installation.scalar("SELECT pg_total_relation_size('dust_transaction')") / 2**30
    return Outcome(
        figures=[
            _longer("balance read", reads, scale),
            _longer("posting", postings, scale),
            Figure(
                measure=NAME, name=f"work that reads a whole table at {scale.ledger_rows:,} rows", value=len(scans),
                unit="", limit=0, at_most=True,
            ),
        ],
        notes=[
            f"{large.customers:,} customers, {size:.1f} GiB of ledger, by INSERT … SELECT without a chain of hashes",
            f"the two sizes in turns, {ROUNDS} rounds each; a ratio is the median of those of the rounds: balance read "
            f"{_spread(reads)}, posting {_spread(postings)}",
            *(f"reads all of {row}" for row in scans),
        ],
    )  # fmt: skip


# Of each round, microseconds with the small book and with the large one.
_Rounds = list[tuple[float, float]]


def _longer(name: str, rounds: _Rounds, scale: Scale) -> Figure:
    small, large = (median(column) for column in zip(*rounds, strict=True))
    return Figure(
        measure=NAME, name=f"{name} at {scale.ledger_rows:,} rows", value=median(_ratios(rounds)), unit="times as long",
        limit=MOST, at_most=True, limit_is=f"{large:.0f} µs; at {SMALL_ROWS:,} rows {small:.0f}",
    )  # fmt: skip


def _ratios(rounds: _Rounds) -> list[float]:
    return [large / small for small, large in rounds]


def _spread(rounds: _Rounds) -> str:
    return f"{min(_ratios(rounds)):.2f} to {max(_ratios(rounds)):.2f}"


def _reading(small: _Book, large: _Book, scale: Scale) -> _Rounds:
    """Balances over 32 connections, new ones in each round: how they fall to the API's processes is chance."""
    with small.installation.serving() as (small_port, _), large.installation.serving() as (large_port, _):
        turns = [(small_port, _requests(small)), (large_port, _requests(large))]
        for port, requests in turns:
            _read(port, requests, seconds=3)
        seconds = scale.comparison_seconds / ROUNDS
        return [(_read(*turns[0], seconds=seconds), _read(*turns[1], seconds=seconds)) for _ in range(ROUNDS)]


def _requests(book: _Book) -> list[bytes]:
    readers = [customer_name(book.chance.randrange(book.customers)) for _ in range(READERS)]
    return [read("/store/dust/balance", token(name)) for name in readers]


def _read(port: int, requests: list[bytes], *, seconds: float) -> float:
    return 1e6 / send(port, lambda n: requests[n % READERS], connections=32, seconds=seconds).rate


def _posting(small: _Book, large: _Book) -> _Rounds:
    """By one process, in batches, between two checkpoints, as it is nearly always. The first rounds fill caches.

    Right after a checkpoint the log has all of every page that changes for the first time, and there are more of them
    with the large ledger.
    """
    return [(_post(small, number), _post(large, number)) for number in range(ROUNDS + 2)][2:]


def _post(book: _Book, number: int) -> float:
    with book.installation.in_this_process(), book.installation.connect() as connection:
        # Numbers of their own for each round, so that no order is met again.
        first = book.rows * 1_000 + number * 2 * POSTINGS
        fill = partial(fill_inbox, connection, customer=lambda _: book.chance.randrange(book.customers))
        # Connections and plans are there before it counts.
        fill(BATCH_SIZE, first=first + POSTINGS)
        process_batch()
        fill(POSTINGS, first=first)
        started = time.perf_counter()
        while process_batch().taken:
            pass
        return (time.perf_counter() - started) / POSTINGS * 1e6


def _build(book: _Book) -> None:
    """Without indexes, which are made at the end as the migrations have made them."""
    with book.installation.connect() as connection:
        indexes = connection.execute(
            "SELECT indexname, indexdef, conname, pg_get_constraintdef(c.oid) FROM pg_indexes"
            " LEFT JOIN pg_constraint c ON conname = indexname AND conrelid = 'dust_transaction'::regclass"
            " WHERE tablename = 'dust_transaction'"
        ).fetchall()
        drop, create = [], []
        for name, definition, constraint, clause in indexes:
            if constraint:
                drop.append(f"ALTER TABLE dust_transaction DROP CONSTRAINT {name};")
                create.append(f"ALTER TABLE dust_transaction ADD CONSTRAINT {name} {clause};")
            else:
                drop.append(f"DROP INDEX {name};")
                create.append(f"{definition};")
        script = _BUILD.format(
            customers=book.customers, each=book.rows // book.customers, drop="\n".join(drop), create="\n".join(create)
        )
        connection.execute(script)
        connection.execute("VACUUM ANALYZE dust_transaction, dust_balance, dust_lot")
    book.installation.checkpoint()
