"""Settlement, first step: lock and read everything that decides what orders earn.

`settle.py` has locked the orders' own rows. Locks here, each by id: guest_escrow, dust_redemption, the customers' other
orders, referral.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from sqlalchemy import Connection

from bridge.ids import CustomerId, OrderId, ProductId
from bridge.ledger.store import open_accounts
from bridge.medusa.orders import Order
from bridge.products.settings import dust_only_among
from bridge.programme.earning import LineTerms
from bridge.programme.versions import Version, current_version, versions_by_number
from bridge.redemptions.capture import first_uses, is_used_by
from bridge.redemptions.repository import Redemption, redemptions_of_orders
from bridge.settlement.earning_limits import LimitHistory, OwnOrder, read_limit_history
from bridge.settlement.escrow import Escrow, lock_escrows, open_escrow, owner_of
from bridge.settlement.lines import dust_only_lines, lines_to_store, terms_of_lines
from bridge.settlement.referrals import ReferralHistory, lock_referrals
from bridge.settlement.repository import SettlementRow
from bridge.settlement.shares import Share, Shares, divide, read_former_owners
from bridge.settlement.stored_lines import StoredLine, read_lines
from bridge.settlement.tier_history import TierHistory, read_tier_history

# How long after an order was created Medusa's answer replaces terms that were stored by other facts.
_TERMS_OPEN = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class LoadedOrder:
    """One order as Medusa has it now, and what is stored about it."""

    order: Order
    row: SettlementRow
    version: Version
    """The version of the rules of its first settlement."""
    dust_only_lines: frozenset[str]
    known_lines: Mapping[str, StoredLine]
    """What is known of its lines from before these facts: from its row, or from earlier facts of the same batch."""
    terms: Mapping[str, LineTerms]
    """By line id."""
    known_escrow: Escrow | None
    escrow: Escrow | None
    """The escrow by the present facts, without its points."""
    former_owners: tuple[Share, ...] = ()
    """As they are stored."""
    shares: Shares
    redemptions: tuple[Redemption, ...] = ()
    """The redemptions whose codes it uses."""
    from_medusa: bool = False
    """Whether the facts are Medusa's own answer."""
    decides_terms: bool = False
    """Whether the terms of its lines are final with these facts."""

    @cached_property
    def owner(self) -> CustomerId | None:
        """The customer that the points belong to; None for a guest."""
        return owner_of(self.order, self.escrow)

    @property
    def pending_until_paid(self) -> bool:
        """Whether what it earns is pending until it is paid, and does not count for tiers."""
        return self.version.programme.earn.pending_until_paid and not (
            self.order.paid or self.order.canceled or self.order.is_draft
        )

    @property
    def payment_arrived(self) -> bool:
        """Whether its points were pending until it is paid, and no longer are. A cancel is no payment."""
        return self.row.pending_until_paid and not self.pending_until_paid and not self.order.canceled


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Everything that `compute` needs."""

    orders: tuple[LoadedOrder, ...]
    """In sequence. An order has several entries if a batch has several facts of it; the last ones are settled."""
    tiers: TierHistory | None = None
    limits: LimitHistory | None = None
    referrals: ReferralHistory
    second_uses: tuple[tuple[Redemption, Order], ...] = ()
    """Redemptions whose code an order carries although another order has used it."""


def load(
    connection: Connection,
    orders: Sequence[Order],
    rows: Mapping[OrderId, SettlementRow],
    *,
    asked: Collection[OrderId] = (),
    longest_limit_days: int | None,
    lock: bool = True,
    now: datetime,
) -> Loaded:
    """Lock and read what these orders need. Their rows are locked.

    `asked` are orders that Medusa was asked for. `longest_limit_days` is the longest window of limits across several
    orders; None if there are none. Without `lock` it only reads, for orders that are not placed yet.
    """
    loaded, second_uses = _load_orders(connection, orders, rows, asked, lock=lock, now=now)
    loaded = _expect_transfers(connection, loaded, now)
    newest = list({loaded_order.order.id: loaded_order for loaded_order in loaded}.values())
    limits = None
    if longest_limit_days is not None:
        limits = read_limit_history(connection, _own_orders(loaded), longest_days=longest_limit_days, lock=lock)
    return Loaded(
        orders=tuple(loaded),
        tiers=_read_tiers(connection, loaded),
        limits=limits,
        referrals=lock_referrals(
            connection,
            _customers(newest) if lock else (),
            settling={loaded_order.order.id for loaded_order in newest},
            now=now,
        ),
        second_uses=second_uses,
    )


def _load_orders(
    connection: Connection,
    orders: Sequence[Order],
    rows: Mapping[OrderId, SettlementRow],
    asked: Collection[OrderId],
    *,
    lock: bool,
    now: datetime,
) -> tuple[list[LoadedOrder], tuple[tuple[Redemption, Order], ...]]:
    if not orders:
        return [], ()
    orders = _with_placement_times(orders, rows, asked)
    stored = _read_stored(connection, orders, rows, lock=lock)
    redemptions, second_uses = _redemptions(connection, orders, lock=lock)
    earlier = _EarlierFacts(facts_per_order=Counter(order.id for order in orders))
    loaded = []
    for order, used in zip(orders, redemptions, strict=True):
        loaded_order = _load_order(order, rows[order.id], used, stored, earlier, from_medusa=order.id in asked, now=now)
        earlier.add(loaded_order)
        loaded.append(loaded_order)
    return loaded, second_uses


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """What is stored about the orders of a batch, apart from their rows."""

    current_version: Version
    versions: Mapping[int, Version]
    """By number: those of the orders' first settlements."""
    dust_only_products: Collection[ProductId]
    escrows: Mapping[OrderId, Escrow]
    former_owners: Mapping[OrderId, Sequence[Share]]


