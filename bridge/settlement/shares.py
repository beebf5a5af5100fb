"""Shares of an order's points: what its present owner and its former owners have of it.

An order's points exist once. When the order goes to another customer, as many of the former owner's free points go
along as the order has earned, the order's own first. What free points do not cover, because it is spent or on hold,
stays booked with the former owner. The present owner can earn the remainder:

    worth of the order 1000, of which the first owner has spent 600: 400 for the present owner
    worth falls to 500    the present owner gives back 400, then the first owner 100
    worth is 1000 again   the first owner gets 100 back, then the present owner 400
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from sqlalchemy import ColumnElement, Connection, delete, select

from bridge.db.bulk import among, insert_rows
from bridge.db.rows import TypedRow
from bridge.ids import CustomerId, OrderId
from bridge.settlement.tables import order_former_owner, order_settlement


@dataclass(frozen=True, kw_only=True)
class Share(TypedRow):
    """One customer's share of an order, in whole points."""

    customer_id: CustomerId | None
    booked: int = 0
    """What the ledger has booked for the customer."""
    not_taken: int = 0
    """The part of `booked` that was not taken back: it had expired, or the policy left it with the customer."""
    expired: int = 0
    """The part of `not_taken` that had expired."""
    taken_back: int = 0
    """What was taken back. It is restored first when the order is worth more again."""
    first: bool = False
    """For a former owner: whether they were the order's first owner."""
    unearned: int = 0
    """For a former owner: points that a limit kept them from earning. The next owner does not get them either."""
    worth: int = 0
    """For a former owner with `unearned` points: what the order was worth when they lost it."""

    @property
    def net(self) -> int:
        """What the customer should have of the order."""
        return self.booked - self.not_taken

    @property
    def left_with_customer(self) -> int:
        """The part of `not_taken` that the customer still has, because it had not expired."""
        return self.not_taken - self.expired

    @property
    def restorable(self) -> int:
        """How much of the lost points is restored before anything new is earned."""
        return self.not_taken + self.taken_back

    def unearned_at(self, worth: int) -> int:
        """Return the part of `unearned` that still counts now that the order is worth `worth`.

        A limit of 500 kept 300 of an order worth 800 from its first owner. Worth 600, it is 100 above the limit.
        """
        return max(0, self.unearned - max(0, self.worth - worth))

    def after_transfer(self, *, moved: int, earnable: int, worth: int) -> "Share":
        """Return what stays with the former owner after a transfer of an order worth `worth`.

        `earnable` is the most they could have had of the order: its worth, less what earlier owners keep.
        """
        unearned = max(0, earnable - self.net)
        return replace(self, booked=self.booked - moved, taken_back=0, unearned=unearned, worth=worth)

    @property
    def has_effect(self) -> bool:
        """Whether this share has an effect on the order."""
        return self.first or bool(self.booked or self.unearned)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How an order's points are divided between its present owner and its former owners."""

    own: Share
    former: tuple[Share, ...] = ()
    """The shares of former owners, by customer id, without the giver's."""
    giver: Share | None = None
    """The share of the last owner, if the order has just gone to another customer."""
    moved: int = 0
    """The points that go from the giver to the present owner: the expected ones at first, then the actual ones."""
    worth_before: int = 0
    """What the whole order was worth when its shares were last settled."""
    former_share_before: int = 0
    """The part that the former owners of that time kept."""

    @cached_property
    def of_former_owners(self) -> tuple[Share, ...]:
        """The shares of all former owners, with what stays with the giver."""
        if self.giver is None:
            return self.former
        earnable = max(0, self.worth_before - self.former_share_before)
        kept = self.giver.after_transfer(moved=self.moved, earnable=earnable, worth=self.worth_before)
        return (*self.former, kept) if kept.has_effect else self.former

    @property
    def booked(self) -> int:
        """What the ledger has booked for all owners together."""
        return self.own.booked + sum(share.booked for share in self.of_former_owners)

    @property
    def former_share(self) -> int | None:
        """The part of the order's worth that its owner cannot earn; None without former owners."""
        former = self.of_former_owners
        return sum(share.net + share.unearned_at(self.worth_before) for share in former) if former else None

    @property
    def first_owner(self) -> CustomerId | None:
        """The first owner, whose referral the order can qualify."""
        return next((share.customer_id for share in self.of_former_owners if share.first), self.own.customer_id)

    def kept_by_former_owners(self, worth: int) -> dict[CustomerId, int]:
        """Return what each former owner will have of an order worth `worth`."""
        changes = {share.customer_id: change for share, change in self.former_changes(worth)}
        kept = {share.customer_id: share.net + changes.get(share.customer_id, 0) for share in self.of_former_owners}
        return {customer_id: dust for customer_id, dust in kept.items() if customer_id and dust}

    def left_for_owner(self, worth: int) -> int:
        """What the present owner can have of an order worth `worth`, before limits across several orders."""
        if not self.of_former_owners:
            # Few orders ever change hands, and this is asked for every order.
            return worth
        unearned = sum(share.unearned_at(worth) for share in self.of_former_owners)
        return max(0, worth - self.former_net(worth) - unearned)

    def former_net(self, worth: int) -> int:
        """Return what former owners should have together, once the order is worth `worth`.

        The present owner gives back before them, and gets back after them.
        """
        former = self.of_former_owners
        net = sum(share.net for share in former)
        if worth > self.worth_before:
            net += min(worth - self.worth_before, sum(share.restorable for share in former))
        return min(net, worth)

    def former_changes(self, worth: int) -> list[tuple[Share, int]]:
        """Return what each former owner gets, or gives back (below 0), once the order is worth `worth`.

        They give back by customer id, and get back in reverse.
        """
        former = self.of_former_owners
        missing = self.former_net(worth) - sum(share.net for share in former)
        changes = []
        for share in former if missing < 0 else reversed(former):
            change = max(missing, -share.net) if missing < 0 else min(missing, share.restorable)
            if change:
                changes.append((share, change))
                missing -= change
        return changes

    def transferred(self, moved: int) -> "Shares":
        """Return the shares after the giver's free points went to the present owner, or were taken back for a guest."""
        after = replace(self, moved=moved)
        gained = moved if self.own.customer_id else 0
        own = replace(self.own, booked=self.own.booked + gained)
        return replace(after, own=own, former=after.of_former_owners, giver=None)

    def with_former(self, share: Share) -> "Shares":
        """Return the shares with this one in place of the same former owner's."""
        former = tuple(share if other.customer_id == share.customer_id else other for other in self.former)
        return replace(self, former=former)


