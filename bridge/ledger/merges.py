"""Merge two accounts of one person, and undo a merge.

The merged account keeps its ledger rows and its orders. Its points are carried over to the survivor, lot by lot with
their dates, and so is everything its orders earn or cost from then on (`Account.merge`, by `save`). The rows of
both accounts under the merge's id record what came over. So a merge can be undone: what came over goes back, as far as
it is still there.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, func, literal_column, or_, select, text, update

from bridge.counted import counted
from bridge.db.bulk import among
from bridge.db.rows import TypedRow
from bridge.errors import Conflict, field_error
from bridge.ids import CustomerId, new_id
from bridge.ledger.account import Account
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import changed_lots, open_accounts, save
from bridge.ledger.tables import customer_merge, dust_balance, dust_lot_use, dust_transaction


class MergeRefused(Conflict):
    """These accounts cannot be merged now; the message says what has to be done first."""

    code = "merge_refused"


class NotMerged(Conflict):
    """The account is not merged into another."""

    code = "not_merged"

    def __init__(self, customer_id: CustomerId) -> None:
        super().__init__(f"{customer_id} is not merged into another account.")


@dataclass(frozen=True, kw_only=True)
class Merge(TypedRow):
    """One account merged into another; undone when `unmerged_at` is set."""

    id: str
    customer_id: CustomerId
    survivor_id: CustomerId
    merged_at: datetime
    merged_by: str
    unmerged_at: datetime | None
    unmerged_by: str | None


@dataclass(frozen=True, kw_only=True)
class Unmerged:
    """A merge that was undone. `brought` are the points that had come over, `returned` those that went back."""

    merge: Merge
    brought: int
    returned: int


def merge_customers(
    connection: Connection, customer_id: CustomerId, survivor_id: CustomerId, *, actor: str, now: datetime
) -> Merge:
    """Merge the first account into the second; idempotent. Raises `MergeRefused`, `FieldErrors`.

    Open redemptions must have ended: their codes are bound to the one customer, so no other account could use the
    points that they hold. Merges are one level deep, so that each can be undone by itself.
    """
    if customer_id == survivor_id:
        raise field_error("into", "must be another customer")
    accounts = open_accounts(connection, [customer_id, survivor_id])
    for merge in _active(connection, [customer_id, survivor_id]):
        if (merge.customer_id, merge.survivor_id) == (customer_id, survivor_id):
            return merge
        _refuse_chain(merge, customer_id, survivor_id)
    account = accounts[customer_id]
    if account.held:
        raise MergeRefused(
            f"{customer_id} has {counted(account.held, 'point')} held for open redemptions: release them, or wait "
            "until they are over."
        )
    merge = Merge(
        id=new_id("dmrg"),
        customer_id=customer_id,
        survivor_id=survivor_id,
        merged_at=now,
        merged_by=actor,
        unmerged_at=None,
        unmerged_by=None,
    )
    connection.execute(customer_merge.insert().values(merge.columns()))
    account.book_due(now=now)
    account.survivor, account.merge_id = accounts[survivor_id], merge.id
    save(connection, [account])
    return merge


def _refuse_chain(merge: Merge, customer_id: CustomerId, survivor_id: CustomerId) -> None:
    if merge.customer_id == customer_id:
        raise MergeRefused(f"{customer_id} is merged into {merge.survivor_id} already: undo that first.")
    if merge.customer_id == survivor_id:
        raise MergeRefused(f"{survivor_id} is merged into {merge.survivor_id} itself: merge into that one.")
    if merge.survivor_id == customer_id:
        raise MergeRefused(
            f"{merge.customer_id} is merged into {customer_id}: merge {survivor_id} into {customer_id} as well, or "
            "undo that first."
        )


def unmerge_customer(connection: Connection, customer_id: CustomerId, *, actor: str, now: datetime) -> Unmerged:
    """Undo a merge: the points that came over go back, unless they are spent or on hold.

    Raises `NotMerged`.
    """
    accounts = open_accounts(connection, [customer_id])
    merge = next((merge for merge in _active(connection, [customer_id]) if merge.customer_id == customer_id), None)
    if merge is None:
        raise NotMerged(customer_id)
    # Carry over everything first. Then the merge's rows are complete, and the locks keep them so.
    save(connection, accounts.values())
    brought = _brought(connection, merge)
    uses = changed_lots(connection, merge.survivor_id, "merge", merge.id, dust_lot_use.c.remaining)
    # A debt that came over may have emptied lots that are filled again now.
    accounts = open_accounts(connection, [customer_id], extra_lots=uses.keys())
    account, survivor = accounts[customer_id], accounts[merge.survivor_id]
    details = PostingDetails(
        kind=Kind.UNMERGE,
        reference_type="merge",
        reference_id=merge.id,
        description="Given back to another account",
        event_at=now,
        actor=actor,
    )
    returned = _return(account, survivor, uses, brought, details)
    account.survivor = None
    _return_waived(connection, account, survivor)
    connection.execute(
        update(customer_merge).where(customer_merge.c.id == merge.id).values(unmerged_at=now, unmerged_by=actor)
    )
    save(connection, [account, survivor])
    return Unmerged(merge=replace(merge, unmerged_at=now, unmerged_by=actor), brought=brought, returned=returned)


def _return(
    account: Account, survivor: Account, uses: Mapping[str, int], brought: int, outgoing: PostingDetails
) -> int:
    """Give points of a merge back to `account`; return how many.

    `uses` are the points that the merge changed the survivor's lots by, by lot id. `brought` are the points that came
    over, below zero after a debt. `outgoing` are the details of the survivor's posting.
    """
    incoming, now = replace(outgoing, description="Given back by another account"), outgoing.event_at
    came_over = sorted((lot for lot in survivor.lots.values() if uses.get(lot.id, 0) > 0), key=lambda lot: lot.id)
    # Pending points paid no debt that came along. They wait for orders of the account, so all of them go back.
    parts = {lot.id: lot.remaining for lot in came_over if not lot.matured and lot.remaining}
    left = brought - sum(parts.values())
    # Of the others only the net amount: the remainder paid the debt.
    for lot in came_over:
        part = min(left, lot.free)
        if part > 0:
            parts[lot.id] = part
            left -= part
    if parts:
        account.receive_lots(survivor.send_lots(parts, outgoing, now=now), incoming, now=now)
    if left < 0:
        # A debt came over: what it took goes back to its lots, and the debt to the account where it arose.
        survivor.return_to_lots(-left, {lot: -used for lot, used in uses.items() if used < 0}, outgoing, now=now)
        account.overdraw(-left, incoming, now=now)
        return brought
    return brought - left


def _return_waived(connection: Connection, account: Account, survivor: Account) -> None:
    """Move back what was waived for points that the account itself has spent: only this account gets their refund."""
    still_waived = max(0, survivor.waived - _spent(connection, survivor.customer_id))
    returned = min(_spent(connection, account.customer_id), still_waived)
    account.waive(returned, at=survivor.waived_at)
    survivor.waive(-returned)


def _spent(connection: Connection, customer_id: CustomerId) -> int:
    """Return the points that orders have used and not given back."""
    rows = dust_transaction.c
    query = select(-func.coalesce(func.sum(rows.amount), 0)).where(
        rows.customer_id == customer_id, rows.kind.in_([Kind.REDEEM, Kind.REFUND])
    )
    return max(0, int(connection.scalar(query) or 0))


def _brought(connection: Connection, merge: Merge) -> int:
    rows = dust_transaction.c
    query = select(func.coalesce(func.sum(rows.amount + rows.pending), 0)).where(
        rows.customer_id == merge.survivor_id,
        # A literal, not a parameter, so that Postgres uses the partial index.
        rows.reference_type == literal_column("'merge'"),
        rows.reference_id == merge.id,
    )
    return int(connection.scalar(query) or 0)


def merged_with_new_points(connection: Connection, *, limit: int) -> list[CustomerId]:
    """Return merged accounts into which points came while they were being merged."""
    balances = dust_balance.c
    query = (
        select(customer_merge.c.customer_id)
        .join(dust_balance, balances.customer_id == customer_merge.c.customer_id)
        .where(customer_merge.c.unmerged_at.is_(None), or_(balances.balance != balances.held, balances.pending != 0))
        .limit(limit)
    )
    return [CustomerId(customer_id) for customer_id in connection.scalars(query)]


def merge_new_points(connection: Connection, customer_ids: Collection[CustomerId]) -> None:
    """Carry over the points of merged accounts."""
    save(connection, open_accounts(connection, customer_ids).values())


def merges_of(connection: Connection, customer_id: CustomerId) -> list[Merge]:
    """Return every merge of this customer, undone ones too, oldest first."""
    either = or_(customer_merge.c.customer_id == customer_id, customer_merge.c.survivor_id == customer_id)
    return [
        Merge.from_row(row)
        for row in connection.execute(select(customer_merge).where(either).order_by(customer_merge.c.id))
    ]


def merged_into(connection: Connection, customer_id: CustomerId) -> list[CustomerId]:
    """Return the accounts that are merged into this one."""
    query = select(customer_merge.c.customer_id).where(
        customer_merge.c.survivor_id == customer_id, customer_merge.c.unmerged_at.is_(None)
    )
    return [CustomerId(customer_id) for customer_id in connection.scalars(query.order_by(customer_merge.c.customer_id))]


@dataclass(frozen=True, kw_only=True)
class Person:
    """The accounts of one person: a single one, or several that are merged."""

    merged_at: Mapping[CustomerId, datetime | None]
    """By account: when it was merged into the survivor. None for the survivor, or the only account."""

    @property
    def id(self) -> CustomerId:
        """The smallest id of the accounts. Unlike the survivor, it needs no lock to stay the same."""
        return min(self.merged_at)

    @property
    def survivor(self) -> CustomerId:
        """The account that has the person's points."""
        return next(account for account, merged_at in self.merged_at.items() if merged_at is None)


