"""Reconcile: polls Medusa for changes that no webhook reported, and puts them into the inbox.

Medusa can lose an event permanently (if it is killed between an order's commit and its event), and some changes have no
event. So this poll is required for correctness; it is not a repair tool. Orders are compared with the newest settled
facts, so a poll without changes writes nothing. What it finds is reported as drift.
"""

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, select

from bridge.clock import now, real_now
from bridge.db import transaction
from bridge.db.bulk import among
from bridge.errors import DustError, Unavailable
from bridge.ids import CustomerId, OrderId, is_id
from bridge.inbox.compare_with_medusa import check_due
from bridge.inbox.cursor import complete, next_start, skip, walk
from bridge.inbox.customers import read_account
from bridge.inbox.events import read_event
from bridge.inbox.orders_in_parts import orders_in_parts
from bridge.inbox.receive import Receipt, receive
from bridge.inbox.retry import retry_events_of_unknown_orders
from bridge.medusa.client import Json, Medusa, order_id_of
from bridge.medusa.errors import MedusaAway
from bridge.medusa.orders import Order, read_order
from bridge.medusa.pages import Page, Place
from bridge.observability.metrics import DRIFT_FOUND
from bridge.programme.shop_currencies import ask_currencies, learned_at, save_currencies
from bridge.programme.versions import current_version
from bridge.settlement.accounts import CustomerAccount, accounts_with_fresh_mailbox, seen_accounts
from bridge.settlement.email_hash import key_made_at
from bridge.settlement.escrow import lacks_email_hash
from bridge.settlement.facts import FactMarks, Verdict, check_now, compare
from bridge.settlement.repository import read_rows
from bridge.settlement.signup_bonus import customers_with_signup_bonus
from bridge.settlement.tables import order_settlement

log = structlog.get_logger(__name__)

SOURCE = "reconcile"
# The lists that are polled. Each has its own cursor.
ORDERS, PAYMENTS, CUSTOMERS = "orders", "payments", "customers"
# For the orders of one page of payments; well below the task's time limit of 60 s.
_PAYMENTS_SECONDS = 15.0


@dataclass(kw_only=True)
class ReconcileResult:
    """Result of a poll. `drifted` are orders whose changes Dust had not received."""

    since: datetime
    orders_seen: int = 0
    drifted: list[OrderId] = field(default_factory=list)
    customers: list[CustomerId] = field(default_factory=list)
    retried: int = 0
    """Number of retried events that had failed because Medusa did not have their order."""
    missing: list[OrderId] = field(default_factory=list)
    """Settled orders that Medusa does not have. If that does not change, they count as deleted."""
    unreadable: list[str] = field(default_factory=list)


def reconcile(medusa: Medusa, *, since: datetime | None = None, dry_run: bool = False) -> ReconcileResult:
    """Compare Medusa's orders, payments and new customers with what is settled, and put changes into the inbox.

    Without `since` it continues where the last poll ended. Raises `MedusaAway`. Nothing is skipped then: the next poll
    starts after the last completed page.
    """
    # Real time, not the test clock, because it is compared with Medusa's timestamps.
    started = real_now()
    result = ReconcileResult(since=since or next_start(ORDERS, started))
    keep = since is None and not dry_run

    def pages(name: str, source: Callable[[Place], Iterator[Page]]) -> Iterator[Page]:
        return (
            walk(name, source, started=started, date=lambda: medusa.date, keep=keep)
            if since is None
            else source(Place(since=since))
        )

    for page in pages(ORDERS, medusa.updated_orders):
        compare_orders(page.rows, result, dry_run=dry_run)
        _store_unread(page.unread, result, dry_run=dry_run)
    failures: list[MedusaAway] = []
    with _failures_collected(failures):
        if _any_awaits_payment():
            for page in pages(PAYMENTS, medusa.updated_payments):
                _compare_payments(medusa, page.rows, result, dry_run=dry_run)
        elif keep:
            skip(PAYMENTS, as_far_as=ORDERS)
    with _failures_collected(failures):
        if _looks_at_accounts():
            for page in pages(CUSTOMERS, medusa.created_customers):
                _compare_customers(page.rows, result, dry_run=dry_run)
        elif keep:
            skip(CUSTOMERS, as_far_as=ORDERS)
    if keep and not failures:
        _learn_currencies(medusa)
        complete(started)
    if not dry_run:
        with transaction() as connection:
            result.retried = retry_events_of_unknown_orders(connection, now=now())
    compared = check_due(medusa, dry_run=dry_run)
    result.missing = compared.missing
    result.unreadable += [order_id for order_id in compared.unreadable if order_id not in result.unreadable]
    result.drifted += [order_id for order_id in compared.differs if order_id not in result.drifted]
    if not dry_run:
        DRIFT_FOUND.labels("orders").inc(len(result.drifted))
        DRIFT_FOUND.labels("customers").inc(len(result.customers))
    if result.drifted or result.customers:
        log.warning("drift_found", orders=len(result.drifted), customers=len(result.customers), dry_run=dry_run)
    if failures:
        raise failures[0]
    return result


