"""Reads and writes accounts; the only code that writes to the ledger.

    with transaction() as connection:
        accounts = open_accounts(connection, [customer_id])
        accounts[customer_id].earn(...)
        save(connection, accounts.values())

Locks are taken in the sequence of the customer ids, so writers wait for each other without deadlocks.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Literal

from sqlalchemy import Column, Connection, Row, Select, and_, func, literal_column, or_, select, text, tuple_

from bridge.clock import now
from bridge.db.bulk import among, insert_missing, insert_rows, update_rows
from bridge.ids import CustomerId
from bridge.ledger.account import Account
from bridge.ledger.lots import REVERSIBLE, Lot
from bridge.ledger.outgoing_webhooks import store_webhooks
from bridge.ledger.postings import Transaction
from bridge.ledger.tables import customer_merge, dust_balance, dust_lot, dust_lot_use, dust_transaction
from bridge.ledger.totals import add_to_totals

# What an account has of its row in `dust_balance`.
_BALANCE_COLUMNS = ("customer_id", "balance", "held", "pending", "debt", "waived", "waived_at", "version", "head")


def read_spendable(connection: Connection, customer_id: CustomerId, *, now: datetime) -> int:
    """Return the points that the customer may spend at `now`, as if everything due were posted. Waits for no lock."""
    account = open_accounts(connection, [customer_id], lock=False)[customer_id]
    account.book_due(now=now)
    return max(0, account.available)


def open_accounts(
    connection: Connection,
    customer_ids: Iterable[CustomerId],
    *,
    lots: bool = True,
    extra_lots: Collection[str] = (),
    expired_of: Collection[str] = (),
    lock: bool = True,
) -> dict[CustomerId, Account]:
    """Lock these customers until the transaction ends, and load their accounts; unknown ones get an empty account.

    `lots=False` is faster, and enough if only `earn` will be called. Accounts in debt are loaded with lots anyway:
    pending lots may be due, and pay the debt before the new earning does. `extra_lots` are loaded even if they are
    empty, because a return gives back to them. Expired points are loaded for the sources in `expired_of` (ids of
    orders, for example), and what reversals of them need to know of spent points. Survivors of merged
    accounts are locked and returned too. Without `lock` the accounts are for reading only, and must not be saved.
    """
    requested_ids = set(customer_ids)
    if not requested_ids:
        return {}
    merges = _merges(connection, requested_ids)
    former = connection.execute(_FORMER_SURVIVORS, {"customers": list(requested_ids)}).all() if expired_of else []
    all_ids = sorted(requested_ids | {CustomerId(row.survivor_id) for row in (*merges, *former)})
    accounts = _lock_accounts(connection, all_ids) if lock else _read_accounts(connection, all_ids)
    with_lots = [customer_id for customer_id, account in accounts.items() if lots or merges or account.debt]
    _load_lots(connection, accounts, with_lots, extra_lots)
    if expired_of:
        _load_expired_and_spent(connection, accounts, expired_of)
    for row in former:
        survivor = accounts[CustomerId(row.survivor_id)]
        accounts[CustomerId(row.customer_id)].former_survivors.append((survivor, row.id, int(row.kept)))
    if merges:
        # Read again under the locks: a merge undone meanwhile must not carry points any more. Points that come into an
        # account merged meanwhile are found by the periodic job, as the other account is not locked here.
        for row in _merges(connection, requested_ids):
            if row.survivor_id in accounts:
                merged = accounts[CustomerId(row.customer_id)]
                merged.survivor, merged.merge_id = accounts[CustomerId(row.survivor_id)], row.id
    return accounts


def _read_accounts(connection: Connection, customer_ids: Sequence[CustomerId]) -> dict[CustomerId, Account]:
    accounts = {customer_id: Account(customer_id=customer_id) for customer_id in customer_ids}
    return accounts | _accounts_of(connection.execute(_select_balances(customer_ids)))


def _lock_accounts(connection: Connection, customer_ids: Sequence[CustomerId]) -> dict[CustomerId, Account]:
    rows = [{"customer_id": customer_id} for customer_id in customer_ids]
    insert_missing(connection, dust_balance, rows, returning="customer_id")
    return _accounts_of(connection.execute(_select_balances(customer_ids).with_for_update()))


def _select_balances(customer_ids: Sequence[CustomerId]) -> Select[Any]:
    columns = dust_balance.c
    query = select(*(columns[name] for name in _BALANCE_COLUMNS))
    return query.where(among(columns.customer_id, customer_ids)).order_by(columns.customer_id)


def _accounts_of(rows: Iterable[Row[Any]]) -> dict[CustomerId, Account]:
    return {row.customer_id: Account(**row._mapping) for row in rows}


def _load_lots(
    connection: Connection,
    accounts: Mapping[CustomerId, Account],
    customer_ids: Collection[CustomerId],
    extra_lots: Collection[str],
) -> None:
    if not customer_ids:
        return
    wanted = or_(dust_lot.c.remaining > 0, among(dust_lot.c.id, extra_lots))
    for row in connection.execute(select(dust_lot).where(among(dust_lot.c.customer_id, customer_ids), wanted)):
        accounts[CustomerId(row.customer_id)].lots[row.id] = Lot.from_row(row)


def _load_expired_and_spent(
    connection: Connection, accounts: Mapping[CustomerId, Account], source_ids: Collection[str]
) -> None:
    for row in connection.execute(_EXPIRED, {"customers": list(accounts), "sources": list(source_ids)}):
        accounts[CustomerId(row.customer_id)].expired[row.source_id] = int(row.expired)
    for row in connection.execute(_SPENT, {"customers": list(accounts)}):
        account = accounts[CustomerId(row.customer_id)]
        account.spent[row.reference_id], account.overspent[row.reference_id] = int(row.spent), int(row.overspent)


_EXPIRED = text(
    """
    SELECT l.customer_id, l.source_id, -sum(u.remaining) AS expired
    FROM dust_lot l
    JOIN dust_lot_use u ON u.customer_id = l.customer_id AND u.lot_id = l.id
    JOIN dust_transaction t ON t.customer_id = u.customer_id AND t.version = u.version
    WHERE l.customer_id = ANY(:customers) AND l.source_id = ANY(:sources) AND t.kind = 'expire'
    GROUP BY l.customer_id, l.source_id
    """
)
_FORMER_SURVIVORS = text(
    """
    SELECT m.id, m.customer_id, m.survivor_id, sum(t.amount + t.pending) AS kept
    FROM customer_merge m JOIN dust_transaction t
      ON t.customer_id = m.survivor_id AND t.reference_type = 'merge' AND t.reference_id = m.id
    WHERE m.customer_id = ANY(:customers) AND m.unmerged_at IS NOT NULL
    GROUP BY m.id HAVING sum(t.amount + t.pending) > 0
    """
)
_SPENT = text(
    """
    SELECT customer_id, reference_id, -sum(amount) AS spent,
           sum(CASE kind WHEN 'redeem' THEN least(-amount, greatest(-balance_after, 0)) ELSE 0 END) AS overspent
    FROM dust_transaction
    WHERE customer_id = ANY(:customers) AND reference_type = 'redemption' AND kind IN ('redeem', 'refund')
    GROUP BY customer_id, reference_id
    """
)
_ALL_EXPIRED = text(
    """
    SELECT t.customer_id, l.source_id, -sum(u.remaining) AS expired
    FROM dust_transaction t
    JOIN dust_lot_use u ON u.customer_id = t.customer_id AND u.version = t.version
    JOIN dust_lot l ON l.customer_id = u.customer_id AND l.id = u.lot_id
    WHERE t.customer_id = ANY(:customers) AND t.kind = 'expire'
      AND l.source_type = ANY(:reversible)
    GROUP BY t.customer_id, l.source_id
    """
)
_TAKEN = text(
    """
    SELECT t.reference_id, u.customer_id, u.lot_id, -sum(u.remaining) AS taken
    FROM dust_transaction t
    JOIN dust_lot_use u ON u.customer_id = t.customer_id AND u.version = t.version
    JOIN dust_lot l ON l.customer_id = u.customer_id AND l.id = u.lot_id
    WHERE t.customer_id = ANY(:customers) AND t.reference_type IN ('order', 'referral')
      AND t.reference_id = ANY(:sources)
      -- An earning that changes another lot than its own has restored what a reversal took.
      AND (t.kind = 'reverse' OR (t.kind IN ('earn', 'bonus') AND l.origin_version <> t.version))
    GROUP BY t.reference_id, u.customer_id, u.lot_id HAVING sum(u.remaining) < 0
    """
)


def _merges(connection: Connection, customer_ids: Collection[CustomerId]) -> Sequence[Row[Any]]:
    query = select(customer_merge).where(
        among(customer_merge.c.customer_id, customer_ids), customer_merge.c.unmerged_at.is_(None)
    )
    return connection.execute(query).all()


def save(connection: Connection, accounts: Iterable[Account], *, quiet: Collection[str] = ()) -> None:
    """Write the postings of these accounts, and clear them.

    No outgoing webhook is sent for earnings of the `quiet` references (ids of orders, for example). Points that came
    into a merged account are carried over to its survivor here.
    """
    touched = {}
    for account in accounts:
        account.merge(now=now())
        touched[account.customer_id] = account
        touched |= {former.customer_id: former for former, *_ in account.former_survivors}
        if account.survivor is not None:
            touched[account.survivor.customer_id] = account.survivor
    changed = [
        account for account in touched.values() if account.postings or account.dated_lots or account.waived_changed
    ]
    if not changed:
        return
    postings = [posting for account in changed for posting in account.postings]
    insert_rows(connection, dust_transaction, [posting.columns() | {"hash": posting.hash} for posting in postings])
    opened = [lot.id for account in changed for lot in account.opened_lots]
    lot_rows = [
        {"customer_id": account.customer_id, **lot.columns()} for account in changed for lot in account.opened_lots
    ]  # fmt: skip
    insert_rows(connection, dust_lot, lot_rows)
    _update_lots(connection, changed, set(opened))
    uses = [
        {"customer_id": posting.customer_id, "version": posting.version, **vars(move)}
        for posting in postings
        for move in posting.moves
    ]
    insert_rows(connection, dust_lot_use, uses)
    _update_balances(connection, changed)
    add_to_totals(connection, postings)
    store_webhooks(connection, changed, quiet=quiet)
    for account in changed:
        account.postings.clear()
        account.opened_lots.clear()
        account.dated_lots.clear()
        account.waived_changed = False


def _update_lots(connection: Connection, accounts: list[Account], opened: set[str]) -> None:
    touched = {
        (account.customer_id, move.lot_id): account.lots[move.lot_id]
        for account in accounts
        for posting in account.postings
        for move in posting.moves
        if move.lot_id not in opened
    }
    touched |= {
        (account.customer_id, lot_id): account.lots[lot_id]
        for account in accounts
        for lot_id in account.dated_lots - opened
    }
    rows = [
        {
            "customer_id": customer_id,
            "id": lot.id,
            "remaining": lot.remaining,
            "held": lot.held,
            "matured": lot.matured,
            "matures_at": lot.matures_at,
        }
        for (customer_id, _), lot in touched.items()
    ]
    update_rows(connection, dust_lot, rows, key=("customer_id", "id"))


def _update_balances(connection: Connection, accounts: list[Account]) -> None:
    values = attrgetter(*_BALANCE_COLUMNS)
    rows = [dict(zip(_BALANCE_COLUMNS, values(account), strict=True)) for account in accounts]
    update_rows(connection, dust_balance, rows, key=("customer_id",), same={"updated_at": now()})


def reserved_lots(connection: Connection, customer_id: CustomerId, redemption_id: str) -> dict[str, int]:
    """Return what the open hold of a redemption still has, by lot."""
    held = changed_lots(connection, customer_id, "redemption", redemption_id, dust_lot_use.c.held)
    return {lot_id: amount for lot_id, amount in held.items() if amount > 0}


def spent_lots(connection: Connection, customer_id: CustomerId, redemption_id: str) -> dict[str, int]:
    """Return what a redemption took and has not given back, by lot."""
    changes = changed_lots(connection, customer_id, "redemption", redemption_id, dust_lot_use.c.remaining)
    return {lot_id: -change for lot_id, change in changes.items() if change < 0}


def changed_lots(
    connection: Connection,
    customer_id: CustomerId,
    reference_type: Literal["redemption", "merge"],
    reference_id: str,
    column: Column[int],
) -> dict[str, int]:
    """Return by how much the rows with this reference changed the customer's lots; lots without a change are left out.

    `column` is `remaining` or `held` of `dust_lot_use`.
    """
    uses, rows, change = dust_lot_use.c, dust_transaction.c, func.sum(column)
    statement = (
        select(uses.lot_id, change.label("change"))
        .join(dust_transaction, and_(uses.customer_id == rows.customer_id, uses.version == rows.version))
        .where(
            rows.customer_id == customer_id,
            # A literal, not a parameter, so that Postgres uses the partial index.
            rows.reference_type == literal_column(f"'{reference_type}'"),
            rows.reference_id == reference_id,
        )
        .group_by(uses.lot_id)
        .having(change != 0)
    )
    return {row.lot_id: int(row.change) for row in connection.execute(statement)}


def taken_lots(
    connection: Connection, customer_ids: Collection[CustomerId], source_ids: Collection[str]
) -> dict[str, dict[CustomerId, dict[str, int]]]:
    """Return what reversals of these orders and referrals took and did not restore, by source, customer and lot."""
    taken: dict[str, dict[CustomerId, dict[str, int]]] = {}
    if customer_ids and source_ids:
        for row in connection.execute(_TAKEN, {"customers": list(customer_ids), "sources": list(source_ids)}):
            taken.setdefault(row.reference_id, {}).setdefault(row.customer_id, {})[row.lot_id] = int(row.taken)
    return taken


def expired_by_source(connection: Connection, customer_ids: Iterable[CustomerId]) -> dict[CustomerId, dict[str, int]]:
    """Return the expired points of each order, referral and import, by customer and source."""
    expired: dict[CustomerId, dict[str, int]] = {}
    values = {"customers": list(customer_ids), "reversible": list(REVERSIBLE)}
    for row in connection.execute(_ALL_EXPIRED, values):
        expired.setdefault(CustomerId(row.customer_id), {})[row.source_id] = int(row.expired)
    return expired


def transaction_by_key(connection: Connection, customer_id: CustomerId, idempotency_key: str) -> Transaction | None:
    """Return the transaction posted under this key; None without one."""
    row = connection.execute(
        select(dust_transaction).where(
            dust_transaction.c.customer_id == customer_id, dust_transaction.c.idempotency_key == idempotency_key
        )
    ).one_or_none()
    return Transaction.from_row(row) if row else None


def transaction_at(connection: Connection, customer_id: CustomerId, version: int) -> Transaction:
    row = connection.execute(
        select(dust_transaction).where(
            tuple_(dust_transaction.c.customer_id, dust_transaction.c.version) == (customer_id, version)
        )
    ).one()
    return Transaction.from_row(row)


def customers_with_due_lots(
    connection: Connection, moment: datetime, limit: int, *, after: CustomerId | None = None
) -> list[CustomerId]:
    """Return customers with a lot that is due to mature or expire, in the sequence of their ids, from `after` on."""
    maturing = select(dust_lot.c.customer_id).where(
        dust_lot.c.matures_at <= moment, dust_lot.c.remaining > 0, ~dust_lot.c.matured
    )
    expiring = select(dust_lot.c.customer_id).where(
        dust_lot.c.expires_at <= moment, dust_lot.c.remaining > dust_lot.c.held, dust_lot.c.matured
    )
    due = maturing.union(expiring).subquery()
    query = select(due.c.customer_id).order_by(due.c.customer_id).limit(limit)
    if after is not None:
        query = query.where(due.c.customer_id > after)
    return [CustomerId(customer_id) for customer_id in connection.scalars(query)]
