"""Compare settled orders with Medusa, and settle those that differ by Medusa's answer.

A webhook is settled at once and compared a minute later, a young order again when it is 15 minutes old. Each run also
compares a few older orders, chosen at random. This finds deleted orders and forged snapshots, which have no event.

    due rows (transaction) ─▶ one list of orders from Medusa (no transaction) ─▶ settle (transaction)

Each page, or each part of it that Medusa gives, is its own transaction. If the process is killed, the rows are still
due.
"""

import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, select, text, update

from bridge.clock import now
from bridge.db import transaction
from bridge.db.bulk import among
from bridge.errors import DustError, Unavailable
from bridge.ids import OrderId
from bridge.inbox.orders_in_parts import Part, orders_in_parts
from bridge.inbox.tables import EventState, webhook_event
from bridge.medusa.client import Medusa
from bridge.medusa.errors import MedusaAway, UnknownInMedusa
from bridge.medusa.orders import Order, deleted_order, read_order
from bridge.redemptions.repository import clear_second_uses, orders_of_freed_codes
from bridge.settlement.facts import check_now, read_revisions
from bridge.settlement.settle import settle_orders
from bridge.settlement.tables import order_settlement

log = structlog.get_logger(__name__)

PAGE = 100
# The next run takes the remaining pages.
MAX_PAGES = 3
_MAX_SECONDS = 20.0
# Older orders that are compared with each page, chosen at random.
SAMPLE = 20
# How long Medusa must not have had an order before it counts as deleted.
MISSING_FOR = timedelta(minutes=3)
_MAX_SINGLE_CALLS = 20
# How long an order for which Medusa fails waits for its next comparison.
FAILED_AT_MEDUSA_DELAY = timedelta(hours=1)
# If Medusa knows none of at least this many orders, it is the wrong Medusa or one restored from a backup.
_MIN_KNOWN_BY_NONE = 10


@dataclass(kw_only=True)
class ComparisonResult:
    """The result of a comparison.

    `differs` lists for each order how its settled state differed from Medusa's.
    """

    seen: int = 0
    differs: dict[OrderId, tuple[str, ...]] = field(default_factory=dict)
    missing: list[OrderId] = field(default_factory=list)
    """Orders that Medusa does not have, and that are not yet settled as deleted."""
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """Medusa's answers about a part. `absent` are the orders that it says it does not have."""

    orders: list[Order]
    absent: list[OrderId]
    unreadable: list[OrderId]
    failed_at_medusa: list[OrderId]
    """Orders for which Medusa fails; they are requested again later."""


def check_due(medusa: Medusa, *, dry_run: bool = False) -> ComparisonResult:
    """Compare the orders that are due and a random sample, and settle those that differ. Raises `MedusaAway`."""
    result, end = ComparisonResult(), time.monotonic() + _MAX_SECONDS
    for _ in range(1 if dry_run else MAX_PAGES):
        with transaction() as connection:
            if not dry_run:
                _schedule_freed(connection)
            due = _due(connection)
            chosen = list(dict.fromkeys(due + _sample(connection, SAMPLE)))
            left_out = _with_pending_events(connection, chosen)
        chosen = [order_id for order_id in chosen if order_id not in left_out]
        _compare(medusa, chosen, result, end=math.inf if dry_run else end, dry_run=dry_run)
        if (len(due) < PAGE and not result.differs) or time.monotonic() > end:
            break
    return result


def compare_sample(medusa: Medusa, size: int) -> ComparisonResult:
    """Compare `size` settled orders, chosen at random, without changing anything. Raises `MedusaAway`."""
    with transaction() as connection:
        order_ids = _sample(connection, size)
    result = ComparisonResult()
    for start in range(0, len(order_ids), PAGE):
        _compare(medusa, order_ids[start : start + PAGE], result, end=math.inf, dry_run=True)
    return result


def _with_pending_events(connection: Connection, order_ids: Collection[OrderId]) -> set[OrderId]:
    """Return the orders among these that have events not settled yet. They differ for now, and are left out."""
    query = select(webhook_event.c.subject).where(
        among(webhook_event.c.subject, list(order_ids)), webhook_event.c.state == EventState.PENDING
    )
    return {OrderId(order_id) for order_id in connection.scalars(query)}


