"""Decide which facts of an order count: the known ones, or the new ones.

Facts are an order as one event or one answer of Medusa shows it.

Medusa increments `version` with each change of an order's lines and moves `updated_at`. A payment moves neither, but
the money captured and refunded only grows. That is not always enough: Medusa 2.21.2 takes a version back when it undoes
an order edit, and the clocks of two servers differ. If the marks contradict each other, Dust has to ask Medusa.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, select, update

from bridge.db.bulk import among
from bridge.ids import OrderId
from bridge.medusa.amounts import plain_text
from bridge.medusa.orders import Order
from bridge.settlement.repository import SettlementRow
from bridge.settlement.tables import order_settlement

# A snapshot further in the future than this is refused: clocks of servers differ by less.
MAX_CLOCK_SKEW = timedelta(minutes=5)
# More changes than an order has between two events, or before its first event.
MAX_VERSION_STEP = 100
MAX_FIRST_VERSION = 1000


# When facts from a webhook or a list are compared with Medusa. A young order is compared again, because it may still be
# deleted: a payment provider may take minutes to decline.
CHECK_AFTER = timedelta(minutes=1)
CHECK_YOUNG_AGAIN = timedelta(minutes=15)
# Orders of a backfill come from Medusa itself; after this age they no longer need a comparison.
_BACKFILLED_AFTER = timedelta(days=1)


class Verdict(StrEnum):
    """What comparing facts with the known ones gives."""

    NEWEST = "newest"
    """They count. Equal facts do too."""
    OUTDATED = "outdated"
    UNCLEAR = "unclear"
    """Medusa must be asked."""


@dataclass(frozen=True, kw_only=True)
class FactMarks:
    """The marks that say how new an order's facts are.

    `gone` means that Medusa no longer had the order.
    """

    version: int
    updated_at: datetime
    money: Decimal
    canceled: bool
    gone: bool = False

    @classmethod
    def of(cls, order: Order) -> "FactMarks":
        return cls(
            version=order.version,
            updated_at=order.updated_at,
            money=order.money_moved,
            canceled=order.canceled,
            gone=order.gone,
        )

    @classmethod
    def from_row(cls, row: SettlementRow) -> "FactMarks | None":
        """Read the facts from an order's row; None before the order was settled."""
        if row.facts_version is None or row.facts_updated_at is None:
            return None
        return cls(
            version=row.facts_version,
            updated_at=row.facts_updated_at,
            money=row.facts_money,
            canceled=row.facts_canceled,
            gone=row.gone,
        )


def compare(new: FactMarks, known: FactMarks | None) -> Verdict:
    """Compare `new` facts, from a webhook or a list of orders, with the `known` ones.

    | version | updated_at | result |
    |---|---|---|
    | 1 → 2 | 9:00 → 9:05 | newest |
    | 2 → 2 | 9:05 → 9:05 | newest; outdated if less money had moved |
    | 2 → 1 | 9:05 → 9:00 | outdated |
    | 2 → 1 | 9:05 → 9:10 | unclear: an order edit was undone, or one of them is forged |
    | 1 → 2 | 9:05 → 9:04 | unclear: two servers whose clocks differ |

    A cancel is final in Medusa, so it takes precedence over all other marks.
    """
    if new.gone or new.version > (MAX_FIRST_VERSION if known is None else known.version + MAX_VERSION_STEP):
        return Verdict.UNCLEAR
    if known is None:
        return Verdict.NEWEST
    if known.gone:
        return Verdict.UNCLEAR
    if new.canceled or known.canceled:
        return Verdict.NEWEST if new.canceled else Verdict.OUTDATED
    by_version = (new.version > known.version) - (new.version < known.version)
    by_time = (new.updated_at > known.updated_at) - (new.updated_at < known.updated_at)
    if by_version * by_time < 0:
        return Verdict.UNCLEAR
    if by_version or by_time:
        return Verdict.NEWEST if by_version + by_time > 0 else Verdict.OUTDATED
    return Verdict.NEWEST if new.money >= known.money else Verdict.OUTDATED