@contextmanager
def _failures_collected(failures: list[MedusaAway]) -> Iterator[None]:
    """Collect the error of a list at which Medusa fails, so that the other lists continue. If Medusa is away, raise."""
    try:
        yield
    except MedusaAway as error:
        if not error.only_this_call:
            raise
        failures.append(error)


def store_orders(documents: Iterable[Json]) -> int:
    """Put orders that were read from Medusa into the inbox, to be settled. Returns how many were new there."""
    with transaction() as connection:
        return sum(_store_order(connection, document, read_order(document)) for document in documents)


def _learn_currencies(medusa: Medusa) -> None:
    """Refresh the shop's currencies once a day, because a shop can change them."""
    with transaction() as connection:
        before = learned_at(connection)
    # A time in the future was written by a clock that was ahead.
    if before is not None and now() - timedelta(days=1) < before <= now():
        return
    if currencies := ask_currencies(lambda: medusa):
        with transaction() as connection:
            save_currencies(connection, currencies, now=now())


def compare_orders(page: list[Json], result: ReconcileResult, *, dry_run: bool, source: str = SOURCE) -> None:
    """Put the orders of a page whose facts are newer than the settled ones into the inbox."""
    orders: dict[OrderId, tuple[Json, Order]] = {}
    for document in page:
        result.orders_seen += 1
        try:
            order = read_order(document)
        except Exception as error:
            _note_unreadable(document.get("id"), error, result)
            continue
        orders[order.id] = (document, order)
    try:
        result.drifted += _compare_readable(orders, dry_run=dry_run, source=source)
    except Unavailable:
        raise
    except Exception:
        log.exception("page_not_compared", orders=len(orders))
        for order_id in orders:
            try:
                result.drifted += _compare_readable({order_id: orders[order_id]}, dry_run=dry_run, source=source)
            except Unavailable:
                raise
            except Exception as error:
                _note_unreadable(order_id, error, result)


def _compare_readable(orders: Mapping[OrderId, tuple[Json, Order]], *, dry_run: bool, source: str) -> list[OrderId]:
    """Compare these orders in one transaction. Returns those whose changes Dust had not received."""
    drifted: list[OrderId] = []
    with transaction() as connection:
        known = settled_marks(connection, orders.keys())
        unclaimable = _guests_without_hash(connection, orders.keys())
        check: list[OrderId] = []
        for order_id, (document, order) in orders.items():
            id_suffix = unclaimable.get(order_id, "") if order.email else ""
            marks, before = FactMarks.of(order), known.get(order_id)
            if before is not None and not id_suffix:
                if marks == before:
                    continue
                if (verdict := compare(marks, before)) is not Verdict.NEWEST:
                    check.append(order_id)
                    drifted += [order_id] if dry_run and verdict is Verdict.UNCLEAR else []
                    continue
            if dry_run or _store_order(connection, document, order, id_suffix=id_suffix, source=source):
                drifted.append(order_id)
        if not dry_run:
            # A webhook was faster or had wrong data, or the order's version has decreased.
            check_now(connection, check, now=now())
    return drifted


