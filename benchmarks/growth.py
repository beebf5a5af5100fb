"""Reading and posting with ten million rows in the ledger, beside the same with ten thousand.

Simplified: the rows of `dust_transaction` and `dust_balance` are made by Postgres itself, with figures that add up but
hashes that chain to nothing and one open lot for each customer; inbox and settled orders are not made to match.
"""

import random
import time
from statistics import median

from benchmarks.deliveries import customer_name, fill_inbox, read
from benchmarks.figures import Figure, Outcome, Scale
from benchmarks.house import House, a_house
from benchmarks.load import send
from benchmarks.plans import read_whole
from bridge.inbox.drain import drain_once
from tests.support.tokens import token

ROWS_OF_A_CUSTOMER, SMALL_ROWS, MOST = 50, 10_000, 1.25
READERS, POSTINGS, ROUNDS = 2_000, 3_000, 3
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


def measure(scale: Scale) -> Outcome:
    with a_house(_QUICK_BUILD) as house:
        small = _pace(house, SMALL_ROWS, scale)
        started = time.perf_counter()
        large = _pace(house, scale.ledger_rows, scale)
        lasted = time.perf_counter() - started
        whole = read_whole(house, scale.ledger_rows // ROWS_OF_A_CUSTOMER)
        size = house.scalar("SELECT pg_total_relation_size('dust_transaction')") / 2**30
    return Outcome(
        figures=[
            Figure(
                measure=NAME, name=f"{what} at {scale.ledger_rows:,} rows", value=large[what], unit="µs each",
                limit=small[what] * MOST, at_most=True, limit_is=f"{MOST} times {small[what]:.0f} at {SMALL_ROWS:,}",
            )
            for what in small
        ]
        + [
            Figure(
                measure=NAME, name=f"work that reads a whole table at {scale.ledger_rows:,} rows", value=len(whole),
                unit="", limit=0, at_most=True,
            )
        ],
        notes=[
            f"{scale.ledger_rows // ROWS_OF_A_CUSTOMER:,} customers, {size:.1f} GiB of ledger, built and measured in "
            f"{lasted:.0f} s; made by INSERT … SELECT without a chain of hashes; the median of {ROUNDS} rounds",
            *(f"reads all of {each}" for each in whole),
        ],
    )  # fmt: skip


def _pace(house: House, rows: int, scale: Scale) -> dict[str, float]:
    """Microseconds of a balance read (32 connections) and of a posting (one process, batches), with so many rows."""
    customers = rows // ROWS_OF_A_CUSTOMER
    _build(house, customers)
    chance = random.Random(rows)
    return {
        "balance read": _reading(house, customers, chance, scale),
        "posting": _posting(house, customers, chance, rows),
    }


def _reading(house: House, customers: int, chance: random.Random, scale: Scale) -> float:
    readers = [customer_name(chance.randrange(customers)) for _ in range(READERS)]
    requests = [read("/store/dust/balance", token(name)) for name in readers]
    with house.serving() as (port, _):
        send(port, lambda n: requests[n % READERS], connections=32, seconds=3)
        seconds = scale.comparison_seconds / ROUNDS
        return median(
            1e6 / send(port, lambda n: requests[n % READERS], connections=32, seconds=seconds).rate
            for _ in range(ROUNDS)
        )


def _posting(house: House, customers: int, chance: random.Random, rows: int) -> float:
    paces = []
    for number in range(ROUNDS + 1):
        with house.connect() as connection:
            # Numbers of their own for each build, so that no order is met again.
            first = rows * 1_000 + number * POSTINGS
            fill_inbox(connection, POSTINGS, customer=lambda _: chance.randrange(customers), first=first)
        house.checkpoint()
        started = time.perf_counter()
        while drain_once().taken:
            pass
        paces.append((time.perf_counter() - started) / POSTINGS * 1e6)
    # The first round fills caches.
    return median(paces[1:])


def _build(house: House, customers: int) -> None:
    """Without indexes, which are made at the end as the migrations have made them."""
    with house.connect() as connection:
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
            customers=customers, each=ROWS_OF_A_CUSTOMER, drop="\n".join(drop), create="\n".join(create)
        )
        connection.execute(script)  # type: ignore[call-overload]
        connection.execute("VACUUM ANALYZE dust_transaction, dust_balance, dust_lot")
    house.checkpoint()