def _due(connection: Connection) -> list[OrderId]:
    query = select(order_settlement.c.order_id).where(order_settlement.c.check_at <= now())
    return [
        OrderId(order_id) for order_id in connection.scalars(query.order_by(order_settlement.c.check_at).limit(PAGE))
    ]


def _sample(connection: Connection, size: int) -> list[OrderId]:
    """Return random settled orders. Samples some pages of the table instead of reading all of it."""
    rows = connection.scalar(text("SELECT reltuples FROM pg_class WHERE oid = 'order_settlement'::regclass")) or 0
    percent = min(100.0, 100.0 * 50 * size / max(rows, 1))
    query = text(
        "SELECT order_id FROM order_settlement TABLESAMPLE SYSTEM (:percent)"
        " WHERE facts_version IS NOT NULL ORDER BY random() LIMIT :size"
    )
    return [OrderId(order_id) for order_id in connection.scalars(query, {"percent": percent, "size": size})]


def _schedule_freed(connection: Connection) -> None:
    """Schedule orders whose code a deleted order had used: they use it now."""
    if order_ids := orders_of_freed_codes(connection):
        check_now(connection, order_ids, now=now())
        clear_second_uses(connection, order_ids)


def _compare(
    medusa: Medusa, order_ids: Sequence[OrderId], result: ComparisonResult, *, end: float, dry_run: bool
) -> None:
    """Compare these orders. After `end` (of `time.monotonic`), those that are left stay due. Raises `MedusaAway`."""
    with transaction() as connection:
        revisions = read_revisions(connection, order_ids)
    known = 0
    absent: list[OrderId] = []
    failed: list[OrderId] = []
    for part in orders_in_parts(medusa, order_ids, max_seconds=max(0.0, end - time.monotonic())):
        answers = _read_answers(medusa, part, end=end)
        result.seen += len(part.order_ids)
        _settle_answers(answers, revisions, result, dry_run=dry_run)
        known += len(answers.orders) + len(answers.unreadable)
        absent += answers.absent
        failed += answers.failed_at_medusa
    many = len(order_ids) >= _MIN_KNOWN_BY_NONE
    if many and len(failed) == len(order_ids):
        raise MedusaAway("Medusa gives none of these orders.")
    result.unreadable += [order_id for order_id in failed if order_id not in result.unreadable]
    if not dry_run:
        _check_at(failed, now() + FAILED_AT_MEDUSA_DELAY)
    if known or not many:
        _settle_absent(absent, revisions, result, dry_run=dry_run)
    elif not failed:
        log.error("orders_unknown_in_medusa", orders=len(order_ids), hint="Is DUST_MEDUSA_URL the right shop?")


def _settle_answers(
    answers: _Answers, revisions: dict[OrderId, int], result: ComparisonResult, *, dry_run: bool
) -> None:
    for failed in _settle_page(answers.orders, revisions, result, dry_run=dry_run):
        log.error("order_not_compared", order_id=failed.id)
        answers.unreadable.append(failed.id)
    result.unreadable += answers.unreadable
    if not dry_run:
        # Asking again would not help: the cause is in the log, and the order's events fail visibly.
        _check_at(answers.unreadable, None)


def _check_at(order_ids: list[OrderId], moment: datetime | None) -> None:
    if order_ids:
        with transaction() as connection:
            these = among(order_settlement.c.order_id, order_ids)
            connection.execute(update(order_settlement).where(these).values(check_at=moment))


