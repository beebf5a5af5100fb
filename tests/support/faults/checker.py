"""Compares the database with the history: a small model of the effects of everything that was acknowledged.

It shares no code with Dust. `check` reads one snapshot of the database and returns what is wrong, in sentences; what is
only not yet so is wrong too, so ask again until there has been time enough.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from tests.support.faults.shop import Shop
from tests.support.faults.workload import History, RequestedRedemption

BONUS = 50
# Kinds that may take a balance below zero.
_REVERSALS = {"reverse", "redeem"}


class Books:
    """What the database holds of one tag."""

    def __init__(self, database: str, tag: str) -> None:
        own = {"tag": f"%\\_{tag}\\_%"}
        with psycopg.connect(database, row_factory=namedtuple_row) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

            def read(query: str) -> list[Any]:
                return connection.execute(query, own).fetchall()

            self.events = {
                row.id: row for row in read("SELECT id, state, reason FROM webhook_event WHERE id LIKE %(tag)s")
            }
            self.rows: dict[str, list[Any]] = defaultdict(list)
            for row in read(
                "SELECT * FROM dust_transaction WHERE customer_id LIKE %(tag)s ORDER BY customer_id, version"
            ):
                self.rows[row.customer_id].append(row)
            self.balances = {
                row.customer_id: row for row in read("SELECT * FROM dust_balance WHERE customer_id LIKE %(tag)s")
            }
            self.redemptions = {
                row.id: row for row in read("SELECT * FROM dust_redemption WHERE customer_id LIKE %(tag)s")
            }
            self.lots = read("SELECT * FROM dust_lot WHERE customer_id LIKE %(tag)s")
            self.escrows = {row.order_id: row for row in read("SELECT * FROM guest_escrow WHERE order_id LIKE %(tag)s")}
            self.webhooks = read("SELECT * FROM outgoing_webhook WHERE customer_id LIKE %(tag)s")
            self.codes: dict[str, list[str]] = defaultdict(list)
            for row in read(
                "SELECT c.code, c.redemption_id FROM dust_redemption_code c JOIN dust_redemption r"
                " ON r.id = c.redemption_id WHERE r.customer_id LIKE %(tag)s"
            ):
                self.codes[row.redemption_id].append(row.code)

    def all_rows(self) -> Iterator[Any]:
        for rows in self.rows.values():
            yield from rows


def check(history: History, database: str, shop: Shop) -> list[str]:
    """Every difference between the database and the history, in sentences."""
    books = Books(database, history.tag)
    return [
        *_events(history, books),
        *_books_add_up(books),
        *_orders(history, books),
        *_guests(history, books),
        *_adjustments(history, books),
        *_bonuses(history, books),
        *_redemptions(history, books, shop),
        *_nothing_else(history, books),
        *_expired(history, books),
        *_merges(history, books),
        *_webhooks(history, books, shop),
        *_prices(history, shop),
    ]


def _events(history: History, books: Books) -> Iterator[str]:
    for event_id in sorted(history.events):
        if event_id not in books.events:
            yield f"lost: {event_id} was acknowledged and is not kept"
        elif books.events[event_id].state not in {"handled", "ignored"}:
            yield f"waits: {event_id} is {books.events[event_id].state} ({books.events[event_id].reason})"
    for event_id in books.events:
        # Only the poll's own events have no acknowledgement, because they were not sent.
        if event_id.startswith("msg_") and event_id not in history.events:
            yield f"invented: nobody sent {event_id}"


def _books_add_up(books: Books) -> Iterator[str]:
    for customer, rows in books.rows.items():
        balance = held = pending = 0
        for number, row in enumerate(rows, start=1):
            if row.held > 0 and balance - held < row.held:
                yield f"overspent: {customer} row {number} holds {row.held} of {balance - held}"
            balance, held, pending = balance + row.amount, held + row.held, pending + row.pending
            if row.version != number:
                yield f"gap: {customer} has row {row.version} where {number} should be"
            if (balance, held, pending) != (row.balance_after, row.held_after, row.pending_after):
                yield f"sums: {customer} row {number} says {row.balance_after}, the rows before it give {balance}"
            if min(held, pending) < 0 or (balance < 0 and row.amount < 0 and row.kind not in _REVERSALS):
                yield f"below zero: {customer} row {number}"
        last = books.balances.get(customer)
        if last is None or (last.balance, last.held, last.pending, last.version) != (balance, held, pending, len(rows)):
            yield f"balance: {customer} is not what its rows add up to"


def _orders(history: History, books: Books) -> Iterator[str]:
    booked: dict[str, Counter[str]] = defaultdict(Counter)
    for row in books.all_rows():
        if row.kind in {"earn", "reverse"}:
            booked[row.reference_id][row.customer_id] += row.amount + row.pending
    for order_id, (customer, worth) in history.worth.items():
        shares = {owner: dust for owner, dust in booked[order_id].items() if dust}
        if shares != ({customer: worth} if worth else {}):
            yield f"order: {order_id} is worth {worth} to {customer}, booked are {shares}"


def _guests(history: History, books: Books) -> Iterator[str]:
    """Claimed points of a guest belong to the claimer, and are not in escrow any more."""
    for order_id, customer in history.guests.items():
        row = books.escrows.get(order_id)
        if row is None or (row.state, row.customer_id, row.dust) != ("claimed", customer, 0):
            waits = f"{row.dust}, {row.state} by {row.customer_id}" if row else "unknown"
            yield f"guest: {order_id} was claimed by {customer}; what waits is {waits}"
    for order_id in books.escrows.keys() - history.guests.keys():
        yield f"guest: {order_id} is no guest's"


def _adjustments(history: History, books: Books) -> Iterator[str]:
    booked: dict[str, list[Any]] = defaultdict(list)
    for row in books.all_rows():
        if row.kind == "adjust":
            booked[row.reference_id].append(row)
    for words, (customer, amount, row_id) in history.adjustments.items():
        if [(row.customer_id, row.amount, row.id) for row in booked[words]] != [(customer, amount, row_id)]:
            yield f"adjustment: {words!r} was acknowledged once as {amount}, booked {[r.amount for r in booked[words]]}"
    for words in booked.keys() - history.adjustments.keys():
        yield f"adjustment: {words!r} was never acknowledged"


def _bonuses(history: History, books: Books) -> Iterator[str]:
    given = Counter(row.customer_id for row in books.all_rows() if row.kind == "bonus" for _ in range(row.amount))
    if given != Counter(dict.fromkeys(history.bonuses, BONUS)) + Counter(history.granted):
        yield f"bonus: due are {sorted(history.bonuses)} and {history.granted}, given {dict(given)}"


def _redemptions(history: History, books: Books, shop: Shop) -> Iterator[str]:
    live = shop.live_codes_of(history.tag)
    for code in sorted(live - {code for codes in books.codes.values() for code in codes}):
        yield f"in doubt: {code} can be used and is no redemption's"
    for redemption in history.redemptions:
        row = books.redemptions.get(redemption.redemption_id)
        if row is None:
            yield f"lost: redemption {redemption.redemption_id} was acknowledged and is not kept"
            continue
        if row.state != redemption.ends:
            yield f"redemption: {redemption.redemption_id} is {row.state}, not {redemption.ends}"
        yield from _redemption_is_booked(redemption, books)
        codes = books.codes[redemption.redemption_id]
        if live & set(codes):
            yield f"in doubt: {sorted(live & set(codes))} can still be used, {redemption.redemption_id} is {row.state}"
        yield from _released_after_deleted(redemption, books, shop, codes)
        if redemption.ends == "released" and (carts := shop.carts_with(set(codes))):
            yield f"cart: {carts} still have the discount of {redemption.redemption_id}, which is {row.state}"
        for code in codes:
            times = sum(change == "created" and which == code for _, change, which in shop.happened)
            if times > 1:
                yield f"twice: {code} was made {times} times"
    known = {redemption.redemption_id for redemption in history.redemptions}
    for redemption_id in books.redemptions.keys() - known:
        yield f"redemption: {redemption_id} was never acknowledged"


def _redemption_is_booked(redemption: RequestedRedemption, books: Books) -> Iterator[str]:
    rows = [row for row in books.rows[redemption.customer_id] if row.reference_id == redemption.redemption_id]
    spent = -sum(row.amount for row in rows)
    held = sum(row.held for row in rows)
    if (spent, held) != (redemption.used, 0):
        wanted = f"must have spent {redemption.used} and holds 0"
        yield f"redemption: {redemption.redemption_id} {wanted}; booked are {spent}, {held}"


def _released_after_deleted(
    redemption: RequestedRedemption, books: Books, shop: Shop, codes: list[str]
) -> Iterator[str]:
    """No points may have been released while Medusa still had the code."""
    released = [
        row.created_at
        for row in books.rows[redemption.customer_id]
        if row.kind == "release" and row.reference_id == redemption.redemption_id
    ]
    if redemption.ends != "released" or not released:
        return
    for code in codes:
        had = False
        for when, change, _ in _before(shop, code, released[0]):
            had = change == "created"
            assert when <= released[0]
        if had:
            yield f"in doubt: {redemption.redemption_id} was released while {code} could still be used"


def _before(shop: Shop, code: str, moment: datetime) -> Iterator[tuple[datetime, str, str]]:
    return (change for change in list(shop.happened) if change[2] == code and change[0] <= moment)


def _nothing_else(history: History, books: Books) -> Iterator[str]:
    """Nothing is booked for orders and customers that are not in the history."""
    for row in books.all_rows():
        if row.kind in {"earn", "reverse"} and row.reference_id not in history.worth:
            yield f"invented: {row.kind} for {row.reference_id}"


def _expired(history: History, books: Books) -> Iterator[str]:
    for row in books.balances.values():
        if row.pending:
            yield f"pending: {row.customer_id} has {row.pending}"
    gone = Counter[str]()
    for row in books.all_rows():
        if row.kind == "expire":
            gone[row.customer_id] -= row.amount
    if gone != Counter(history.expired):
        yield f"expiry: {history.expired} must be gone, {dict(gone)} are"


def _merges(history: History, books: Books) -> Iterator[str]:
    for old, (survivor, whole) in history.merged.items():
        balances = {
            customer: books.balances[customer].balance for customer in (old, survivor) if customer in books.balances
        }
        if balances != {old: 0, survivor: whole}:
            yield f"merge: {survivor} must have all {whole} of {old}, there are {balances}"


def _webhooks(history: History, books: Books, shop: Shop) -> Iterator[str]:
    """Each posting has one outgoing webhook, which the shop has received; there are no others."""
    due = Counter((row.customer_id, row.version) for row in books.all_rows() if row.kind in {"earn", "bonus", "redeem"})
    written = Counter(
        (webhook.customer_id, webhook.version)
        for webhook in books.webhooks
        if webhook.type in {"dust.earned", "dust.redeemed"}
    )
    if written != due:
        yield f"outgoing webhooks: missing are {sorted(due - written)}, too many {sorted(written - due)}"
    # Points that expired before they were booked were never on the balance, so no webhook says that they expired.
    there = {lot.customer_id for lot in books.lots if lot.expires_at and lot.expires_at > lot.created_at}
    went = {customer: dust for customer, dust in history.expired.items() if customer in there}
    for kind, expected in (("dust.expired", went), ("dust.expiring", history.expiring)):
        announced = Counter[str]()
        for sent in books.webhooks:
            # A webhook may have announced it before, if there was time.
            if sent.type == kind and (kind == "dust.expired" or sent.customer_id not in history.expired):
                announced[sent.customer_id] += sent.data["amount"]
        if announced != Counter(expected):
            yield f"outgoing webhooks: {kind} must tell of {expected}, tells of {dict(announced)}"
    heard = {webhook for webhook, customer in list(shop.notified) if f"_{history.tag}_" in customer}
    for webhook in sorted(heard - {webhook.id for webhook in books.webhooks}):
        yield f"outgoing webhook: the shop heard {webhook}, which nobody wrote"
    for sent in books.webhooks:
        if sent.state != "delivered" or sent.id not in heard:
            has = "has" if sent.id in heard else "has not"
            yield f"outgoing webhook: {sent.id} is {sent.state}; the shop {has} heard it"


def _prices(history: History, shop: Shop) -> Iterator[str]:
    for product, price in history.prices.items():
        shown = shop.products[product]["metadata"].get("dust_price")
        if shown != price:
            yield f"price: {product} costs {price}, Medusa shows {shown}"
