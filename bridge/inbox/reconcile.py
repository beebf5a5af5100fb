"""Find what no webhook told us: ask Medusa what changed and put what is new into the inbox, where all else follows.

Medusa can lose an event for good (it is killed between an order's commit and its event), and some changes have none.
This poll is part of correctness, not a repair tool. Orders are compared with the newest facts already settled, so a
quiet shop's poll writes nothing; what it found is the drift that a report shows.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import Connection, select

from bridge.clock import now, real_now
from bridge.db import transaction
from bridge.db.bulk import among
from bridge.errors import DustError, Unavailable
from bridge.ids import CustomerId, OrderId
from bridge.inbox.cursor import complete, next_start, skip, walk
from bridge.inbox.customers import read_account
from bridge.inbox.events import read_event
from bridge.inbox.process_one import retry_unknown
from bridge.inbox.receive import Receipt, receive
from bridge.inbox.tables import EventState, webhook_event
from bridge.medusa.client import Json, Medusa, MedusaAway
from bridge.medusa.orders import Order, read_order
from bridge.medusa.pages import Page, Place
from bridge.observability.metrics import DRIFT_FOUND
from bridge.programme.currencies import ask_currencies, learned_at, save_currencies
from bridge.programme.versions import current_version
from bridge.settlement.accounts import Account, accounts_with_fresh_mailbox, seen_accounts
from bridge.settlement.bonuses import customers_with_signup_bonus
from bridge.settlement.check import check_due
from bridge.settlement.emails import key_made_at
from bridge.settlement.escrow import lacks_email_hash
from bridge.settlement.facts import Age, Facts, check_now, compare
from bridge.settlement.tables import order_settlement

log = structlog.get_logger(__name__)

SOURCE = "reconcile"
# The lists, each with a cursor of its own.
ORDERS, PAYMENTS, CUSTOMERS = "orders", "payments", "customers"


@dataclass(kw_only=True)
class Found:
    """What a poll saw and what of it was news. `drifted` orders had changed without Dust knowing."""

    since: datetime
    orders_seen: int = 0
    drifted: list[OrderId] = field(default_factory=list)
    customers: list[CustomerId] = field(default_factory=list)
    retried: int = 0
    """Events that had failed because Medusa did not have their order, and are tried once more."""
    missing: list[OrderId] = field(default_factory=list)
    """Orders that were settled and that Medusa does not have. They count as deleted when that stays so."""
    unreadable: list[str] = field(default_factory=list)


def reconcile(medusa: Medusa, *, since: datetime | None = None, dry_run: bool = False) -> Found:
    """Compare Medusa's orders, payments and new customers with what is settled; put what is new into the inbox.

    Without `since` it goes on where the last poll ended. Raises `MedusaAway`; nothing is skipped by that, the next poll
    starts after the last page that was done.
    """
    # By the wall, as Medusa's own times are.
    started = real_now()
    found = Found(since=since or next_start(ORDERS, started))
    keep = since is None and not dry_run

    def pages(name: str, source: Callable[[Place], Iterator[Page]]) -> Iterator[Page]:
        return (
            walk(name, source, started=started, date=lambda: medusa.date, keep=keep)
            if since is None
            else source(Place(since=since))
        )

    for page in pages(ORDERS, medusa.updated_orders):
        compare_orders(page.rows, found, dry_run=dry_run)
        _keep_unread(page.unread, found, dry_run=dry_run)
    failures: list[MedusaAway] = []
    with _noted(failures):
        if _any_waits_for_money():
            for page in pages(PAYMENTS, medusa.updated_payments):
                _compare_payments(medusa, page.rows, found, dry_run=dry_run)
        elif keep:
            skip(PAYMENTS, as_far_as=ORDERS)
    with _noted(failures):
        if _looks_at_accounts():
            for page in pages(CUSTOMERS, medusa.created_customers):
                _compare_customers(page.rows, found, dry_run=dry_run)
        elif keep:
            skip(CUSTOMERS, as_far_as=ORDERS)
    if keep and not failures:
        _learn_currencies(medusa)
        complete(started)
    if not dry_run:
        with transaction() as connection:
            found.retried = retry_unknown(connection, now=now())
    compared = check_due(medusa, waiting=_have_pending_events, dry_run=dry_run)
    found.missing = compared.missing
    found.unreadable += [order_id for order_id in compared.unreadable if order_id not in found.unreadable]
    found.drifted += [order_id for order_id in compared.differs if order_id not in found.drifted]
    if not dry_run:
        DRIFT_FOUND.labels("orders").inc(len(found.drifted))
        DRIFT_FOUND.labels("customers").inc(len(found.customers))
    if found.drifted or found.customers:
        log.warning("drift_found", orders=len(found.drifted), customers=len(found.customers), dry_run=dry_run)
    if failures:
        raise failures[0]
    return found


@contextmanager
def _noted(failures: list[MedusaAway]) -> Iterator[None]:
    """A list that Medusa fails at is noted, and stops no other. When Medusa is away, that raises."""
    try:
        yield
    except MedusaAway as error:
        if not error.at_call:
            raise
        failures.append(error)


def keep_orders(documents: Iterable[Json]) -> int:
    """Put orders that somebody came across in Medusa into the inbox, to be settled; return how many were new there."""
    with transaction() as connection:
        return sum(_keep_order(connection, document, read_order(document)) for document in documents)


def _learn_currencies(medusa: Medusa) -> None:
    """Once a day: a shop may change them."""
    with transaction() as connection:
        before = learned_at(connection)
    if before is not None and before > now() - timedelta(days=1):
        return
    if currencies := ask_currencies(lambda: medusa):
        with transaction() as connection:
            save_currencies(connection, currencies, now=now())


def compare_orders(page: list[Json], found: Found, *, dry_run: bool, source: str = SOURCE) -> None:
    """Put those of these orders into the inbox whose facts are newer than what is settled."""
    orders: dict[OrderId, tuple[Json, Order]] = {}
    for document in page:
        found.orders_seen += 1
        try:
            order = read_order(document)
        except Exception as error:
            _note_unreadable(document.get("id"), error, found)
            continue
        orders[order.id] = (document, order)
    try:
        found.drifted += _compare_readable(orders, dry_run=dry_run, source=source)
    except Unavailable:
        raise
    except Exception:
        log.exception("page_not_compared", orders=len(orders))
        for order_id in orders:
            try:
                found.drifted += _compare_readable({order_id: orders[order_id]}, dry_run=dry_run, source=source)
            except Unavailable:
                raise
            except Exception as error:
                _note_unreadable(order_id, error, found)


def _compare_readable(orders: Mapping[OrderId, tuple[Json, Order]], *, dry_run: bool, source: str) -> list[OrderId]:
    """Those of these orders that had changed without Dust knowing, in one transaction."""
    drifted: list[OrderId] = []
    with transaction() as connection:
        known = newest_facts(connection, orders.keys())
        unclaimable = _guests_without_hash(connection, orders.keys())
        check: list[OrderId] = []
        for order_id, (document, order) in orders.items():
            mark = unclaimable.get(order_id, "") if order.email else ""
            facts, before = Facts.of(order), known.get(order_id)
            if before is not None and not mark:
                if facts == before:
                    continue
                if (age := compare(facts, before)) is not Age.NEWER:
                    check.append(order_id)
                    drifted += [order_id] if dry_run and age is Age.UNCLEAR else []
                    continue
            if dry_run or _keep_order(connection, document, order, mark=mark, source=source):
                drifted.append(order_id)
        if not dry_run:
            # A webhook was quicker, or told something false; or the order's version has gone back.
            check_now(connection, check, now=now())
    return drifted


def _note_unreadable(row_id: object, error: Exception, found: Found) -> None:
    reason = error.message if isinstance(error, DustError) else f"{type(error).__name__}: {error}"
    log.error("order_unreadable", order_id=row_id, reason=reason)
    if str(row_id) not in found.unreadable:
        found.unreadable.append(str(row_id))


def _keep_unread(order_ids: Iterable[str], found: Found, *, dry_run: bool) -> None:
    """Orders that Medusa did not give: events of their own ask for them again, and fail visibly."""
    for order_id in order_ids:
        found.unreadable.append(order_id)
        if not dry_run:
            with transaction() as connection:
                # Once a day: a poll meets the same order several times.
                event_id = f"rec_{order_id}_unread_{now():%Y%m%d}"
                _keep(connection, event_id, "order.updated", now(), {"id": order_id}, SOURCE)


def _have_pending_events(connection: Connection, order_ids: Collection[OrderId]) -> set[OrderId]:
    query = select(webhook_event.c.subject).where(
        among(webhook_event.c.subject, list(order_ids)), webhook_event.c.state == EventState.PENDING.value
    )
    return {OrderId(order_id) for order_id in connection.scalars(query)}


def newest_facts(connection: Connection, order_ids: Iterable[OrderId]) -> dict[OrderId, Facts]:
    """The facts that each of these orders was settled by; one that never was settled is missing."""
    query = select(order_settlement).where(
        order_settlement.c.order_id.in_(list(order_ids)), order_settlement.c.facts_version.is_not(None)
    )
    found = {OrderId(row.order_id): Facts.from_row(row) for row in connection.execute(query)}
    return {order_id: facts for order_id, facts in found.items() if facts is not None}


def _guests_without_hash(connection: Connection, order_ids: Iterable[OrderId]) -> dict[OrderId, str]:
    """Guests' orders to be settled again, for their e-mail alone; each with a mark that makes it a new event, once."""
    query = select(order_settlement.c.order_id).where(
        order_settlement.c.order_id.in_(list(order_ids)), lacks_email_hash()
    )
    found = connection.scalars(query).all()
    mark = f"_key{key_made_at(connection)}" if found else ""
    return {OrderId(order_id): mark for order_id in found}