def _read_answers(medusa: Medusa, part: Part, *, end: float) -> _Answers:
    """Read the orders of a part. Those that Medusa does not list are requested one by one, until `end`."""
    answers = _Answers(orders=[], absent=[], unreadable=[], failed_at_medusa=[])
    documents = dict(part.documents)
    not_listed = [order_id for order_id in part.order_ids if order_id not in documents]
    if part.failure is not None:
        _note_failed(answers, not_listed[0], part.failure)
        return answers
    if not documents and len(not_listed) >= _MIN_KNOWN_BY_NONE:
        return answers
    for order_id in not_listed[:_MAX_SINGLE_CALLS]:
        if time.monotonic() > end:
            break
        # The list leaves drafts out.
        try:
            documents[order_id] = medusa.order(order_id)
        except UnknownInMedusa:
            answers.absent.append(order_id)
        except MedusaAway as error:
            if not error.only_this_call:
                raise
            _note_failed(answers, order_id, error.message)
    for order_id, document in documents.items():
        try:
            answers.orders.append(read_order(document))
        except Exception as error:
            log.error("order_unreadable", order_id=order_id, reason=str(error))
            answers.unreadable.append(order_id)
    return answers


def _note_failed(answers: _Answers, order_id: OrderId, reason: str) -> None:
    log.error("order_failed_at_medusa", order_id=order_id, reason=reason)
    answers.failed_at_medusa.append(order_id)


def _settle_page(
    orders: list[Order], revisions: dict[OrderId, int], result: ComparisonResult, *, dry_run: bool
) -> Iterator[Order]:
    """Settle a page at once, or each order by itself if that fails. Yields the orders that fail even then."""
    try:
        _settle(orders, revisions, result, dry_run=dry_run)
    except Unavailable:
        raise
    except Exception:
        log.exception("page_not_compared", orders=len(orders))
        for order in orders:
            try:
                _settle([order], revisions, result, dry_run=dry_run)
            except Unavailable:
                raise
            except Exception:
                yield order


def _settle(orders: list[Order], revisions: dict[OrderId, int], result: ComparisonResult, *, dry_run: bool) -> None:
    asked = {order.id: revisions[order.id] for order in orders}
    with transaction() as connection:
        settled = settle_orders(connection, orders, now=now(), asked=asked)
        if dry_run:
            connection.rollback()
    for order_id, settled_order in settled.items():
        if settled_order.differences:
            result.differs[order_id] = settled_order.differences
            if not dry_run:
                log.warning(
                    "order_differed",
                    order_id=order_id,
                    differences=settled_order.differences,
                    dust=settled_order.change,
                )


def _settle_absent(
    absent: list[OrderId], revisions: dict[OrderId, int], result: ComparisonResult, *, dry_run: bool
) -> None:
    """Mark orders that Medusa does not have; settle them to zero once they have been missing for `MISSING_FOR`."""
    if not absent:
        return
    columns = order_settlement.c
    with transaction() as connection:
        query = select(order_settlement).where(among(columns.order_id, absent), ~columns.gone)
        if not dry_run:
            # Orders known as deleted need no further check.
            known = update(order_settlement).where(among(columns.order_id, absent), columns.gone)
            connection.execute(known.values(check_at=None))
        rows = [row for row in connection.execute(query) if row.revision == revisions[OrderId(row.order_id)]]
    result.missing += [OrderId(row.order_id) for row in rows]
    if dry_run:
        return
    moment = now()
    for row in sorted(rows, key=lambda row: row.order_id):
        if row.missing_since is not None and row.missing_since <= moment - MISSING_FOR:
            deleted = deleted_order(
                OrderId(row.order_id),
                customer_id=row.buyer_id or row.customer_id,
                is_guest=row.guest,
                currency_code=row.currency_code or "",
                version=row.facts_version,
                placed_at=row.placed_at,
                updated_at=row.facts_updated_at,
            )
            try:
                _settle([deleted], revisions, result, dry_run=False)
            except DustError as error:
                log.error("order_not_compared", order_id=row.order_id, reason=error.message)
        else:
            _store_missing(row.order_id, row.revision, moment)


def _store_missing(order_id: str, revision: int, moment: datetime) -> None:
    columns = order_settlement.c
    with transaction() as connection:
        connection.execute(
            update(order_settlement)
            .where(columns.order_id == order_id, columns.revision == revision, columns.missing_since.is_(None))
            .values(missing_since=moment, check_at=moment + MISSING_FOR)
        )
    log.warning("order_missing_in_medusa", order_id=order_id)
