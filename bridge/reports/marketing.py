"""Marketing figures: who buys and redeems, what referrals bring, and what the programme costs.

An order counts while money or points are spent on it. These do not count: a draft, a guest's order that nobody has
claimed, an order that was canceled, deleted or wholly returned, and one that waits for what the programme requires
(`earn.when`, `earn.pending_until_paid`). It counts in the month in which it was placed, with what is left of it today:
a later return changes an earlier month.

Revenue is the money that tiers count: by the basis of the rules (without tax and shipping by default), after discounts,
less returns, without points-only products. Merged accounts are one member. An erased customer still counts, by an id
that no longer leads to a person. Balances from other programmes (imports) and manual corrections are not points issued.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from sqlalchemy import Connection, text

from bridge.errors import field_error
from bridge.programme.days import local_date, start_of_day
from bridge.programme.shop_currencies import load_currencies
from bridge.programme.versions import current_version

MAX_MONTHS = 60
DEFAULT_MONTHS = 12
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2999, 12, 31)

# One row for each month and currency; `month` is null in the rows about the whole period. `member` is the surviving
# account of merged ones. Members are in each row of their month; an order always has a currency.
_OF_ORDERS = text(
    """
    WITH placed AS (
        SELECT o.order_id, o.customer_id, coalesce(m.survivor_id, o.customer_id) AS member, o.currency_code,
               o.placed_at, date_trunc('month', o.placed_at AT TIME ZONE :time_zone)::date AS month,
               CASE WHEN o.pending_until_paid THEN 0 ELSE coalesce(o.spent, 0) END AS money
        FROM order_settlement o
        LEFT JOIN customer_merge m ON m.customer_id = o.customer_id AND m.unmerged_at IS NULL
        WHERE o.placed_at >= :start AND o.placed_at < :until
    ), used AS MATERIALIZED (
        -- What a code took off the order at first is in the order's lines; for shipping it is in the redemption.
        -- Returns reduce it as they reduce the points.
        SELECT placed.order_id, placed.month, coalesce(m.survivor_id, r.customer_id) AS member,
               CASE WHEN r.kind IN ('fixed', 'free_shipping') THEN r.value
                    WHEN r.kind = 'products' THEN first.amount * c.quantity / nullif(first.units, 0)
                    ELSE first.amount END * c.dust_captured / c.dust AS discount
        FROM dust_redemption_code c
        JOIN placed ON placed.order_id = c.order_id
        JOIN order_settlement o ON o.order_id = c.order_id
        JOIN dust_redemption r ON r.id = c.redemption_id
        LEFT JOIN customer_merge m ON m.customer_id = r.customer_id AND m.unmerged_at IS NULL
        CROSS JOIN LATERAL (
            SELECT sum((line.value -> 'codes' -> c.code ->> 'amount')::numeric) AS amount,
                   sum((line.value -> 'codes' -> c.code ->> 'units')::numeric) AS units
            FROM jsonb_each(o.lines) line) first
        WHERE c.dust_captured > 0
    ), orders AS MATERIALIZED (
        SELECT placed.*, used.discount,
               placed.member IN (SELECT member FROM used) AS redeems,
               (placed.member, placed.month) IN (SELECT member, month FROM used) AS redeems_this_month,
               referral.customer_id IS NOT NULL AS referred
        FROM placed
        LEFT JOIN (SELECT order_id, sum(discount) AS discount FROM used GROUP BY order_id) used USING (order_id)
        LEFT JOIN referral ON referral.customer_id = placed.customer_id AND placed.placed_at >= referral.stated_at
                              -- Unless both accounts turned out to be one person's.
                              AND placed.member NOT IN (
                                  SELECT referral.referrer_id
                                  UNION ALL SELECT m.survivor_id FROM customer_merge m
                                  WHERE m.customer_id = referral.referrer_id AND m.unmerged_at IS NULL)
        WHERE placed.money > 0 OR used.order_id IS NOT NULL
    ), activity AS (
        SELECT month, member, count(order_id) AS orders, bool_or(order_id IS NULL) AS redeems,
               count(*) FILTER (WHERE referred) AS referral_orders
        FROM (SELECT month, member, order_id, referred FROM orders
              UNION ALL SELECT month, member, NULL, false FROM used) orders_and_uses
        GROUP BY GROUPING SETS ((month, member), (member))
    ), members AS (
        SELECT month, count(*) AS active_members, count(*) FILTER (WHERE redeems) AS redeeming_members,
               coalesce(sum(orders), 0)::bigint AS orders,
               count(*) FILTER (WHERE redeems AND orders >= 1) AS redeeming_buyers,
               count(*) FILTER (WHERE redeems AND orders >= 2) AS redeeming_repeaters,
               count(*) FILTER (WHERE NOT redeems AND orders >= 1) AS other_buyers,
               count(*) FILTER (WHERE NOT redeems AND orders >= 2) AS other_repeaters,
               count(*) FILTER (WHERE referral_orders > 0) AS referred_customers,
               coalesce(sum(referral_orders), 0)::bigint AS referral_orders
        FROM activity GROUP BY month
    ), grouped AS (
        SELECT month, currency_code, redeems, redeems_this_month, count(*) FILTER (WHERE money > 0) AS baskets,
               sum(money) AS money, sum(discount) AS discount, count(*) FILTER (WHERE referred) AS referral_orders,
               sum(money) FILTER (WHERE referred) AS referral_money
        FROM orders GROUP BY month, currency_code, redeems, redeems_this_month
    ), of_periods AS (
        SELECT month, redeems_this_month AS redeems, currency_code, baskets, money, discount, referral_orders,
               referral_money FROM grouped
        UNION ALL SELECT NULL, redeems, currency_code, baskets, money, discount, referral_orders, referral_money
        FROM grouped
    ), money AS (
        SELECT month, currency_code,
               coalesce(sum(baskets) FILTER (WHERE redeems), 0)::bigint AS redeemers_orders,
               coalesce(sum(money) FILTER (WHERE redeems), 0) AS redeemers_revenue,
               coalesce(sum(baskets) FILTER (WHERE NOT redeems), 0)::bigint AS others_orders,
               coalesce(sum(money) FILTER (WHERE NOT redeems), 0) AS others_revenue,
               sum(referral_orders)::bigint AS money_referral_orders,
               coalesce(sum(referral_money), 0) AS referral_revenue, coalesce(sum(discount), 0) AS cost
        FROM of_periods GROUP BY month, currency_code
    )
    SELECT members.*, currency_code, redeemers_orders, redeemers_revenue, others_orders, others_revenue,
           money_referral_orders, referral_revenue, cost
    FROM members JOIN money ON money.month IS NOT DISTINCT FROM members.month
    ORDER BY members.month, currency_code
    """
)
# When it happened in Medusa, not when it was booked: past orders of a backfill count in their own months.
_POINTS = text(
    """
    SELECT date_trunc('month', event_at AT TIME ZONE :time_zone)::date AS month,
           coalesce(sum(amount + pending) FILTER (
               WHERE kind IN ('earn', 'bonus') OR (kind = 'reverse' AND reference_type <> 'import')), 0)::bigint
               AS issued,
           coalesce(-sum(amount) FILTER (WHERE kind IN ('redeem', 'refund')), 0)::bigint AS spent
    FROM dust_transaction
    WHERE event_at >= :start AND event_at < :until AND kind IN ('earn', 'bonus', 'reverse', 'redeem', 'refund')
    GROUP BY GROUPING SETS ((month), ())
    """
)


@dataclass(frozen=True, kw_only=True)
class Buyers:
    """Members with an order; `repeaters` are those with two or more in the period."""

    buyers: int = 0
    repeaters: int = 0

    @property
    def repeat_rate(self) -> Decimal | None:
        return _share(self.repeaters, self.buyers)


@dataclass(frozen=True, kw_only=True)
class Baskets:
    """Orders that money was spent on, and that money in major units."""

    orders: int = 0
    revenue: Decimal = Decimal(0)

    @property
    def average(self) -> Decimal | None:
        return self.revenue / self.orders if self.orders else None


@dataclass(frozen=True, kw_only=True)
class Money:
    """The figures in one currency, in major units."""

    currency_code: str
    redeemers: Baskets = Baskets()
    others: Baskets = Baskets()
    referral_orders: int = 0
    referral_revenue: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    """What redemptions took off orders, with tax, less what returns gave back."""

    @property
    def revenue(self) -> Decimal:
        return self.redeemers.revenue + self.others.revenue

    @property
    def cost_share(self) -> Decimal | None:
        return _share(self.cost, self.revenue)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Marketing figures of a month or of the whole period. `redeemers` used points on an order in it.

    `points_issued` are earned points and bonuses, less what was taken back. `points_spent` are less what was given
    back.
    """

    active_members: int = 0
    redeeming_members: int = 0
    orders: int = 0
    points_issued: int = 0
    points_spent: int = 0
    redeemers: Buyers = Buyers()
    others: Buyers = Buyers()
    referred_customers: int = 0
    referral_orders: int = 0
    money: tuple[Money, ...] = ()
    """By currency."""

    @property
    def redemption_rate(self) -> Decimal | None:
        """Points spent for each point issued."""
        return _share(self.points_spent, self.points_issued)

    @property
    def redeeming_share(self) -> Decimal | None:
        """The share of active members who redeemed."""
        return _share(self.redeeming_members, self.active_members)