def newest_facts(
    rows: Mapping[OrderId, SettlementRow], facts: Iterable[Order], asked: Mapping[OrderId, int]
) -> tuple[list[Order], dict[OrderId, list[Order]], list[Order]]:
    """Return the facts to settle, in sequence; by order those that only Medusa's answer can decide; and the outdated.

    Of equal facts only the last remain. If some facts of an order count and others are unclear, both results have it.
    """
    known = {order_id: FactMarks.from_row(row) for order_id, row in rows.items()}
    fresh: dict[tuple[OrderId, FactMarks], Order] = {}
    unclear: dict[OrderId, list[Order]] = {}
    outdated: list[Order] = []
    for order in facts:
        new = FactMarks.of(order)
        # Medusa's answer counts without a comparison if the order was not settled since we asked.
        is_present_answer = asked.get(order.id) == rows[order.id].revision
        verdict = Verdict.NEWEST if is_present_answer else compare(new, known[order.id])
        if verdict is Verdict.NEWEST:
            fresh[order.id, new] = order
            known[order.id] = new
        elif verdict is Verdict.UNCLEAR:
            unclear.setdefault(order.id, []).append(order)
        else:
            outdated.append(order)
    return list(fresh.values()), unclear, outdated


def age(order: Order) -> tuple[int, datetime, Decimal]:
    """Sort key for facts of one order: the oldest first."""
    return order.version, order.updated_at, order.money_moved


def must_be_settled_before(earlier: Order, later: Order) -> bool:
    """Whether facts have an effect that remains, so that later ones of the same order need a batch of their own.

    Points that pay a debt of the first owner, or that a limit keeps from them, are not the next owner's. Points that
    were paid do not become pending again when an edit raises the order. A paid order qualifies a referral, which counts
    for the referrer's limit although the order is canceled.
    """
    return earlier.customer_id != later.customer_id or (earlier.paid and (later.canceled or not later.paid))


def next_check(order: Order, *, asked: bool, quiet: bool, now: datetime) -> datetime | None:
    """Return when to compare an order with Medusa after its settlement; None if no comparison is due.

    `asked`: it was settled by Medusa's own answer. `quiet`: it came from a backfill.
    """
    age = now - order.placed_at
    if order.gone or (quiet and age > _BACKFILLED_AFTER):
        return None
    if asked:
        return now + CHECK_YOUNG_AGAIN if age < CHECK_YOUNG_AGAIN else None
    return now + CHECK_AFTER


def read_revisions(connection: Connection, order_ids: Collection[OrderId]) -> dict[OrderId, int]:
    """Return how often each of these orders was settled; 0 for an order that never was.

    Read it before asking Medusa for the orders. If the number is the same afterwards, the order was not settled
    meanwhile, and Medusa's answer counts as it is.
    """
    query = select(order_settlement.c.order_id, order_settlement.c.revision).where(
        among(order_settlement.c.order_id, list(order_ids))
    )
    return dict.fromkeys(order_ids, 0) | {OrderId(row.order_id): row.revision for row in connection.execute(query)}


def check_now(connection: Connection, order_ids: Collection[OrderId], *, now: datetime) -> None:
    """Schedule these orders for the next comparison with Medusa, if they were settled."""
    if not order_ids:
        return
    rows = (
        select(order_settlement.c.order_id)
        .where(among(order_settlement.c.order_id, list(order_ids)), order_settlement.c.facts_version.is_not(None))
        .order_by(order_settlement.c.order_id)
        .with_for_update()
    )
    ids = list(connection.scalars(rows))
    if ids:
        due = update(order_settlement).where(among(order_settlement.c.order_id, ids))
        connection.execute(due.values(check_at=func.least(order_settlement.c.check_at, now)))


def name_differences(row: SettlementRow, order: Order, *, booked: int, escrowed: int) -> tuple[str, ...]:
    """Return how an order's settled state differs from Medusa's answer; empty if both agree.

    `booked` and `escrowed` are what the order holds by Medusa's answer.
    """
    known = FactMarks.from_row(row)
    if known is None:
        return ()
    if order.gone:
        return ("Medusa does not have the order any more",)
    buyer = row.buyer_id or row.customer_id
    pairs: Mapping[str, tuple[Any, Any]] = {
        "version": (known.version, order.version),
        "updated_at": (known.updated_at.isoformat(), order.updated_at.isoformat()),
        "money moved": (plain_text(known.money), plain_text(order.money_moved)),
        "canceled": (known.canceled, order.canceled),
        "customer": (buyer, order.customer_id),
        "placed at": (row.placed_at and row.placed_at.isoformat(), order.placed_at.isoformat()),
        "points": (row.booked, booked),
        "points in escrow": (row.escrowed, escrowed),
    }
    differences = [
        f"{name} {ours}, Medusa's order gives {theirs}" for name, (ours, theirs) in pairs.items() if ours != theirs
    ]
    return ("deleted, Medusa has it", *differences) if known.gone else tuple(differences)