def _note_unreadable(row_id: object, error: Exception, result: ReconcileResult) -> None:
    reason = error.message if isinstance(error, DustError) else f"{type(error).__name__}: {error}"
    log.error("order_unreadable", order_id=row_id, reason=reason)
    if str(row_id) not in result.unreadable:
        result.unreadable.append(str(row_id))


def _store_unread(order_ids: Iterable[str], result: ReconcileResult, *, dry_run: bool) -> None:
    """Create an event for each order that Medusa could not return. It reads the order again, and fails visibly."""
    for order_id in order_ids:
        result.unreadable.append(order_id)
        if not dry_run:
            with transaction() as connection:
                # At most one event per order and day, because several polls see the same order.
                _store_to_be_read(connection, order_id, f"_unread_{now():%Y%m%d}")


def _store_to_be_read(connection: Connection, order_id: str, id_suffix: str) -> None:
    """Create an event without the order, which its task reads from Medusa."""
    _store_event(connection, f"rec_{order_id}{id_suffix}", "order.updated", now(), {"id": order_id}, SOURCE)


def settled_marks(connection: Connection, order_ids: Iterable[OrderId]) -> dict[OrderId, FactMarks]:
    """By which facts each of these orders was last settled. Orders that were never settled are left out."""
    rows = read_rows(connection, list(order_ids))
    return {order_id: marks for order_id, row in rows.items() if (marks := FactMarks.from_row(row)) is not None}


def _guests_without_hash(connection: Connection, order_ids: Iterable[OrderId]) -> dict[OrderId, str]:
    """Guest orders to settle again because their e-mail hash is missing, with an id suffix for one new event each."""
    query = select(order_settlement.c.order_id).where(
        among(order_settlement.c.order_id, list(order_ids)), lacks_email_hash()
    )
    result = connection.scalars(query).all()
    id_suffix = f"_key{key_made_at(connection)}" if result else ""
    return {OrderId(order_id): id_suffix for order_id in result}


def _store_order(
    connection: Connection, document: Json, order: Order, *, id_suffix: str = "", source: str = SOURCE
) -> bool:
    # The id is derived from the facts, so that finding the same facts twice creates one event.
    money = f"_{order.money_moved:f}" if order.money_moved else ""
    event_id = f"rec_{order.id}_{order.version}_{order.updated_at.timestamp():.3f}{money}{id_suffix}"
    data = {"id": order.id, "order": document}
    return _store_event(connection, event_id, "order.updated", order.updated_at, data, source)


def _store_event(
    connection: Connection, event_id: str, kind: str, at: datetime, data: dict[str, Any], source: str
) -> bool:
    # Amounts are decimals, which are written as text.
    body = json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}, default=str).encode()
    receipt = receive(connection, event_id, read_event(body), body, now=now(), source=source)
    return receipt is Receipt.ACCEPTED


def _any_awaits_payment() -> bool:
    with transaction() as connection:
        return bool(_awaiting_payment(connection, None))