def _keep_order(connection: Connection, document: Json, order: Order, *, mark: str = "", source: str = SOURCE) -> bool:
    # The id says which facts these are: the same facts found twice are one event.
    money = f"_{order.money_moved:f}" if order.money_moved else ""
    event_id = f"rec_{order.id}_{order.version}_{order.updated_at.timestamp():.3f}{money}{mark}"
    data = {"id": order.id, "order": document}
    return _keep(connection, event_id, "order.updated", order.updated_at, data, source)


def _keep(connection: Connection, event_id: str, kind: str, at: datetime, data: dict[str, Any], source: str) -> bool:
    body = json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}, default=_plain_number).encode()
    receipt = receive(connection, event_id, read_event(body), body, now=now(), source=source)
    return receipt is Receipt.ACCEPTED


def _plain_number(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not come from JSON")


def _any_waits_for_money() -> bool:
    with transaction() as connection:
        return bool(_waiting_for_money(connection, None))


def _compare_payments(medusa: Medusa, payments: list[Json], found: Found, *, dry_run: bool) -> None:
    """A payment moves neither `version` nor `updated_at` of its order: look at the orders for which one matters.

    Those are orders that do not earn before they are paid, and those with something swapped in that is not paid.
    """
    changed = {order_id: payment for payment in payments if (order_id := _order_of(payment))}
    with transaction() as connection:
        waiting = _waiting_for_money(connection, changed.keys())
    # Where the order itself has moved as well, it was met just now with all that is in its payments.
    for order_id in sorted(waiting.keys() - set(found.drifted)):
        try:
            document = medusa.order(order_id)
            order = read_order(document)
            # The same payment is seen in several polls; each change of it makes one event.
            mark = f"_paid_{changed[order_id].get('updated_at')}"
            with transaction() as connection:
                if (order.paid or waiting[order_id]) and (
                    dry_run or _keep_order(connection, document, order, mark=mark)
                ):
                    found.drifted.append(order_id)
        except MedusaAway as error:
            if not error.at_call:
                raise
            # It may be this order alone. If it is Medusa, the next page says so.
            log.error("order_not_given_by_medusa", order_id=order_id)
            _keep_unread([order_id], found, dry_run=dry_run)
        except Unavailable:
            raise
        except Exception as error:
            _note_unreadable(order_id, error, found)


def _order_of(payment: Json) -> OrderId | None:
    collection = payment.get("payment_collection")
    order = collection.get("order") if isinstance(collection, dict) else None
    order_id = order.get("id") if isinstance(order, dict) else None
    return OrderId(order_id) if isinstance(order_id, str) else None


def _waiting_for_money(connection: Connection, order_ids: Collection[OrderId] | None) -> dict[OrderId, bool]:
    """Those of these orders, or any one, for which a payment matters; true for those with something swapped in."""
    waits = order_settlement.c.awaits_payment
    query = select(order_settlement.c.order_id, waits).where(waits | ~order_settlement.c.earning_due)
    query = query.limit(1) if order_ids is None else query.where(order_settlement.c.order_id.in_(list(order_ids)))
    return {OrderId(row.order_id): row.awaits_payment for row in connection.execute(query)}


def _looks_at_accounts() -> bool:
    with transaction() as connection:
        return current_version(connection).programme.looks_at_accounts


def _compare_customers(customers: list[Json], found: Found, *, dry_run: bool) -> None:
    accounts = accounts_among(customers)
    with transaction() as connection:
        news = accounts.keys() - seen_accounts(connection, accounts.keys())
        if current_version(connection).programme.bonuses.signup:
            news |= due_signup_bonuses(connection, accounts.values())
        new = {who: account for who, account in accounts.items() if who in news}
        found.customers += list(new) if dry_run else keep_customers(connection, new.values())


def accounts_among(customers: Iterable[Json]) -> dict[CustomerId, Account]:
    """Those of these customers of Medusa's that have an account, by id, in their order."""
    accounts = (read_account(customer) for customer in customers if customer.get("has_account") is True)
    return {account.customer_id: account for account in accounts}


def due_signup_bonuses(
    connection: Connection, accounts: Iterable[Account], *, taken: set[bytes] | None = None
) -> set[CustomerId]:
    """Those of these accounts that a sign-up bonus is due for; of `taken`, see `accounts_with_fresh_mailbox`."""
    fresh = accounts_with_fresh_mailbox(connection, accounts, taken=taken, now=now())
    return fresh - customers_with_signup_bonus(connection, fresh)


def keep_customers(
    connection: Connection, accounts: Iterable[Account], *, mark: str = "_account", source: str = SOURCE
) -> list[CustomerId]:
    """Put accounts into the inbox, with when they signed up; those that were not in there before, with this mark."""
    return [
        account.customer_id
        for account in accounts
        if _keep(
            connection,
            f"rec_{account.customer_id}{mark}",
            "customer.created",
            account.created_at or now(),
            {"id": account.customer_id},
            source,
        )
    ]
