"""Check that frequent queries still use indexes when the tables are large.

Nothing is timed and no plan is read: each piece of work is done as Dust does it, then undone, and Postgres says how
often a large table was read from end to end meanwhile.
"""

import secrets
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Connection, text

from benchmarks.deliveries import body, customer_name, order_name
from benchmarks.installation import Installation
from bridge.clock import now
from bridge.db import get_engine
from bridge.ids import CustomerId, OrderId
from bridge.inbox import process_batch, queries
from bridge.inbox.erasure import erase_customer
from bridge.inbox.events import read_event
from bridge.inbox.list_filter import EventFilter
from bridge.inbox.process_one import mark_handled
from bridge.inbox.receive import receive
from bridge.inbox.retention import strip_old_bodies
from bridge.inbox.tables import EventState
from bridge.ledger.outgoing_webhooks import announce_expiring
from bridge.ledger.queries import read_balances, read_transactions
from bridge.ledger.store import customers_with_due_lots, open_accounts, reserved_lots, transaction_by_key
from bridge.redemptions.repository import due_redemptions, list_redemptions, oldest_pending, redemptions_of_orders
from bridge.reports.explain import explain
from bridge.settlement.claims import claimable_by_proof
from bridge.settlement.escrow import due_escrows, expire_escrows
from bridge.settlement.settle import settle_orders

LARGE_ROWS = 100_000
# What else is there once a ledger has become large: events, orders and redemptions, one for each customer.
_FILL = """
    INSERT INTO webhook_event (id, type, subject, source, payload, event_at, received_at, state, handled_at)
        SELECT 'msg_old' || n, 'order.placed', 'order_old' || n, 'webhook', '{{}}', now(), now() - interval '60 days',
            'handled', now() - interval '60 days'
        FROM generate_series(1, {customers}) AS n;
    INSERT INTO order_settlement (order_id, customer_id, facts_version, facts_updated_at, programme_version,
            earning_due, booked, worth, paid, placed_at, updated_at)
        SELECT 'order_old' || n, 'cus_' || lpad((n - 1)::text, 26, '0'), 1, now(), 0, true, 47, 47, true, now(), now()
        FROM generate_series(1, {customers}) AS n;
    INSERT INTO dust_redemption (id, customer_id, state, kind, dust, dust_captured, expires_at, programme_version,
            idempotency_key, request_hash, created_at, updated_at)
        SELECT 'dred_old' || n, 'cus_' || lpad((n - 1)::text, 26, '0'), 'released', 'fixed', 5, 0, now(), 0, n, '',
            now(), now()
        FROM generate_series(1, {customers}) AS n;
    INSERT INTO dust_redemption_code (code, redemption_id, dust)
        SELECT 'DUST-OLD' || n, 'dred_old' || n, 5 FROM generate_series(1, {customers}) AS n;
"""

Work = Callable[[Connection], object]


def read_whole(installation: Installation, customers: int) -> list[str]:
    """Return each query that scanned a large table, with the table."""
    with installation.connect() as connection:
        connection.execute(_FILL.format(customers=customers))
        connection.execute("VACUUM ANALYZE")
    return [f"{name}: {table}" for name, work in _work(customers).items() for table in _scanned(work)]


def _scanned(work: Work) -> list[str]:
    """Return the large tables that this function scanned. Its changes are rolled back."""
    counted = text(
        "SELECT t.relname FROM pg_stat_xact_user_tables t JOIN pg_class c ON c.oid = t.relid"
        " WHERE seq_scan > 0 AND reltuples >= :large ORDER BY t.relname"
    )
    with get_engine().connect() as connection, connection.begin() as transaction:
        work(connection)
        tables = list(connection.scalars(counted, {"large": LARGE_ROWS}))
        transaction.rollback()
    return tables


def _work(customers: int) -> dict[str, Work]:
    """By name. Those concerned are spread over all customers."""
    customer_ids = [CustomerId(customer_name(number)) for number in range(0, customers, max(1, customers // 400))]
    customer_id, moment = customer_ids[len(customer_ids) // 2], now()
    first = 10**12
    orders = []
    for number, buyer in enumerate(customer_ids):
        order = read_event(body(first + number, int(buyer.removeprefix("cus_")))).snapshot(
            needs=frozenset(), now=moment
        )
        assert order is not None
        orders.append(order)
    sent = read_event(body(first, 1))

    def receive_and_handle(connection: Connection) -> None:
        receive(connection, "msg_new", sent, body(first, 1), now=moment)
        taken = process_batch.lock_due(connection)
        mark_handled(connection, {row.id: "It was read." for row in taken})

    return {
        "an event in and out": receive_and_handle,
        "settling orders": lambda c: settle_orders(c, orders, now=moment),
        "settling them again": lambda c: [settle_orders(c, orders, now=moment) for _ in range(2)],
        "opening accounts with their lots": lambda c: open_accounts(c, customer_ids),
        "balances": lambda c: read_balances(c, customer_ids[:32]),
        "a history": lambda c: read_transactions(c, customer_id, limit=20, memos=False),
        "explain": lambda c: explain(c, customer_id),
        "a row by its key": lambda c: transaction_by_key(c, customer_id, "bonus:signup"),
        "redemptions of orders": lambda c: redemptions_of_orders(
            c, codes=[secrets.token_hex(8) for _ in customer_ids], order_ids=[OrderId(order_name(first))], lock=True
        ),
        "what a redemption holds": lambda c: reserved_lots(c, customer_id, "dred_old7"),
        "redemptions of a customer": lambda c: list_redemptions(c, customer_id=customer_id, limit=20),
        "redemptions that are due": lambda c: due_redemptions(c, now=moment, limit=100),
        "the oldest pending redemption": oldest_pending,
        "lots that are due": lambda c: customers_with_due_lots(c, moment, 200),
        "lots that end soon": lambda c: announce_expiring(c, days=14, now=moment, customers=200),
        "guests whose wait is over": lambda c: expire_escrows(c, due_escrows(c, now=moment, limit=500), now=moment),
        "guests who are known now": lambda c: claimable_by_proof(c, now=moment, limit=500),
        "the oldest event": queries.oldest_waiting,
        "failed events": lambda c: queries.list_events(c, EventFilter(state=EventState.FAILED), limit=50),
        "the newest events": lambda c: queries.list_events(c, EventFilter(), limit=50),
        "events of an order": lambda c: queries.list_events(c, EventFilter(subject="order_old7"), limit=50),
        "old bodies": lambda c: strip_old_bodies(c, before=moment - timedelta(days=30), limit=1000),
        "forgetting a customer": lambda c: erase_customer(c, customer_id, actor="benchmark", now=moment),
    }