def _read_stored(
    connection: Connection, orders: Sequence[Order], rows: Mapping[OrderId, SettlementRow], *, lock: bool
) -> _Stored:
    numbers = {number for order in orders if (number := rows[order.id].programme_version) is not None}
    # Orders that never were a guest's need no query.
    guests = {order.id for order in orders if order.is_guest or rows[order.id].guest}
    with_former = {order.id for order in orders if rows[order.id].former_share is not None}
    return _Stored(
        current_version=current_version(connection),
        versions=versions_by_number(connection, numbers),
        dust_only_products=dust_only_among(
            connection, {line.product_id for order in orders for line in order.lines if line.product_id}
        ),
        escrows=lock_escrows(connection, guests) if lock else {},
        former_owners=read_former_owners(connection, with_former),
    )


@dataclass(kw_only=True)
class _EarlierFacts:
    """What earlier facts of the same order in the same batch say. They are not stored yet."""

    facts_per_order: Counter[OrderId]
    lines: dict[OrderId, Mapping[str, StoredLine]] = field(default_factory=dict)
    """By order: the lines that would be stored if the earlier facts had been settled already."""
    first_owners: dict[OrderId, CustomerId] = field(default_factory=dict)

    def add(self, loaded: LoadedOrder) -> None:
        order = loaded.order
        if loaded.owner and not order.is_draft:
            self.first_owners.setdefault(order.id, loaded.owner)
        if self.facts_per_order[order.id] > 1 and not (order.is_draft or order.gone):
            uses = first_uses(order, loaded.redemptions)
            self.lines[order.id] = lines_to_store(
                order, loaded.known_lines, loaded.terms, loaded.dust_only_lines, {}, uses
            )


