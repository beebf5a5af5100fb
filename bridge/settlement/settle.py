"""Settle orders to their target: the one path for webhooks, reconcile, backfill and an operator's retry.

    target  = what the programme version of the order's first settlement gives for the order as it now is
    booked  = what the ledger holds for it
    post      target - booked, in the transaction that also remembers these facts

A guest's order has nobody to book it for; what it should hold waits in `guest_escrow` instead, see `escrow.py`.

Locks are taken in one order everywhere: order_settlement, guest_escrow, dust_redemption, dust_balance, each by id.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from bridge.bulk import among, insert_rows, update_rows
from bridge.ids import CustomerId, OrderId
from bridge.ledger.account import Account, Kind, Memo
from bridge.ledger.book import open_accounts, save, spent_lots
from bridge.medusa.orders import Order
from bridge.products.settings import dust_only_among
from bridge.programme.rules import EarnWhen
from bridge.programme.versions import Version, current_version, versions_by_number
from bridge.programme.worth import Earning, LineTerms, earning
from bridge.redemptions.promises import Redemption, lock_redemptions_of_orders
from bridge.redemptions.tables import State
from bridge.redemptions.uses import book_use, is_used_by
from bridge.settlement.escrow import (
    Escrow,
    lock_escrows,
    open_escrow,
    owner_of,
    settle_escrows,
    why_nobody_earns,
)
from bridge.settlement.lines import dust_only_lines, earning_lines, line_notes, terms_of_lines
from bridge.settlement.tables import EscrowState, order_settlement
from bridge.tracing import span


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What came of settling one order. `stale` means that newer facts had been seen before; nothing was done."""

    order_id: OrderId
    customer_id: CustomerId | None
    booked: int
    waived: int = 0
    change: int = 0
    stale: bool = False
    note: str | None = None


_NOTHING = Earning(dust=0, lines={})


@dataclass(kw_only=True)
class _Case:
    """One order on its way through settlement: its facts, its row, and the target that follows from both."""

    order: Order
    row: Row[Any]
    version: Version
    earning_due: bool
    dust_only_lines: frozenset[str]
    terms: Mapping[str, LineTerms]
    known_escrow: Escrow | None
    escrow: Escrow | None
    """What waited for a guest before, and how it is now; without the dust, which the target says."""
    earned: Earning = _NOTHING
    redemptions: list[Redemption] = field(default_factory=list)
    spent: dict[str, dict[str, int]] = field(default_factory=dict)
    """By redemption that is captured: what its dust came from, by lot. Their rows are locked, so it stays so."""

    @property
    def owner(self) -> CustomerId | None:
        """Whose dust it is; None for a guest's."""
        return owner_of(self.order, self.escrow)

    @property
    def target(self) -> int:
        """What the book should hold for the order."""
        return self.earned.dust if self.owner else 0

    @property
    def escrowed(self) -> int:
        """What should wait for a guest instead."""
        return self.earned.dust if self.escrow and self.escrow.state is EscrowState.WAITING else 0

    @property
    def moves_away(self) -> bool:
        """Whether dust was booked for a customer who no longer owns the order."""
        return bool(self.row.booked > 0 and self.row.customer_id != self.owner)

    @property
    def product_codes(self) -> frozenset[str]:
        """Codes in the order that take whole units off."""
        return frozenset(code.code for each in self.redemptions for code in each.codes if code.product_id)

    @property
    def only_earns(self) -> bool:
        grows = self.target >= int(self.row.booked) - int(self.row.waived)
        return grows and not self.moves_away and not self.redemptions


def settle_orders(connection: Connection, orders: Iterable[Order], *, now: datetime) -> dict[OrderId, Settled]:
    """Bring the ledger to what these orders, as they now are, should have. Any number at once, in any order."""
    newest: dict[OrderId, Order] = {}
    for order in orders:
        known = newest.get(order.id)
        if known is None or order.age >= known.age:
            newest[order.id] = order
    if not newest:
        return {}
    rows = _lock_rows(connection, sorted(newest))
    settled = {
        order_id: _stale(rows[order_id]) for order_id, order in newest.items() if _is_stale(rows[order_id], order)
    }  # fmt: skip
    fresh = [order for order_id, order in newest.items() if order_id not in settled]
    cases = _open_cases(connection, fresh, rows, now)
    accounts = _open_accounts(connection, cases)
    with span("settlement.settle", orders=len(cases), customers=len(accounts)):
        for case in sorted(cases, key=lambda case: case.order.id):
            settled[case.order.id] = _settle(connection, case, accounts, now)
        save(connection, accounts.values())
        guests = [(case.order, case.known_escrow, case.escrow, case.escrowed) for case in cases if case.escrow]
        settle_escrows(connection, guests, now=now)
        _write_rows(connection, cases, settled, now)
    return settled


