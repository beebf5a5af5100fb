"""Backfill: points for past orders. It puts them into the inbox, as reconcile does, oldest first, page by page.

Each run saves its progress in a row, so that a killed run continues there. Orders that are already settled do not
change. Each order earns once, however often a backfill runs.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    Row,
    Table,
    Text,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from bridge.db import metadata, transaction
from bridge.db.rows import TypedRow
from bridge.db.types import EnumText, one_of
from bridge.errors import Conflict
from bridge.ids import OrderId, new_id
from bridge.inbox.process_batch import process_batch
from bridge.inbox.process_one import EventFailed, RetryLater, process_event
from bridge.inbox.reconcile import (
    SOURCE,
    ReconcileResult,
    accounts_among,
    compare_orders,
    due_signup_bonuses,
    settled_marks,
    store_customers,
)
from bridge.inbox.tables import QUIET_SOURCE, EventState, webhook_event
from bridge.medusa.client import Medusa
from bridge.programme.versions import current_version, version_numbered
from bridge.settlement.accounts import CustomerAccount
from bridge.settlement.tables import order_settlement
from bridge.simulation.compare import read_pages
from bridge.simulation.sandbox import sandbox

_SIGNUP_SUFFIX = "_signup"


class BackfillState(StrEnum):
    """`abandoned`: given up, so that another one could begin."""

    RUNNING = "running"
    DONE = "done"
    ABANDONED = "abandoned"


backfill_run = Table(
    "backfill_run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("state", EnumText(BackfillState), nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    # Version of the rules for its orders; null: the version in force when each order is settled.
    Column("programme_version", Integer),
    Column("with_signup", Boolean, nullable=False),
    # Orders placed before this time are in the inbox.
    Column("seen_until", DateTime(timezone=True), nullable=False),
    Column("orders", Integer, nullable=False, server_default="0"),
    Column("kept", Integer, nullable=False, server_default="0"),
    Column("customers", Integer, nullable=False, server_default="0"),
    Column("actor", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("finished_at", DateTime(timezone=True)),
    one_of("state", BackfillState),
    # Only one run at a time: two would count each other's orders.
    Index("uq_backfill_run_running", "state", unique=True, postgresql_where=text("state = 'running'")),
)


class UnfinishedBackfill(Conflict):
    """Another backfill was started and not finished."""

    code = "unfinished_backfill"


@dataclass(frozen=True, kw_only=True)
class BackfillOptions(TypedRow):
    """Options of a backfill: which orders, by time of placement, and which rules. Default for `until`: its start."""

    since: datetime
    until: datetime | None
    programme_version: int | None
    with_signup: bool


@dataclass(kw_only=True)
class CurrencyPreview:
    """Counts of new orders in one currency; `earning` of them earn points."""

    currency_code: str
    orders: int = 0
    earning: int = 0
    dust: int = 0


@dataclass(kw_only=True)
class Preview:
    """What a backfill would do. `notes` counts orders that earn nothing, by reason; `expired` counts expired points."""

    seen: int = 0
    known: int = 0
    orders: int = 0
    dust: int = 0
    customers: int = 0
    expired: int = 0
    customers_for_signup: int = 0
    signup: int = 0
    by_currency: list[CurrencyPreview] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class BackfillProgress:
    """Progress of a run: number of orders seen since its start, events that need their own task, unreadable orders."""

    orders: int
    split_off: tuple[str, ...]
    unreadable: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Run(TypedRow):
    """A backfill run. `kept` of its `orders` were new; `waiting` is the number of all pending events in the inbox."""

    id: str
    state: BackfillState
    since: datetime
    until: datetime
    programme_version: int | None
    with_signup: bool
    seen_until: datetime
    orders: int
    kept: int
    customers: int
    waiting: int


def preview(
    medusa: Medusa, options: BackfillOptions, *, now: datetime, progress: Callable[[int], None] = lambda _: None
) -> Preview:
    """Settle the orders in a sandbox, without effect. Raises `MedusaAway`, `UnknownVersion`, `NoTemporaryTables`."""
    with transaction() as connection:
        rules = version_numbered(connection, options.programme_version).programme
    result = Preview()
    currencies: dict[str, str] = {}
    until = options.until or now
    with sandbox(rules, now=now) as stage:
        for page in read_pages(medusa.orders_placed_since(options.since), until=until, unreadable=result.unreadable):
            orders = [order for _, order in page]
            with transaction() as connection:
                known = settled_marks(connection, [order.id for order in orders])
            new = [order for order in orders if order.id not in known]
            result.seen += len(orders)
            result.known += len(orders) - len(new)
            currencies |= {order.id: order.currency_code for order in new}
            stage.settle(new, now=now)
            progress(len(orders))
        _add_up(result, stage.rows(), currencies)
        result.expired = stage.expired(now=now)
    if options.with_signup:
        with transaction() as connection:
            # The sign-up bonus is that of the rules in force, independent of the version for the orders.
            result.signup = current_version(connection).programme.bonuses.signup
        result.customers_for_signup = sum(len(accounts) for accounts in _new_customers(medusa, options.since, until))
    return result


def _add_up(result: Preview, rows: Iterator[Row[Any]], currencies: dict[str, str]) -> None:
    by_currency: dict[str, CurrencyPreview] = {}
    notes: Counter[str] = Counter()
    customers: set[str] = set()
    for row in rows:
        code = currencies[row.order_id]
        counts = by_currency.setdefault(code, CurrencyPreview(currency_code=code))
        counts.orders += 1
        result.orders += 1
        if row.booked:
            counts.earning += 1
            counts.dust += row.booked
            result.dust += row.booked
            customers.add(row.customer_id)
        else:
            notes[row.note or "Nothing in the order earns points."] += 1
    result.customers = len(customers)
    result.by_currency = [by_currency[code] for code in sorted(by_currency)]
    result.notes = dict(notes.most_common())


def open_run(options: BackfillOptions, *, restart: bool = False) -> Run | None:
    """The unfinished run with the same options, to be continued; None if there is no unfinished run.

    Raises `UnfinishedBackfill` if the unfinished run has other options. With `restart`, any unfinished run is dropped.
    """
    with transaction() as connection:
        row = connection.execute(
            select(backfill_run).where(backfill_run.c.state == BackfillState.RUNNING).with_for_update()
        ).one_or_none()
        if row is None:
            return None
        if restart:
            connection.execute(
                update(backfill_run).where(backfill_run.c.id == row.id).values(state=BackfillState.ABANDONED)
            )
            return None
        started = BackfillOptions.from_row(row)
        if options in {started, replace(started, until=None)}:
            return _run(connection, row)
        raise UnfinishedBackfill(
            f"Another backfill, of orders from {row.since:%Y-%m-%d} to {row.until:%Y-%m-%d}, was not finished: give its"
            " options again to go on with it, or --restart to give it up."
        )


def start_run(options: BackfillOptions, *, actor: str, now: datetime) -> Run:
    """Start a run, or continue the unfinished one. Raises `UnfinishedBackfill`, `UnknownVersion`."""
    earlier = open_run(options)
    if earlier is not None:
        return earlier
    with transaction() as connection:
        version_numbered(connection, options.programme_version)
        row = connection.execute(
            insert(backfill_run)
            .values(
                id=new_id("dbf"),
                state=BackfillState.RUNNING,
                **vars(replace(options, until=options.until or now)),
                seen_until=options.since,
                actor=actor,
                created_at=now,
            )
            .on_conflict_do_nothing()
            .returning(backfill_run)
        ).one_or_none()
        if row is None:
            raise UnfinishedBackfill("Another backfill has just begun: wait for it, or go on with it.")
        return _run(connection, row)


def run_backfill(medusa: Medusa, run_id: str, *, send_webhooks: bool = False) -> Iterator[BackfillProgress]:
    """Put the run's orders into the inbox and process the inbox, page by page. Raises `MedusaAway`.

    Without `send_webhooks` no outgoing webhooks are sent, because customers do not want a mail about a two-year-old
    order.
    """
    source = SOURCE if send_webhooks else QUIET_SOURCE
    with transaction() as connection:
        run = connection.execute(select(backfill_run).where(backfill_run.c.id == run_id)).one()
    seen = run.orders
    unreadable: list[str] = []
    for page in read_pages(medusa.orders_placed_since(run.seen_until), until=run.until, unreadable=unreadable):
        if not page:
            continue
        if run.programme_version is not None:
            with transaction() as connection:
                _pin_version(connection, [order.id for _, order in page], run.programme_version)
        result = ReconcileResult(since=run.since)
        compare_orders([document for document, _ in page], result, dry_run=False, source=source)
        # A continued run reads the last orders of the killed run again; they are not counted twice.
        fresh = [order for _, order in page if order.placed_at > run.seen_until or not run.orders]
        seen += len(fresh)
        kept_in_all, seen_until = backfill_run.c.kept + len(result.drifted), page[-1][1].placed_at
        with transaction() as connection:
            _update_run(connection, run_id, orders=seen, kept=kept_in_all, seen_until=seen_until)
        yield BackfillProgress(orders=seen, split_off=tuple(_process_inbox()), unreadable=tuple(unreadable))
        unreadable.clear()
    if run.with_signup:
        for customers in _new_customers(medusa, run.since, run.until):
            with transaction() as connection:
                # The suffix makes a new event, as an account may be in the inbox from before there was a bonus.
                kept = store_customers(connection, customers, id_suffix=_SIGNUP_SUFFIX, source=source)
                _update_run(connection, run_id, customers=backfill_run.c.customers + len(kept))
            yield BackfillProgress(orders=seen, split_off=tuple(_process_signups(medusa)), unreadable=())
    yield BackfillProgress(orders=seen, split_off=tuple(_process_inbox()), unreadable=tuple(unreadable))


def _pin_version(connection: Connection, order_ids: list[OrderId], number: int) -> None:
    """Pin the version of the rules for orders that are not settled yet."""
    rows = [{"order_id": order_id, "programme_version": number} for order_id in order_ids]
    connection.execute(insert(order_settlement).on_conflict_do_nothing(), rows)


def _process_inbox() -> Iterator[str]:
    """Process the inbox, concurrently with any worker. Yields the ids of events that need their own task."""
    while True:
        batch = process_batch()
        yield from batch.split_off
        if not batch.more:
            return


def _process_signups(medusa: Medusa) -> Iterator[str]:
    """As `_process_inbox`, and also processes sign-up events that need a call to Medusa."""
    for event_id in _process_inbox():
        if not event_id.endswith(_SIGNUP_SUFFIX):
            yield event_id
            continue
        # The inbox records events that are rescheduled or failed.
        with suppress(RetryLater, EventFailed):
            process_event(event_id, medusa)


def _update_run(connection: Connection, run_id: str, **figures: Any) -> None:
    connection.execute(update(backfill_run).where(backfill_run.c.id == run_id).values(**figures))


def _new_customers(medusa: Medusa, since: datetime, until: datetime) -> Iterator[list[CustomerAccount]]:
    """Accounts of that period with a sign-up bonus due, oldest first: at most one per account and per mailbox."""
    taken: set[bytes] = set()
    for page in medusa.customers_created_since(since):
        accounts = accounts_among(page)
        with transaction() as connection:
            due = due_signup_bonuses(connection, accounts.values(), taken=taken)
        yield [
            account
            for customer_id, account in accounts.items()
            if customer_id in due and (account.created_at is None or account.created_at < until)
        ]


def finish_run(run_id: str, *, now: datetime) -> Run:
    """Mark the run as done."""
    with transaction() as connection:
        row = connection.execute(
            update(backfill_run)
            .where(backfill_run.c.id == run_id)
            .values(state=BackfillState.DONE, finished_at=now)
            .returning(backfill_run)
        ).one()
        return _run(connection, row)


def _run(connection: Connection, row: Row[Any]) -> Run:
    waiting = select(func.count()).where(webhook_event.c.state == EventState.PENDING)
    return Run.from_row(row, waiting=connection.scalar(waiting) or 0)