def _load_order(
    order: Order,
    row: SettlementRow,
    redemptions: tuple[Redemption, ...],
    stored: _Stored,
    earlier: _EarlierFacts,
    *,
    from_medusa: bool,
    now: datetime,
) -> LoadedOrder:
    version = stored.current_version if row.programme_version is None else stored.versions[row.programme_version]
    decides_terms = from_medusa and _decides_terms(order, version, now)
    stored_lines = read_lines(row.lines)
    if decides_terms:
        stored_lines = {line_id: line for line_id, line in stored_lines.items() if line.final}
    known_lines = earlier.lines.get(order.id, stored_lines)
    # The terms of a draft do not apply to the order that it becomes; which of its lines are points-only does.
    known_terms = {} if row.programme_version is None and order.id not in earlier.lines else known_lines
    known_escrow = stored.escrows.get(order.id)
    if order.customer_missing and _is_still_a_guests(order, row, known_escrow):
        order = replace(order, is_guest=True)
    escrow = open_escrow(order, known_escrow, version, now=now)
    former = tuple(stored.former_owners.get(order.id, ()))
    owner = owner_of(order, escrow)
    shares = _divide(row, owner, known_escrow, former)
    first_owner = earlier.first_owners.get(order.id)
    if row.is_new and owner and first_owner not in (None, owner) and not order.is_draft:
        # The batch shows a transfer to another customer before the order was ever settled.
        shares = replace(shares, former=(Share(customer_id=first_owner, first=True),))
    return LoadedOrder(
        order=order,
        row=row,
        version=version,
        dust_only_lines=dust_only_lines(order, known_lines, stored.dust_only_products),
        known_lines=known_lines,
        terms=terms_of_lines(order, known_terms, version.programme.earn),
        known_escrow=known_escrow,
        escrow=escrow,
        former_owners=former,
        shares=shares,
        redemptions=redemptions,
        from_medusa=from_medusa,
        decides_terms=decides_terms and not order.is_draft,
    )


def _is_still_a_guests(order: Order, row: SettlementRow, known_escrow: Escrow | None) -> bool:
    """Whether the order belongs to the guest of earlier facts, and was not transferred to an account."""
    is_same_buyer = order.customer_id == (row.buyer_id or row.customer_id)
    return known_escrow is not None and is_same_buyer and known_escrow.customer_id != order.customer_id


def _decides_terms(order: Order, version: Version, now: datetime) -> bool:
    """Whether Medusa's answer decides the terms of the order's lines, which are stored at the first settlement.

    The first facts may have been forged, and nothing corrects stored terms later. Medusa is asked within minutes of
    the first settlement, and then what the terms depend on has not changed. Its first answer decides: later ones show
    categories, groups and settings that may have changed. An order edit or a return changes the version.
    """
    is_as_placed = order.version == 1 and now - order.created_at < _TERMS_OPEN and not order.gone
    return is_as_placed and version.programme.looks_at <= order.knows


def _with_placement_times(
    orders: Sequence[Order], rows: Mapping[OrderId, SettlementRow], asked: Collection[OrderId]
) -> list[Order]:
    """Return these facts with the time their orders were placed, which does not change once it is stored.

    An order that was a draft counts as placed with its first facts that are no draft. Medusa keeps the draft's
    `created_at`, so `updated_at` is used, unless the event says when the order was placed. No order is placed before
    Medusa created it: if its answer says so, the first facts were forged.
    """
    drafts = {order_id for order_id, row in rows.items() if row.was_draft}
    placed: dict[OrderId, datetime] = {
        order_id: row.placed_at
        for order_id, row in rows.items()
        if row.facts_version is not None and row.placed_at is not None and order_id not in drafts
    }
    dated = []
    for order in orders:
        if order.is_draft:
            drafts.add(order.id)
        else:
            only_created_at = order.placed_at == order.created_at
            of_draft = order.id in drafts and only_created_at
            first = max(order.placed_at, order.updated_at) if of_draft else order.placed_at
            placed.setdefault(order.id, first)
            if order.id in asked and not order.gone:
                placed[order.id] = max(placed[order.id], order.created_at)
        placed_at = placed.get(order.id, order.placed_at)
        dated.append(order if placed_at == order.placed_at else replace(order, placed_at=placed_at))
    return dated