def persons_of(connection: Connection, customer_ids: Iterable[CustomerId]) -> dict[CustomerId, Person]:
    """Return the persons that these customers are, by each account that they have."""
    ids = list(customer_ids)
    merges = customer_merge.alias()
    survivors = select(merges.c.survivor_id).where(
        merges.c.unmerged_at.is_(None), or_(among(merges.c.customer_id, ids), among(merges.c.survivor_id, ids))
    )
    rows = connection.execute(
        select(customer_merge).where(
            customer_merge.c.unmerged_at.is_(None), customer_merge.c.survivor_id.in_(survivors.scalar_subquery())
        )
    )
    merged: dict[CustomerId, dict[CustomerId, datetime | None]] = {}
    for row in rows:
        merged.setdefault(row.survivor_id, {row.survivor_id: None})[row.customer_id] = row.merged_at
    persons = {customer_id: Person(merged_at={customer_id: None}) for customer_id in ids}
    return persons | {account: Person(merged_at=accounts) for accounts in merged.values() for account in accounts}


def ever_merged_with(connection: Connection, customer_ids: Collection[CustomerId]) -> set[CustomerId]:
    """Return these customers and all whose points were once together with theirs, whether merged now or not."""
    return set(connection.scalars(_EVER_MERGED, {"customers": list(customer_ids)}))


