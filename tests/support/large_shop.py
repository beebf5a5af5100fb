"""A shop with 5,000 members and 50,000 orders, written straight into a database in a few seconds.

Balances, postings, lots, redemptions, orders and events agree with each other, but the hashes of the ledger are made
up, so the audit would refuse it. To look at it in a dashboard:

    python -m tests.support.large_shop postgresql://…
"""

import sys
from datetime import datetime

import psycopg

from bridge.clock import now

MEMBERS = 5_000
ORDERS_EACH = 10

# Ten orders of each member, 70 days apart. Every second member pays for the fifth and the tenth one with the points of
# the order before, all of them.
_SHOP = """
CREATE TEMP TABLE shop AS
SELECT n, m, 'cus_' || lpad(n::text, 6, '0') AS customer_id,
       'order_' || lpad(n::text, 6, '0') || '_' || lpad(m::text, 3, '0') AS order_id,
       'dred_' || lpad(m::text, 3, '0') || lpad(n::text, 6, '0') AS redemption_id,
       %(now)s::timestamptz - INTERVAL '1 hour' - ((%(orders)s - m) * 70 + n %% 70) * INTERVAL '1 day' AS placed_at,
       10 + (n * m * 37) %% 90 AS points, 10 + (n * (m - 1) * 37) %% 90 AS points_before,
       CASE WHEN n %% 20 = 0 THEN 'usd' ELSE 'eur' END AS currency_code,
       n %% 2 = 0 AND m %% 5 = 0 AS redeems
FROM generate_series(1, %(members)s) n, generate_series(1, %(orders)s) m;

CREATE TEMP TABLE book AS
SELECT shop.*, seq, kind, amount, held, row_number() OVER theirs AS version,
       sum(amount) OVER theirs AS balance_after, sum(held) OVER theirs AS held_after
FROM shop CROSS JOIN LATERAL (
    VALUES (1, 'hold', 0, points_before), (2, 'redeem', -points_before, -points_before), (3, 'earn', points, 0)
) AS posting (seq, kind, amount, held)
WHERE kind = 'earn' OR redeems
WINDOW theirs AS (PARTITION BY n ORDER BY m, seq);
"""
_LEDGER = """
INSERT INTO dust_transaction (
    customer_id, version, id, amount, held, pending, type, kind, reference_type, reference_id, order_id, description,
    balance_after, held_after, pending_after, programme_version, actor, event_at, created_at, hash)
SELECT customer_id, version, 'dtx_' || order_id || seq, amount, held, 0,
       CASE sign(amount) WHEN 1 THEN 'credit' WHEN -1 THEN 'debit' ELSE 'memo' END, kind,
       CASE kind WHEN 'earn' THEN 'order' ELSE 'redemption' END,
       CASE kind WHEN 'earn' THEN order_id ELSE redemption_id END, CASE kind WHEN 'redeem' THEN order_id END,
       CASE kind WHEN 'earn' THEN 'Earned with an order' ELSE 'Points spent on an order (' || order_id || ')' END,
       balance_after, held_after, 0, 1, 'dust', placed_at, placed_at, sha256(convert_to(order_id || seq, 'UTF8'))
FROM book;

INSERT INTO dust_lot (customer_id, id, origin_version, source_type, source_id, amount, remaining, held, matured,
                      expires_at, created_at)
SELECT customer_id, 'dlot_' || order_id, version, 'order', order_id, points,
       CASE WHEN n % 2 = 0 AND (m + 1) % 5 = 0 THEN 0 ELSE points END, 0, true,
       placed_at + INTERVAL '800 days', placed_at
FROM book WHERE kind = 'earn';

INSERT INTO dust_lot_use (customer_id, version, lot_id, remaining, held)
SELECT customer_id, version,
       'dlot_order_' || lpad(n::text, 6, '0') || '_'
           || lpad((CASE kind WHEN 'earn' THEN m ELSE m - 1 END)::text, 3, '0'),
       amount, held
FROM book;

INSERT INTO dust_balance (customer_id, balance, version, head, updated_at)
SELECT DISTINCT ON (t.customer_id) t.customer_id, t.balance_after, t.version, t.hash, t.created_at
FROM dust_transaction t JOIN shop ON shop.customer_id = t.customer_id AND m = 1
ORDER BY t.customer_id, t.version DESC;

INSERT INTO ledger_total (kind, postings, credited, debited, held, pending)
SELECT kind, count(*), sum(greatest(amount, 0)), sum(greatest(-amount, 0)), sum(held), 0 FROM book GROUP BY kind;
"""
_ORDERS = """
INSERT INTO order_settlement (
    order_id, customer_id, facts_version, facts_updated_at, facts_money, revision, programme_version, earning_due,
    booked, worth, spent, currency_code, paid, lines, order_number, placed_at, updated_at)
SELECT order_id, customer_id, 1, placed_at, points, 1, 1, true, points, points, points, currency_code, true,
       jsonb_build_object('ordli_' || order_id, jsonb_strip_nulls(jsonb_build_object(
           'dust_only', false, 'points', points::text, 'factor', '1',
           'codes', CASE WHEN redeems THEN jsonb_build_object(
               'DUST-' || redemption_id, jsonb_build_object('ordered', '1', 'amount', '1', 'units', '0')) END))),
       (n * 100 + m)::text, placed_at, placed_at
FROM shop;

INSERT INTO dust_redemption (
    id, customer_id, state, dust, dust_captured, value, currency_code, kind, order_id, expires_at, programme_version,
    idempotency_key, request_hash, created_at, updated_at)
SELECT redemption_id, customer_id, 'captured', points_before, points_before, points_before / 100.0, currency_code,
       'fixed', order_id, placed_at + INTERVAL '1 hour', 1, redemption_id, 'hash', placed_at, placed_at
FROM shop WHERE redeems;

INSERT INTO dust_redemption_code (code, redemption_id, dust, value, promotion_id, order_id, dust_captured)
SELECT 'DUST-' || redemption_id, redemption_id, points_before, points_before / 100.0, 'promo_' || redemption_id,
       order_id, points_before
FROM shop WHERE redeems;

INSERT INTO referral (customer_id, id, referrer_id, programme_version, stated_at, order_id, qualified_at)
SELECT customer_id, 'dref_' || n, 'cus_' || lpad((n - 1)::text, 6, '0'), 1, placed_at - INTERVAL '1 day', order_id,
       placed_at
FROM shop WHERE n %% 25 = 0 AND m = 1;

INSERT INTO cart_forecast (cart_id, dust, programme_version, cart_hash, quoted_at, order_id, earned, outcome,
                           settled_at)
SELECT 'cart_' || order_id, points, 1, 'hash', placed_at, order_id, points, 'kept', placed_at
FROM shop WHERE m = %(orders)s;

INSERT INTO daily_close (day, outstanding, owed_by_customers, held, pending, escrow, customers, movements, value,
                         programme_version, digest, closed_at)
SELECT (%(now)s::timestamptz - day * INTERVAL '1 day')::date, 1, 0, 0, 0, 0, 1, '{"earn": 1}', '{"eur": "0.01"}', 1,
       sha256(convert_to(day::text, 'UTF8')), %(now)s
FROM generate_series(1, 700) day ON CONFLICT DO NOTHING;
"""
_EVENTS = """
INSERT INTO webhook_event (id, type, subject, source, payload, event_at, received_at, state, attempts, next_attempt_at,
                           error_code, reason, handled_at)
SELECT 'msg_' || order_id, 'order.placed', order_id, 'webhook', convert_to(repeat('{"id": "order"} ', 60), 'UTF8'),
       placed_at, placed_at, state, 1, CASE state WHEN 'pending' THEN placed_at END,
       CASE state WHEN 'failed' THEN 'cause_' || m END, CASE state WHEN 'failed' THEN 'It cannot be read.' END,
       CASE state WHEN 'handled' THEN placed_at END
FROM (SELECT *, CASE WHEN n %% 100 = 0 AND m <= 3 THEN 'failed' WHEN n %% 100 = 1 AND m = 1 THEN 'pending'
                     ELSE 'handled' END AS state FROM shop) events;

INSERT INTO outgoing_webhook (id, type, customer_id, version, data, created_at, state, attempts, give_up_at,
                              delivered_at)
SELECT 'msg_' || order_id, 'dust.earned', customer_id, m, '{"amount": 1}', placed_at, 'delivered', 1, placed_at,
       placed_at
FROM shop ORDER BY placed_at;

INSERT INTO guest_escrow (order_id, email_hash, state, dust, placed_at, expires_at, updated_at)
SELECT 'order_guest_' || n, sha256(convert_to(n::text, 'UTF8')), 'waiting', 10, %(now)s, %(now)s + INTERVAL '90 days',
       %(now)s
FROM generate_series(1, %(members)s) n;
INSERT INTO guest_escrow_entry (order_id, amount, kind, created_at)
SELECT order_id, dust, 'escrowed', placed_at FROM guest_escrow WHERE order_id LIKE 'order_guest_%%';

INSERT INTO dust_product (product_id, dust_only, dust_price, updated_by, created_at, updated_at)
SELECT 'prod_' || lpad(n::text, 6, '0'), n %% 2 = 0, n, 'user_1', %(now)s, %(now)s
FROM generate_series(1, %(members)s) n;
"""
# The tables that `clear` empties, because the made-up hashes would fail the audit.
_TABLES = (
    "dust_transaction", "dust_lot", "dust_lot_use", "dust_balance", "ledger_total", "order_settlement",
    "dust_redemption", "dust_redemption_code", "referral", "cart_forecast", "daily_close", "webhook_event",
    "webhook_attempt", "outgoing_webhook", "outgoing_delivery", "guest_escrow", "guest_escrow_entry", "dust_product",
)  # fmt: skip


def fill(owner: psycopg.Connection, *, moment: datetime, members: int = MEMBERS, orders: int = ORDERS_EACH) -> None:
    """Write the shop as it is at `moment`. The connection is that of the tables' owner, and commits by itself."""
    values = {"now": moment, "members": members, "orders": orders}
    with psycopg.ClientCursor(owner) as cursor:
        for script in (_SHOP, _LEDGER, _ORDERS, _EVENTS):
            cursor.execute(script, values if "%(" in script else None)
        cursor.execute("DROP TABLE shop, book; ANALYZE")


def clear(owner: psycopg.Connection) -> None:
    """Empty the tables that `fill` has filled, with the ledger's triggers disabled."""
    owner.execute(
        f"SET session_replication_role = replica; TRUNCATE {', '.join(_TABLES)}; SET session_replication_role = origin"
    )


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        fill(connection, moment=now())
