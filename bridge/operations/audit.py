"""Audit: checks the invariants of the data (docs/explanation/guarantees.md). Each violation is a `Breach`.

The checks read one snapshot of the database, so they can run under any load.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, select, text

from bridge.clock import now
from bridge.db import transaction
from bridge.inbox.compare_with_medusa import compare_sample
from bridge.ledger.postings import GENESIS, chain_hash
from bridge.ledger.tables import dust_transaction
from bridge.medusa.client import Medusa
from bridge.redemptions.repository import codes_closed_since
from bridge.reports.closes import differences, newest_close
from bridge.reports.reading import reading

# Codes of redemptions that were closed earlier have been checked often enough.
_MEDUSA_LOOK_BACK = timedelta(days=2)
# A redemption that is this late has not just missed one sweep.
_REDEMPTION_GRACE = timedelta(minutes=15)
# Longer than any retry interval: an event that is overdue for longer is not being processed.
_EVENT_GRACE = timedelta(hours=1)
# The sweep runs every minute.
_SWEEP_GRACE = timedelta(hours=1)
_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, kw_only=True)
class Breach:
    """A violated invariant. `subject` is the id of the customer, order, redemption, … that it concerns."""

    check: str
    subject: str
    detail: str


_SQL_CHECKS: dict[str, str] = {
    "balance_is_sum_of_rows": """
        SELECT coalesce(b.customer_id, t.customer_id) AS subject,
               format('balance %s held %s pending %s version %s, rows give %s %s %s %s', b.balance, b.held, b.pending,
                      b.version, t.balance, t.held, t.pending, t.version) AS detail
        FROM dust_balance b FULL JOIN (
            SELECT customer_id, sum(amount) AS balance, sum(held) AS held, sum(pending) AS pending,
                   max(version) AS version, count(*) AS rows FROM dust_transaction GROUP BY customer_id) t
        USING (customer_id)
        WHERE b.customer_id IS NULL
           OR (b.balance, b.held, b.pending, b.version, b.version)
              IS DISTINCT FROM (coalesce(t.balance, 0), coalesce(t.held, 0), coalesce(t.pending, 0),
                                coalesce(t.version, 0), coalesce(t.rows, 0))
    """,
    "each_row_follows_the_one_before": """
        SELECT customer_id AS subject, format('row %s does not continue row %s', version, version - 1) AS detail
        FROM (SELECT customer_id, version, amount, held, pending, balance_after, held_after, pending_after,
                     lag(balance_after, 1, 0::bigint) OVER w AS balance_before,
                     lag(held_after, 1, 0::bigint) OVER w AS held_before,
                     lag(pending_after, 1, 0::bigint) OVER w AS pending_before
              FROM dust_transaction WINDOW w AS (PARTITION BY customer_id ORDER BY version)) t
        WHERE (balance_before + amount, held_before + held, pending_before + pending)
              IS DISTINCT FROM (balance_after, held_after, pending_after)
    """,
    "only_reversals_go_below_zero": """
        SELECT customer_id AS subject, format('row %s (%s) led to %s', version, kind, balance_after) AS detail
        FROM dust_transaction
        WHERE balance_after < 0 AND amount < 0 AND kind NOT IN ('reverse', 'redeem', 'merge', 'unmerge')
    """,
    "lots_are_the_balance": """
        SELECT b.customer_id AS subject,
               format('balance %s debt %s pending %s held %s, lots hold %s, %s pending, %s held, %s free',
                      b.balance, b.debt, b.pending, b.held, l.matured, l.pending, l.held, l.free) AS detail
        FROM dust_balance b LEFT JOIN (
            SELECT customer_id, coalesce(sum(remaining) FILTER (WHERE matured), 0) AS matured,
                   coalesce(sum(remaining) FILTER (WHERE NOT matured), 0) AS pending, sum(held) AS held,
                   coalesce(sum(remaining - held) FILTER (WHERE matured), 0) AS free
            FROM dust_lot GROUP BY customer_id) l USING (customer_id)
        WHERE (b.balance + b.debt, b.pending, b.held)
              IS DISTINCT FROM (coalesce(l.matured, 0), coalesce(l.pending, 0), coalesce(l.held, 0))
           OR (b.debt > 0 AND coalesce(l.free, 0) > 0)
    """,
    "lot_is_sum_of_its_uses": """
        SELECT l.customer_id AS subject,
               format('lot %s has %s, %s held; its uses give %s, %s', l.id, l.remaining, l.held, u.remaining, u.held)
                   AS detail
        FROM dust_lot l LEFT JOIN (
            SELECT customer_id, lot_id, sum(remaining) AS remaining, sum(held) AS held
            FROM dust_lot_use GROUP BY customer_id, lot_id) u ON u.customer_id = l.customer_id AND u.lot_id = l.id
        WHERE (l.remaining, l.held) IS DISTINCT FROM (coalesce(u.remaining, 0), coalesce(u.held, 0))
    """,
    "no_lot_is_spent_after_expiry_or_before_maturity": """
        SELECT t.customer_id AS subject, format('row %s took lot %s', t.version, l.id) AS detail
        FROM dust_lot_use u
        JOIN dust_transaction t USING (customer_id, version)
        JOIN dust_lot l ON l.customer_id = u.customer_id AND l.id = u.lot_id
        LEFT JOIN (
            SELECT m.customer_id, mu.lot_id, m.version
            FROM dust_transaction m JOIN dust_lot_use mu USING (customer_id, version) WHERE m.kind = 'mature') matured
            ON matured.customer_id = l.customer_id AND matured.lot_id = l.id
        WHERE ((t.kind = 'hold' AND u.held > 0)
               OR (t.kind IN ('redeem', 'adjust') AND u.remaining < 0 AND u.held = 0))
          AND (l.expires_at <= t.created_at OR NOT l.matured OR t.version < matured.version)
    """,
    "captured_redemptions_are_debited": """
        SELECT r.id AS subject, format('%s with %s captured, the ledger has %s', r.state, r.dust_captured,
                                       coalesce(t.spent, 0)) AS detail
        FROM dust_redemption r LEFT JOIN (
            SELECT reference_id, -sum(amount) AS spent FROM dust_transaction
            WHERE reference_type = 'redemption' GROUP BY reference_id) t ON t.reference_id = r.id
        WHERE coalesce(t.spent, 0) <> r.dust_captured OR (r.state <> 'captured' AND r.dust_captured <> 0)
    """,
    "redemption_is_sum_of_its_codes": """
        SELECT r.id AS subject, format('%s points, %s captured; its codes have %s and %s', r.dust, r.dust_captured,
                                       c.dust, c.captured) AS detail
        FROM dust_redemption r LEFT JOIN (
            SELECT redemption_id, sum(dust) AS dust, sum(dust_captured) AS captured
            FROM dust_redemption_code GROUP BY redemption_id) c ON c.redemption_id = r.id
        WHERE (r.dust, r.dust_captured) IS DISTINCT FROM (coalesce(c.dust, 0), coalesce(c.captured, 0))
    """,
    "open_redemptions_hold_their_dust": """
        SELECT r.id AS subject, format('%s for %s points, the ledger has %s', r.state, r.dust, coalesce(t.held, 0))
                   AS detail
        FROM dust_redemption r LEFT JOIN (
            SELECT reference_id, sum(held) AS held FROM dust_transaction
            WHERE reference_type = 'redemption' GROUP BY reference_id) t ON t.reference_id = r.id
        WHERE coalesce(t.held, 0) <> CASE WHEN r.state IN ('pending', 'active') THEN r.dust ELSE 0 END
    """,
    "orders_hold_what_is_booked": """
        SELECT coalesce(o.order_id, t.reference_id) AS subject,
               format('%s booked for %s, the ledger has %s', coalesce(o.booked, 0),
                      coalesce(o.customer_id, t.customer_id), coalesce(t.dust, 0)) AS detail
        FROM (SELECT order_id, customer_id, sum(booked) AS booked
              FROM (SELECT order_id, customer_id, booked FROM order_settlement WHERE customer_id IS NOT NULL
                    UNION ALL SELECT order_id, customer_id, booked FROM order_former_owner) shares
              GROUP BY order_id, customer_id) o
        FULL JOIN (
            SELECT customer_id, reference_id, sum(amount + pending) AS dust FROM dust_transaction
            WHERE reference_type = 'order' AND kind IN ('earn', 'reverse', 'transfer')
            GROUP BY customer_id, reference_id) t
            ON t.reference_id = o.order_id AND t.customer_id = o.customer_id
        WHERE coalesce(t.dust, 0) <> coalesce(o.booked, 0)
    """,
    # Compares the points of an order in all accounts with what its facts are worth: its points must exist only once.
    "no_order_gives_more_than_it_is_worth": """
        SELECT o.order_id AS subject,
               format('worth %s; the ledger has %s for it, of which %s were not taken back', o.worth, t.dust,
                      o.not_taken + coalesce(f.not_taken, 0)) AS detail
        FROM order_settlement o
        JOIN (SELECT reference_id, sum(amount + pending) AS dust FROM dust_transaction
              WHERE reference_type = 'order' AND kind IN ('earn', 'reverse', 'transfer')
              GROUP BY reference_id) t ON t.reference_id = o.order_id
        LEFT JOIN (SELECT order_id, sum(not_taken) AS not_taken
                   FROM order_former_owner GROUP BY order_id) f USING (order_id)
        WHERE t.dust - o.not_taken - coalesce(f.not_taken, 0) > o.worth
    """,
    "former_owners_have_what_the_order_says": """
        SELECT coalesce(o.order_id, f.order_id) AS subject,
               format('the order leaves %s to former owners, they have %s to %s', o.former_share, f.least, f.most)
                   AS detail
        FROM (SELECT order_id, former_share FROM order_settlement WHERE former_share IS NOT NULL) o
        FULL JOIN (SELECT order_id, sum(booked - not_taken) AS least, sum(booked - not_taken + unearned) AS most
                   FROM order_former_owner GROUP BY order_id) f USING (order_id)
        WHERE (o.former_share BETWEEN f.least AND f.most) IS NOT TRUE
    """,
    "transfers_have_two_sides": """
        SELECT reference_id AS subject,
               format('%s and %s pending on one side only', sum(amount), sum(pending)) AS detail
        FROM dust_transaction WHERE kind = 'transfer'
        GROUP BY reference_id HAVING sum(amount) <> 0 OR sum(pending) <> 0
    """,
    # Over all customers: spent points, points in lots (free, held and pending) and expired points must equal what was
    # issued. The two sides are read from different tables.
    "the_ledger_adds_up": """
        SELECT 'all customers' AS subject,
               format('%s spent, %s in lots, %s expired, less %s owed; orders gave %s, referrals %s, imports %s, '
                      'other bonuses %s, corrections %s', spent, in_lots, expired, owed, orders, referrals, imports,
                      bonuses, corrections) AS detail
        FROM (SELECT
            (SELECT coalesce(-sum(amount), 0) FROM dust_transaction WHERE kind IN ('redeem', 'refund')) AS spent,
            (SELECT coalesce(sum(remaining), 0) FROM dust_lot) AS in_lots,
            (SELECT coalesce(-sum(amount), 0) FROM dust_transaction WHERE kind = 'expire') AS expired,
            (SELECT coalesce(sum(debt), 0) FROM dust_balance) AS owed,
            (SELECT coalesce(sum(booked), 0) FROM order_settlement)
                + (SELECT coalesce(sum(booked), 0) FROM order_former_owner) AS orders,
            (SELECT coalesce(sum(referrer_booked + referred_booked), 0) FROM referral) AS referrals,
            (SELECT coalesce(sum(amount - taken_back), 0) FROM import_row
             WHERE state IN ('posted', 'undone')) AS imports,
            (SELECT coalesce(sum(amount + pending), 0) FROM dust_transaction
             WHERE kind IN ('earn', 'bonus', 'reverse')
               AND reference_type NOT IN ('order', 'referral', 'import')) AS bonuses,
            (SELECT coalesce(sum(amount), 0) FROM dust_transaction WHERE kind = 'adjust') AS corrections) sums
        WHERE spent + in_lots + expired - owed <> orders + referrals + imports + bonuses + corrections
    """,
    "escrow_is_what_orders_escrowed": """
        SELECT o.order_id AS subject,
               format('the order escrowed %s, the escrow has %s', o.escrowed, coalesce(e.dust, 0)) AS detail
        FROM order_settlement o LEFT JOIN guest_escrow e USING (order_id)
        WHERE o.escrowed <> coalesce(e.dust, 0) OR (o.escrowed > 0 AND o.booked > 0)
        UNION ALL
        SELECT e.order_id, 'an escrow for an order that was never settled'
        FROM guest_escrow e LEFT JOIN order_settlement o USING (order_id) WHERE o.order_id IS NULL
    """,
    "escrow_is_sum_of_its_entries": """
        SELECT coalesce(e.order_id, n.order_id) AS subject,
               format('%s waits, the entries give %s', e.dust, coalesce(n.amount, 0)) AS detail
        FROM guest_escrow e FULL JOIN (
            SELECT order_id, sum(amount) AS amount FROM guest_escrow_entry GROUP BY order_id) n USING (order_id)
        WHERE e.dust IS DISTINCT FROM coalesce(n.amount, 0)
    """,
    "claimed_orders_are_the_claimers": """
        SELECT e.order_id AS subject, format('claimed by %s, booked for %s', e.customer_id, o.customer_id) AS detail
        FROM guest_escrow e JOIN order_settlement o USING (order_id)
        WHERE e.state = 'claimed' AND e.customer_id IS DISTINCT FROM o.customer_id
    """,
    "outgoing_webhooks_match_the_ledger": """
        SELECT n.id AS subject, format('names row %s of %s, which does not exist', n.version, n.customer_id) AS detail
        FROM outgoing_webhook n LEFT JOIN dust_transaction t USING (customer_id, version)
        WHERE n.version IS NOT NULL AND t.id IS DISTINCT FROM n.data ->> 'transaction_id'
    """,
    "imports_are_in_the_ledger": """
        SELECT coalesce(r.customer_id, t.reference_id) AS subject,
               format('import %s brought %s, the ledger has %s', coalesce(r.batch_id, t.reference_id),
                      coalesce(r.dust, 0), coalesce(t.dust, 0)) AS detail
        FROM (SELECT batch_id, customer_id, sum(amount - taken_back) AS dust
              FROM import_row WHERE state IN ('posted', 'undone') GROUP BY batch_id, customer_id) r
        FULL JOIN (SELECT customer_id, reference_id, sum(amount + pending) AS dust FROM dust_transaction
                   WHERE reference_type = 'import' AND kind IN ('import', 'reverse')
                   GROUP BY customer_id, reference_id) t
            ON t.customer_id = r.customer_id AND t.reference_id = r.batch_id
        WHERE coalesce(r.dust, 0) <> coalesce(t.dust, 0)
    """,
    "merges_have_two_sides": """
        SELECT reference_id AS subject,
               format('%s and %s pending on one side only', sum(amount), sum(pending)) AS detail
        FROM dust_transaction WHERE reference_type = 'merge'
        GROUP BY reference_id HAVING sum(amount) <> 0 OR sum(pending) <> 0
    """,
    "referrals_hold_what_is_booked": """
        SELECT r.id AS subject,
               format('%s booked for %s, the ledger has %s', r.booked, r.who, coalesce(t.dust, 0)) AS detail
        FROM (SELECT id, customer_id AS who, referred_booked AS booked FROM referral
              UNION ALL SELECT id, referrer_id, referrer_booked FROM referral) r
        LEFT JOIN (SELECT customer_id, reference_id, sum(amount + pending) AS dust FROM dust_transaction
                   WHERE reference_type = 'referral' GROUP BY customer_id, reference_id) t
            ON t.reference_id = r.id AND t.customer_id = r.who
        WHERE coalesce(t.dust, 0) <> r.booked
    """,
    "totals_match_the_ledger": """
        SELECT coalesce(n.kind, t.kind) AS subject,
               format('noted %s rows +%s -%s, the ledger has %s +%s -%s', n.postings, n.credited, n.debited,
                      t.postings, t.credited, t.debited) AS detail
        FROM (SELECT kind, sum(postings) AS postings, sum(credited) AS credited, sum(debited) AS debited,
                     sum(held) AS held, sum(pending) AS pending FROM ledger_total GROUP BY kind) n
        FULL JOIN (SELECT kind, count(*) AS postings, sum(greatest(amount, 0)) AS credited,
                          sum(greatest(-amount, 0)) AS debited, sum(held) AS held, sum(pending) AS pending
                   FROM dust_transaction GROUP BY kind) t USING (kind)
        WHERE (n.postings, n.credited, n.debited, n.held, n.pending)
              IS DISTINCT FROM (t.postings, t.credited, t.debited, t.held, t.pending)
    """,
}


# Invariants that may be violated until a sweep has run. Each has a grace period.
_LATE_CHECKS: dict[str, tuple[str, timedelta]] = {
    "no_redemption_is_overdue": (
        """
        SELECT id AS subject, format('%s, was due at %s', state, expires_at) AS detail FROM dust_redemption
        WHERE state IN ('pending', 'active') AND expires_at < :late
        """,
        _REDEMPTION_GRACE,
    ),
    "no_event_is_overdue": (
        """
        SELECT id AS subject, format('%s, due since %s', type, next_attempt_at) AS detail FROM webhook_event
        WHERE state = 'pending' AND next_attempt_at < :late
        """,
        _EVENT_GRACE,
    ),
    "no_escrow_is_overdue": (
        """
        SELECT order_id AS subject, format('%s points in escrow, which ended at %s', dust, expires_at) AS detail
        FROM guest_escrow WHERE state = 'waiting' AND expires_at < :late
        """,
        _SWEEP_GRACE,
    ),
    "merged_accounts_are_empty": (
        """
        SELECT customer_id AS subject, format('%s points, %s pending for %s', b.balance, b.pending, m.survivor_id)
            AS detail
        FROM customer_merge m JOIN dust_balance b USING (customer_id)
        WHERE m.unmerged_at IS NULL AND (b.balance <> b.held OR b.pending <> 0) AND b.updated_at < :late
        """,
        _SWEEP_GRACE,
    ),
}


def audit_medusa(medusa: Medusa) -> list[Breach]:
    """Find codes of closed redemptions that are still usable in Medusa, or are in open carts. Calls Medusa.

    The plugin finds the carts. Without the plugin no cart is reported.
    """
    with transaction() as connection:
        closed = codes_closed_since(connection, now() - _MEDUSA_LOOK_BACK)
    usable = [
        Breach(check="no_live_promotion_without_a_hold", subject=closed[code], detail=f"{code} can still be used")
        for code in sorted(medusa.usable_codes(closed.keys()))
    ]
    return [*usable, *_dead_codes_in_carts(medusa, closed)]


def _dead_codes_in_carts(medusa: Medusa, closed: Mapping[str, str]) -> Iterator[Breach]:
    withdrawal = medusa.remove_codes_from_all_carts(closed.keys(), dry_run=True)
    for cart_id, held in withdrawal.carts.items() if withdrawal else ():
        codes = ", ".join(f"{code} of {closed[code]}" for code in held if code in closed)
        yield Breach(check="no_dead_code_in_an_open_cart", subject=cart_id, detail=f"holds {codes}")


def audit_orders(medusa: Medusa, sample: int) -> list[Breach]:
    """Compare a random sample of settled orders with Medusa and report the differences. Changes nothing. Calls Medusa.

    An event that has not arrived yet makes an order differ. The reconcile poll settles such orders.
    """
    comparison = compare_sample(medusa, sample)
    details: dict[str, str] = {order_id: "; ".join(differences) for order_id, differences in comparison.differs.items()}
    details |= dict.fromkeys(comparison.missing, "Medusa does not have the order")
    details |= dict.fromkeys(comparison.unreadable, "Medusa's order cannot be read")
    return [
        Breach(check="orders_are_as_medusa_has_them", subject=order_id, detail=detail)
        for order_id, detail in sorted(details.items())
    ]


def audit() -> list[Breach]:
    """Run all checks on the database. An empty list is a clean audit."""
    with reading() as connection:
        return find_breaches(connection)


def find_breaches(connection: Connection) -> list[Breach]:
    """As `audit`, on an open connection and its snapshot."""
    return [
        *_sql_checks(connection),
        *_hash_chain_holds(connection),
        *_late_checks(connection),
        *_newest_close_still_holds(connection),
    ]


def _sql_checks(connection: Connection) -> Iterator[Breach]:
    for name, query in _SQL_CHECKS.items():
        for row in connection.execute(text(query)):
            yield Breach(check=name, subject=row.subject, detail=row.detail)


def _hash_chain_holds(connection: Connection) -> Iterator[Breach]:
    query = select(dust_transaction).order_by(dust_transaction.c.customer_id, dust_transaction.c.version)
    customer, head = None, GENESIS
    for row in connection.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE).execute(query):
        if row.customer_id != customer:
            customer, head = row.customer_id, GENESIS
        head = chain_hash(head, row._asdict())
        if head != row.hash:
            yield Breach(check="hash_chain_holds", subject=row.customer_id, detail=f"row {row.version} was changed")
            head = row.hash


def _late_checks(connection: Connection) -> Iterator[Breach]:
    for name, (query, grace) in _LATE_CHECKS.items():
        for row in connection.execute(text(query), {"late": now() - grace}):
            yield Breach(check=name, subject=row.subject, detail=row.detail)


def _newest_close_still_holds(connection: Connection) -> Iterator[Breach]:
    if (close := newest_close(connection)) is not None:
        for detail in differences(connection, close):
            yield Breach(check="newest_close_still_holds", subject=close.day.isoformat(), detail=detail)


CHECK_NAMES = (*_SQL_CHECKS, "hash_chain_holds", *_LATE_CHECKS, "newest_close_still_holds")
MEDUSA_CHECK_NAMES = (
    "no_live_promotion_without_a_hold",
    "no_dead_code_in_an_open_cart",
    "orders_are_as_medusa_has_them",
)