def _lock_rows(connection: Connection, order_ids: list[OrderId]) -> dict[OrderId, Row[Any]]:
    insert_rows(connection, order_settlement, [{"order_id": who} for who in order_ids])
    query = (
        select(order_settlement)
        .where(among(order_settlement.c.order_id, order_ids))
        .order_by(order_settlement.c.order_id)
        .with_for_update()
    )
    return {OrderId(row.order_id): row for row in connection.execute(query)}


def _is_stale(row: Row[Any], order: Order) -> bool:
    return row.facts_version is not None and order.age < (row.facts_version, row.facts_updated_at)


def _stale(row: Row[Any]) -> Settled:
    return Settled(
        order_id=OrderId(row.order_id),
        customer_id=row.customer_id,
        booked=row.booked,
        waived=row.waived,
        stale=True,
        note="Newer facts of this order were settled before.",
    )


def _open_cases(
    connection: Connection, orders: list[Order], rows: Mapping[OrderId, Row[Any]], now: datetime
) -> list[_Case]:
    if not orders:
        return []
    current = current_version(connection)
    numbers = {rows[order.id].programme_version for order in orders} - {None}
    versions = versions_by_number(connection, numbers) | {current.number: current}
    products = {line.product_id for order in orders for line in order.lines if line.product_id}
    dust_only = dust_only_among(connection, products)
    # Nothing is asked for orders of accounts, which were never a guest's.
    escrows = lock_escrows(connection, [order.id for order in orders if order.is_guest or rows[order.id].guest])
    cases = []
    for order in orders:
        row = rows[order.id]
        version = current if row.programme_version is None else versions[row.programme_version]
        cases.append(
            _Case(
                order=order,
                row=row,
                version=version,
                earning_due=row.earning_due or _is_due(version, order),
                dust_only_lines=dust_only_lines(order, row.lines, dust_only),
                terms=terms_of_lines(order, row.lines, version.programme.earn),
                known_escrow=escrows.get(order.id),
                escrow=open_escrow(order, escrows.get(order.id), version, now=now),
            )
        )
    _add_redemptions(connection, cases)
    for case in cases:
        case.earned = _earned(case)
    return cases


def _is_due(version: Version, order: Order) -> bool:
    match version.programme.earn.when:
        case EarnWhen.PLACED:
            return True
        case EarnWhen.CAPTURED:
            return order.paid
        case EarnWhen.COMPLETED:
            return order.completed


def _earned(case: _Case) -> Earning:
    order, rules = case.order, case.version.programme.earn
    if order.is_draft:
        return Earning(dust=0, lines={}, why="A draft: it earns once it is an order.")
    if order.canceled:
        return Earning(dust=0, lines={}, why="The order is canceled.")
    if why_nobody := why_nobody_earns(order, case.escrow):
        return Earning(dust=0, lines={}, why=why_nobody)
    if not case.earning_due:
        return Earning(dust=0, lines={}, why=f"The order earns once {rules.when} has happened.")
    return earning(
        rules,
        currency_code=order.currency_code,
        lines=earning_lines(order, case.terms, case.redemptions),
        shipping_net=order.shipping_net * order.kept_share,
        shipping_gross=order.shipping_gross * order.kept_share,
        without=case.dust_only_lines,
    )


def _add_redemptions(connection: Connection, cases: list[_Case]) -> None:
    codes = {code for case in cases for code in case.order.codes}
    for redemption in lock_redemptions_of_orders(connection, codes=codes, order_ids=[case.order.id for case in cases]):
        for case in cases:
            # A draft may be thrown away without a word, and would keep the dust.
            if is_used_by(redemption, case.order) and not case.order.is_draft:
                case.redemptions.append(redemption)


def _open_accounts(connection: Connection, cases: list[_Case]) -> dict[CustomerId, Account]:
    """Lock everybody concerned. Who only earns is opened without lots, which is what most orders need."""
    quick: set[CustomerId] = set()
    whole: set[CustomerId] = set()
    extra_lots: set[str] = set()
    for case in cases:
        owners = {case.owner} if case.target else set()
        owners |= {CustomerId(case.row.customer_id)} if case.row.booked > 0 else set()
        owners |= {redemption.customer_id for redemption in case.redemptions}
        (quick if case.only_earns else whole).update(owner for owner in owners if owner)
        for redemption in case.redemptions:
            if redemption.state is State.CAPTURED:
                case.spent[redemption.id] = spent_lots(connection, redemption.customer_id, redemption.id)
                extra_lots |= case.spent[redemption.id].keys()
    if whole:
        return open_accounts(connection, quick | whole, extra_lots=extra_lots)
    return open_accounts(connection, quick, lots=False)