@dataclass(frozen=True, kw_only=True)
class Marketing:
    """The figures of the days from `first` to `last` in the programme's time zone, in all and by month.

    `months` has every month, by its first day; the first and the last may be cut off by the period.
    """

    first: date
    last: date
    time_zone: str
    total: Figures
    months: Mapping[date, Figures]


def marketing(
    connection: Connection, *, first: date | None = None, last: date | None = None, now: datetime
) -> Marketing:
    """Return the figures from `first` to `last`, both included; by default of twelve months up to today.

    Raises `FieldErrors` for a period that ends before it starts, or that is longer than `MAX_MONTHS`.
    """
    load_currencies(connection)
    time_zone = current_version(connection).programme.time_zone
    last = last or local_date(now, time_zone)
    if not _FIRST_DAY <= last <= _LAST_DAY:
        raise field_error("to", f"must be between {_FIRST_DAY} and {_LAST_DAY}")
    first = first or _months_before(last, DEFAULT_MONTHS - 1)
    months = _months(first, last)
    period = {
        "start": start_of_day(first, time_zone),
        "until": start_of_day(last + timedelta(days=1), time_zone),
        "time_zone": time_zone,
    }
    by_month = _figures(connection, period)
    return Marketing(
        first=first,
        last=last,
        time_zone=time_zone,
        total=by_month.get(None, Figures()),
        months={month: by_month.get(month, Figures()) for month in months},
    )