def _compare_payments(medusa: Medusa, payments: list[Json], result: ReconcileResult, *, dry_run: bool) -> None:
    """Read the orders for which these payments matter.

    A payment changes neither `version` nor `updated_at` of its order, so the poll of orders misses it. It matters for
    orders that earn only once they are paid, and for orders with unpaid items from an exchange.
    """
    changed = {order_id: payment for payment in payments if (order_id := order_id_of(payment))}
    # Several polls see the same payment. Each change of it creates one event.
    changes = {order_id: str(payment.get("updated_at")) for order_id, payment in changed.items()}
    with transaction() as connection:
        waiting = _awaiting_payment(connection, changed.keys())
    # An order that changed itself was read just now, payments included.
    left = sorted(waiting.keys() - set(result.drifted))
    not_listed: list[OrderId] = []
    for part in orders_in_parts(medusa, left, max_seconds=math.inf if dry_run else _PAYMENTS_SECONDS):
        left = [order_id for order_id in left if order_id not in part.order_ids]
        for order_id in part.order_ids:
            if part.failure is not None:
                log.error("order_not_given_by_medusa", order_id=order_id)
                result.unreadable.append(order_id)
                left.append(order_id)
            elif order_id in part.documents:
                document, id_suffix = part.documents[order_id], f"_paid_{changes[order_id]}"
                _store_if_paid(document, result, id_suffix=id_suffix, waits=waiting[order_id], dry_run=dry_run)
            else:
                not_listed.append(order_id)
    if dry_run:
        return
    with transaction() as connection:
        # Each of these has its own task, with its own attempts: this page must end, or no later one would be read.
        for order_id in sorted(left):
            _store_to_be_read(connection, order_id, f"_payment_{changes[order_id]}")
        # Deleted, or drafts.
        check_now(connection, not_listed, now=now())


def _store_if_paid(document: Json, result: ReconcileResult, *, id_suffix: str, waits: bool, dry_run: bool) -> None:
    try:
        order = read_order(document)
        if not (order.paid or waits):
            return
        with transaction() as connection:
            if dry_run or _store_order(connection, document, order, id_suffix=id_suffix):
                result.drifted.append(order.id)
    except Unavailable:
        raise
    except Exception as error:
        _note_unreadable(document.get("id"), error, result)


def _awaiting_payment(connection: Connection, order_ids: Collection[OrderId] | None) -> dict[OrderId, bool]:
    """Of these orders (None: of all, at most one) those for which a payment matters. The value is `awaits_payment`."""
    waits = order_settlement.c.awaits_payment
    query = select(order_settlement.c.order_id, waits).where(waits | ~order_settlement.c.earning_due)
    query = query.limit(1) if order_ids is None else query.where(among(order_settlement.c.order_id, list(order_ids)))
    return {OrderId(row.order_id): row.awaits_payment for row in connection.execute(query)}


def _looks_at_accounts() -> bool:
    with transaction() as connection:
        return current_version(connection).programme.looks_at_accounts


def _compare_customers(customers: list[Json], result: ReconcileResult, *, dry_run: bool) -> None:
    accounts = accounts_among(customers)
    with transaction() as connection:
        new_ids = accounts.keys() - seen_accounts(connection, accounts.keys())
        if current_version(connection).programme.bonuses.signup:
            new_ids |= due_signup_bonuses(connection, accounts.values())
        new = {customer_id: account for customer_id, account in accounts.items() if customer_id in new_ids}
        result.customers += list(new) if dry_run else store_customers(connection, new.values())


def accounts_among(customers: Iterable[Json]) -> dict[CustomerId, CustomerAccount]:
    """The accounts among these customers of Medusa, by id, in the same order."""
    with_id = (customer for customer in customers if is_id(str(customer.get("id"))))
    accounts = (read_account(customer) for customer in with_id if customer.get("has_account") is True)
    return {account.customer_id: account for account in accounts}


def due_signup_bonuses(
    connection: Connection, accounts: Iterable[CustomerAccount], *, taken: set[bytes] | None = None
) -> set[CustomerId]:
    """The accounts for which a sign-up bonus is due. `taken`: see `accounts_with_fresh_mailbox`."""
    fresh = accounts_with_fresh_mailbox(connection, accounts, taken=taken, now=now())
    return fresh - customers_with_signup_bonus(connection, fresh)


def store_customers(
    connection: Connection, accounts: Iterable[CustomerAccount], *, id_suffix: str = "_account", source: str = SOURCE
) -> list[CustomerId]:
    """Put accounts into the inbox, dated when they signed up. Returns those not stored before with this id suffix."""
    return [
        account.customer_id
        for account in accounts
        if _store_event(
            connection,
            f"rec_{account.customer_id}{id_suffix}",
            "customer.created",
            account.created_at or now(),
            {"id": account.customer_id},
            source,
        )
    ]