_EVER_MERGED = text(
    """
    WITH RECURSIVE pairs AS (
        SELECT customer_id, survivor_id AS other_id FROM customer_merge
        UNION ALL SELECT survivor_id, customer_id FROM customer_merge
    ), together AS (
        SELECT unnest(CAST(:customers AS text[])) AS customer_id
        UNION SELECT pairs.other_id FROM together JOIN pairs USING (customer_id)
    )
    SELECT customer_id FROM together
    """
)


def one_account_each(connection: Connection, customer_ids: Iterable[CustomerId]) -> set[CustomerId]:
    """Return these customers with one account for each person: of several, the one that the others are merged into."""
    ids = set(customer_ids)
    persons = persons_of(connection, ids)
    by_person: dict[CustomerId, CustomerId] = {}
    for customer_id in sorted(ids, key=lambda account: (account != persons[account].survivor, account)):
        by_person.setdefault(persons[customer_id].id, customer_id)
    return set(by_person.values())


def _active(connection: Connection, customer_ids: Iterable[CustomerId]) -> list[Merge]:
    ids = list(customer_ids)
    either = or_(among(customer_merge.c.customer_id, ids), among(customer_merge.c.survivor_id, ids))
    rows = connection.execute(select(customer_merge).where(either, customer_merge.c.unmerged_at.is_(None)))
    return [Merge.from_row(row) for row in rows]