def _figures(connection: Connection, period: Mapping[str, Any]) -> dict[date | None, Figures]:
    """Return the figures by month, and under None those of the whole period. Months without any are left out."""
    figures: dict[date | None, dict[str, Any]] = defaultdict(dict)
    money: dict[date | None, list[Money]] = defaultdict(list)
    for row in connection.execute(_OF_ORDERS, period):
        figures[row.month] |= {
            "active_members": row.active_members,
            "redeeming_members": row.redeeming_members,
            "orders": row.orders,
            "redeemers": Buyers(buyers=row.redeeming_buyers, repeaters=row.redeeming_repeaters),
            "others": Buyers(buyers=row.other_buyers, repeaters=row.other_repeaters),
            "referred_customers": row.referred_customers,
            "referral_orders": row.referral_orders,
        }
        sums = Money(
            currency_code=row.currency_code,
            redeemers=Baskets(orders=row.redeemers_orders, revenue=row.redeemers_revenue),
            others=Baskets(orders=row.others_orders, revenue=row.others_revenue),
            referral_orders=row.money_referral_orders,
            referral_revenue=row.referral_revenue,
            cost=row.cost,
        )
        money[row.month].append(sums)
    for row in connection.execute(_POINTS, period):
        figures[row.month] |= {"points_issued": row.issued, "points_spent": row.spent}
    return {month: Figures(**counts, money=tuple(money[month])) for month, counts in figures.items()}


def _months(first: date, last: date) -> list[date]:
    """Return the first day of every month of the period. Raises `FieldErrors`."""
    if first < _FIRST_DAY:
        raise field_error("from", f"must not be before {_FIRST_DAY}")
    if last < first:
        raise field_error("to", "must not be before from")
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    if count > MAX_MONTHS:
        raise field_error("from", f"asks for more than {MAX_MONTHS} months")
    return [_months_before(last, before) for before in reversed(range(count))]


def _months_before(day: date, months: int) -> date:
    """Return the first day of the month that is `months` months before that of `day`."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, 1)


def _share(part: int | Decimal, total: int | Decimal) -> Decimal | None:
    """Return `part` / `total` with four decimal places; None if there is nothing to divide by."""
    return (Decimal(part) / Decimal(total)).quantize(Decimal("0.0001"), ROUND_HALF_UP) if total > 0 else None