def _settle(connection: Connection, case: _Case, accounts: Mapping[CustomerId, Account], now: datetime) -> Settled:
    order, row = case.order, case.row
    booked, waived = row.booked, row.waived
    if case.moves_away:
        # What the old owner can no longer give back stays with them, and is no concern of this order any more.
        _take_back(case, accounts[CustomerId(row.customer_id)], booked - waived, now, "Order went to another customer")
        booked = waived = 0
    difference = case.target - (booked - waived)
    if difference < 0:
        taken = _take_back(case, accounts[CustomerId(row.customer_id)], -difference, now, _why_less(order))
        booked, waived = booked - taken, waived - difference - taken
    elif difference > 0 and case.owner is not None:
        # What was waived is still with the customer: it counts first when the order grows again.
        forgiven = min(waived, difference)
        waived -= forgiven
        if difference > forgiven:
            _earn(case, accounts[case.owner], difference - forgiven, now)
        booked += difference - forgiven
    for redemption in case.redemptions:
        spent = case.spent.get(redemption.id, {})
        book_use(
            connection,
            accounts[redemption.customer_id],
            redemption,
            order,
            product_codes=case.product_codes,
            spent=spent,
            now=now,
        )
    return Settled(
        order_id=order.id,
        customer_id=case.owner or order.customer_id,
        booked=booked,
        waived=waived,
        change=booked - row.booked,
        note=case.earned.why or _what_waits(case),
    )


def _what_waits(case: _Case) -> str | None:
    if not case.escrow or case.escrow.state is not EscrowState.WAITING:
        return None
    return f"A guest's order: {case.escrowed} dust wait until {case.escrow.expires_at:%d %b %Y} to be claimed."


def _why_less(order: Order) -> str:
    return "Order canceled" if order.canceled else "Order returned or changed"


def _take_back(case: _Case, account: Account, amount: int, now: datetime, description: str) -> int:
    if not amount:
        return 0
    memo = _memo(case, Kind.REVERSE, description, case.order.updated_at)
    return account.take_back(amount, memo, now=now, policy=case.version.programme.reversal.negative_balance)


def _earn(case: _Case, account: Account, amount: int, now: datetime) -> None:
    matures_at, expires_at = case.version.programme.earn.dates(case.order.placed_at)
    memo = _memo(case, Kind.EARN, "Earned with an order", case.order.placed_at)
    account.earn(amount, memo, now=now, matures_at=matures_at, expires_at=expires_at)


def _memo(case: _Case, kind: Kind, description: str, event_at: datetime) -> Memo:
    return Memo(
        kind=kind,
        reference_type="order",
        reference_id=case.order.id,
        description=description,
        event_at=event_at,
        programme_version=case.version.number,
    )


def _write_rows(connection: Connection, cases: list[_Case], settled: Mapping[OrderId, Settled], now: datetime) -> None:
    rows = [_row_values(case, settled[case.order.id], now) for case in cases]
    update_rows(connection, order_settlement, rows, key=("order_id",))


def _row_values(case: _Case, outcome: Settled, now: datetime) -> dict[str, Any]:
    order = case.order
    return {
        "order_id": order.id,
        "customer_id": outcome.customer_id,
        "buyer_id": order.customer_id if outcome.customer_id != order.customer_id else None,
        # Stays true once it was: what waited for the guest, and whether it is over, counts for the account as well.
        "guest": order.is_guest or case.row.guest,
        "facts_version": order.version,
        "facts_updated_at": order.updated_at,
        # The rules that hold when the order is placed, not those of the day somebody began to draft it.
        "programme_version": None if order.is_draft else case.version.number,
        "earning_due": case.earning_due and not order.is_draft,
        "booked": outcome.booked,
        "waived": outcome.waived,
        "escrowed": case.escrowed,
        "lines": line_notes(order, case.terms, case.dust_only_lines, case.earned.lines),
        "unpaid_dust_only": _has_unpaid_dust_only(case),
        "awaits_payment": order.awaits_payment and not order.canceled,
        "note": outcome.note,
        "placed_at": order.placed_at,
        "updated_at": now,
    }


def _has_unpaid_dust_only(case: _Case) -> bool:
    """Whether money, or another discount, stands where dust should: a draft order, an edit or an exchange.

    A merchant may do so on purpose, so it only tells; the checkout of the storefront refuses such a cart.
    """
    codes = {code.code for redemption in case.redemptions for code in redemption.codes if code.product_id}
    return not (case.order.canceled or case.order.is_draft) and any(
        line.gross > 0 or codes.isdisjoint(use.code for use in line.code_uses)
        for line in case.order.lines
        if line.id in case.dust_only_lines and line.stands
    )


def unpaid_orders(connection: Connection, *, limit: int) -> list[OrderId]:
    """The newest orders with products for dust alone that dust has not paid."""
    query = select(order_settlement.c.order_id).where(order_settlement.c.unpaid_dust_only)
    newest = query.order_by(order_settlement.c.order_id.desc()).limit(limit)
    return [OrderId(found) for found in connection.scalars(newest)]