def _redemptions(
    connection: Connection, orders: Sequence[Order], *, lock: bool
) -> tuple[list[tuple[Redemption, ...]], tuple[tuple[Redemption, Order], ...]]:
    """Return the redemptions that each of these facts uses, and second uses of a code."""
    newest = {order.id: order for order in orders}
    codes = {code for order in orders for code in order.codes}
    redemptions = redemptions_of_orders(connection, codes=codes, order_ids=list(newest), lock=lock)
    used: list[tuple[Redemption, ...]] = []
    second_uses = []
    for order in orders:
        # A draft may be deleted without an event, and would keep the points.
        own = []
        for redemption in () if order.is_draft else redemptions:
            if is_used_by(redemption, order):
                own.append(redemption)
            elif order is newest[order.id]:
                second_uses.append((redemption, order))
        used.append(tuple(own))
    return used, tuple(second_uses)


def _divide(
    row: SettlementRow, owner: CustomerId | None, known_escrow: Escrow | None, former: tuple[Share, ...]
) -> Shares:
    before = _owner_before(row, known_escrow)
    return divide(
        row.share,
        former,
        owner=owner,
        owner_changed=before != owner and bool(before or row.booked),
        worth_before=row.worth,
        former_share=row.former_share or 0,
    )


def _owner_before(row: SettlementRow, known_escrow: Escrow | None) -> CustomerId | None:
    """Return the customer that owned the order at its last settlement; None for a guest whose points were in escrow."""
    if row.is_new or row.customer_id is None:
        return None
    if known_escrow is not None and not row.booked:
        return known_escrow.customer_id
    return row.customer_id


def _expect_transfers(connection: Connection, loaded: list[LoadedOrder], now: datetime) -> list[LoadedOrder]:
    """Add the points that transfers are expected to move, which limits of the new owner and tiers count.

    Read without locks: what really moves is decided when it is posted.
    """
    givers = {
        loaded_order.order.id: (giver, giver.customer_id)
        for loaded_order in loaded
        if (giver := loaded_order.shares.giver) and giver.customer_id
    }
    if not givers:
        return loaded
    accounts = open_accounts(connection, {customer_id for _, customer_id in givers.values()}, lock=False)
    moved = {
        order_id: accounts[customer_id].transferable(giver.net, order_id, now=now)
        for order_id, (giver, customer_id) in givers.items()
    }
    return [
        replace(loaded_order, shares=replace(loaded_order.shares, moved=moved.get(loaded_order.order.id, 0)))
        for loaded_order in loaded
    ]


def _own_orders(loaded: Iterable[LoadedOrder]) -> list[OwnOrder]:
    return [
        OwnOrder(
            order_id=loaded_order.order.id,
            placed_at=loaded_order.order.placed_at,
            customers=frozenset(
                owner
                for owner in (
                    loaded_order.owner,
                    loaded_order.row.customer_id,
                    *(share.customer_id for share in loaded_order.shares.of_former_owners),
                )
                if owner
            ),
        )
        for loaded_order in loaded
    ]


def _read_tiers(connection: Connection, loaded: Iterable[LoadedOrder]) -> TierHistory | None:
    new = [loaded_order for loaded_order in loaded if loaded_order.row.is_new and loaded_order.owner]
    if not new:
        return None
    # Usually only the version in force now; a backfill may have pinned another.
    tiers = {loaded_order.version.number: loaded_order.version.programme.tiers for loaded_order in new}
    owners = {loaded_order.owner for loaded_order in new if loaded_order.owner}
    return read_tier_history(connection, tiers, owners, since=min(loaded_order.order.placed_at for loaded_order in new))


def _customers(newest: Iterable[LoadedOrder]) -> set[CustomerId]:
    """Return the customers whose referral these orders may qualify, or have qualified."""
    return {
        owner
        for loaded_order in newest
        for owner in (loaded_order.row.customer_id, loaded_order.shares.first_owner)
        if owner
    }