def divide(
    stored: Share,
    former: Iterable[Share],
    *,
    owner: CustomerId | None,
    owner_changed: bool,
    worth_before: int,
    former_share: int,
) -> Shares:
    """Return the shares of an order that belongs to `owner` now, before anything is posted.

    `stored` is the share in the order's row, of its last owner. `owner_changed`: that owner no longer has the order.
    """
    former = tuple(former)
    giver = replace(stored, first=not any(share.first for share in former)) if owner_changed else None
    own = stored if stored.customer_id == owner else Share(customer_id=owner)
    for share in former:
        if share.customer_id == owner:
            # The order is back with a former owner.
            own = add_share(own, share)
    return Shares(
        own=own,
        former=tuple(share for share in former if share.customer_id != owner),
        giver=giver,
        worth_before=worth_before,
        former_share_before=former_share,
    )


def went_to_another_account() -> ColumnElement[bool]:
    """Condition on `order_settlement`: the order belongs to another account than at first."""
    formers = order_former_owner.c
    return select(formers.order_id).where(formers.order_id == order_settlement.c.order_id, formers.first).exists()


def read_former_owners(connection: Connection, order_ids: Collection[OrderId]) -> dict[OrderId, list[Share]]:
    """Return the shares of former owners. The caller has locked the orders' rows, which protects these too."""
    if not order_ids:
        return {}
    columns = order_former_owner.c
    query = select(order_former_owner).where(among(columns.order_id, list(order_ids))).order_by(columns.customer_id)
    shares: dict[OrderId, list[Share]] = {}
    for row in connection.execute(query):
        shares.setdefault(OrderId(row.order_id), []).append(Share.from_row(row))
    return shares


def write_former_owners(connection: Connection, shares: Mapping[OrderId, Iterable[Share]]) -> None:
    """Replace the shares of these orders' former owners."""
    if not shares:
        return
    connection.execute(delete(order_former_owner).where(among(order_former_owner.c.order_id, list(shares))))
    rows = [{"order_id": order_id, **share.columns()} for order_id, of_order in shares.items() for share in of_order]
    insert_rows(connection, order_former_owner, rows)


def add_share(share: Share, other: Share) -> Share:
    """Add two shares for the customer of the first, for example when a former owner gets an order back."""
    return replace(
        share,
        booked=share.booked + other.booked,
        not_taken=share.not_taken + other.not_taken,
        expired=share.expired + other.expired,
        taken_back=share.taken_back + other.taken_back,
        unearned=0,
        worth=0,
        first=False,
    )
