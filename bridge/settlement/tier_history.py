"""Tiers: compute a customer's tier from the rows of their settled orders.

An order counts for the account that owned it first, also after a transfer: passed on, it would lift one account after
the other into a tier.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Subquery, case, func, or_, select

from bridge.db.bulk import among
from bridge.ids import CustomerId
from bridge.ledger.merges import Person, persons_of
from bridge.medusa.orders import Order
from bridge.programme.tiers import Contribution, CustomerTier, TierBasis, TierLevel, Tiers, tier_at
from bridge.programme.versions import current_tiers
from bridge.settlement.shares import went_to_another_account
from bridge.settlement.tables import order_former_owner, order_settlement


def read_tier(connection: Connection, customer_id: CustomerId, *, now: datetime) -> CustomerTier | None:
    """Return the customer's current tier; None while the programme has no tiers."""
    return read_tiers(connection, [customer_id], now=now).get(customer_id)


def read_tiers(
    connection: Connection, customer_ids: Collection[CustomerId], *, now: datetime
) -> dict[CustomerId, CustomerTier]:
    """Like `read_tier`, for several customers; empty while the programme has no tiers."""
    tiers = current_tiers(connection)
    if tiers is None:
        return {}
    persons = persons_of(connection, customer_ids)
    by_person = _read_contributions(connection, tiers, persons, since=now)
    reached = {person: tier_at(tiers, counted, moment=now) for person, counted in by_person.items()}
    return {customer_id: reached[persons[customer_id].id] for customer_id in customer_ids}


def _read_contributions(
    connection: Connection, tiers: Tiers, persons: Mapping[CustomerId, Person], *, since: datetime
) -> dict[CustomerId, list[Contribution]]:
    """Return, by id of a person, what their settled orders count towards a tier that holds at or after `since`."""
    orders, formers = order_settlement.c, order_former_owner.c
    counted = (orders.placed_at > since - timedelta(days=tiers.window_days), ~orders.pending_until_paid)
    columns = (orders.order_id, orders.placed_at, orders.currency_code, orders.spent)
    own = select(orders.customer_id, *columns, (orders.booked - orders.not_taken).label("points")).where(
        among(orders.customer_id, persons), *counted, or_(orders.former_share.is_(None), ~went_to_another_account())
    )
    transferred = (
        select(formers.customer_id, *columns, _points_of_all_owners().label("points"))
        .join(order_former_owner, formers.order_id == orders.order_id)
        .where(among(formers.customer_id, persons), formers.first, *counted)
    )
    contributions: dict[CustomerId, list[Contribution]] = {person.id: [] for person in persons.values()}
    for row in connection.execute(own.union_all(transferred)):
        amount = _amount(tiers, row.currency_code, points=row.points, spent=row.spent)
        added = Contribution(placed_at=row.placed_at, amount=amount, order_id=row.order_id)
        contributions[persons[row.customer_id].id].append(added)
    return contributions


def _points_of_all_owners() -> ColumnElement[Any]:
    formers, orders = order_former_owner.alias().c, order_settlement.c
    of_formers = select(func.sum(formers.booked - formers.not_taken)).where(formers.order_id == orders.order_id)
    return orders.booked - orders.not_taken + of_formers.scalar_subquery()


def totals_in_window(tiers: Tiers, *, now: datetime) -> Subquery:
    """Build the SQL of what each account's orders count, by the same rule as `read_tiers`.

    It has the columns `customer_id` and `total`, and no row for an account without such orders.
    """
    orders, first = order_settlement.c, order_former_owner.alias()
    owner = func.coalesce(first.c.customer_id, orders.customer_id)
    amount: ColumnElement[Any] = orders.booked - orders.not_taken
    amount = case((first.c.customer_id.is_not(None), _points_of_all_owners()), else_=amount)
    if tiers.basis is TierBasis.SPENT:
        amount = case((orders.currency_code == tiers.currency_code, orders.spent))
    return (
        select(owner.label("customer_id"), func.round(func.coalesce(func.sum(amount), 0), 6).label("total"))
        .select_from(order_settlement)
        .outerjoin(first, (first.c.order_id == orders.order_id) & first.c.first)
        .where(
            orders.placed_at > now - timedelta(days=tiers.window_days),
            orders.placed_at <= now,
            ~orders.pending_until_paid,
        )
        .group_by(owner)
        .subquery()
    )


def _amount(tiers: Tiers, currency_code: str | None, *, points: int, spent: Decimal | None) -> Decimal:
    """What an order counts that earned these points, and on which this money was spent."""
    if tiers.basis is TierBasis.EARNED:
        return Decimal(points)
    return (spent if currency_code == tiers.currency_code else None) or Decimal(0)


@dataclass(frozen=True, kw_only=True)
class TierHistory:
    """What the customers of a batch have for a tier before it."""

    tiers: Mapping[int, Tiers]
    """By the number of the version of the rules."""
    persons: Mapping[CustomerId, Person]
    """By account."""
    contributions: Mapping[int, Mapping[CustomerId, list[Contribution]]]
    """By the number of the version of the rules, and by id of a person."""


def read_tier_history(
    connection: Connection, tiers: Mapping[int, Tiers], customers: Collection[CustomerId], *, since: datetime
) -> TierHistory | None:
    """Read the history of these customers; None without tiers. `since` is when the first of the orders was placed."""
    tiers = {number: rules for number, rules in tiers.items() if rules.levels}
    if not tiers:
        return None
    persons = persons_of(connection, customers)
    contributions = {
        number: _read_contributions(connection, rules, persons, since=since) for number, rules in tiers.items()
    }
    return TierHistory(tiers=tiers, persons=persons, contributions=contributions)


class TiersOfBatch:
    """The tiers of customers while a batch of their orders is computed, one order after the other."""

    def __init__(self, history: TierHistory) -> None:
        self._tiers = history.tiers
        self._persons = history.persons
        self._contributions = {
            number: {person: list(counted) for person, counted in by_person.items()}
            for number, by_person in history.contributions.items()
        }

    def level_of(
        self, number: int, customer_id: CustomerId, moment: datetime, dust: Mapping[str, int]
    ) -> TierLevel | None:
        """`dust` holds, by order, the points where limits across several orders have changed them."""
        tiers = self._tiers.get(number)
        if tiers is None:
            return None
        contributions = self._contributions[number][self._persons[customer_id].id]
        if tiers.basis is TierBasis.EARNED:
            contributions = [
                replace(counted, amount=Decimal(dust.get(counted.order_id, counted.amount)))
                for counted in contributions
            ]
        return tier_at(tiers, contributions, moment=moment).level

    def put(self, order: Order, owner: CustomerId | None, *, dust: int, spent: Decimal) -> None:
        """Count the order with this amount for its first owner only; without an owner it counts for no customer."""
        for number, tiers in self._tiers.items():
            for counted in self._contributions[number].values():
                counted[:] = [contribution for contribution in counted if contribution.order_id != order.id]
            # Other owners have no new order in the batch, so nobody asks for their tier.
            if owner and owner in self._persons:
                amount = _amount(tiers, order.currency_code, points=dust, spent=spent)
                added = Contribution(placed_at=order.placed_at, amount=amount, order_id=order.id)
                self._contributions[number][self._persons[owner].id].append(added)
