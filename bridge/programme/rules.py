"""The programme document: one JSON object that a merchant edits. The reference is made from it."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bridge.ids import ID_PATTERN
from bridge.ledger.account import NegativeBalance
from bridge.ledger.postings import MAX_DUST
from bridge.medusa.orders import OrderDetail
from bridge.programme.days import end_of_day_after, zone_named

# Medusa decides which currencies exist, see `currencies.py`.
_CURRENCY = re.compile("[a-z]{3}")
# Higher rates are typing errors. The limit also keeps every product of rate and amount inside a BIGINT.
_HIGHEST_RATE = Decimal(1_000_000)
_DECIMAL_PLACES = 6
_MAX_MONEY = Decimal(1_000_000_000)


def _currency_code(code: str) -> str:
    if not _CURRENCY.fullmatch(code):
        hint = "use lower case" if _CURRENCY.fullmatch(code.lower()) else "use an ISO 4217 code such as eur"
        raise ValueError(f"{code!r} is not a currency: {hint}")
    return code


CurrencyCode = Annotated[str, AfterValidator(_currency_code)]


def _plain(value: Decimal) -> str:
    return f"{value:f}"


# Decimals are strings in JSON, so that no client turns them into binary floats.
ExactDecimal = Annotated[Decimal, PlainSerializer(_plain, return_type=str)]
Rate = Annotated[ExactDecimal, Field(gt=0, le=_HIGHEST_RATE, decimal_places=_DECIMAL_PLACES)]
Id = Annotated[str, Field(pattern=ID_PATTERN)]
Ids = Annotated[tuple[Id, ...], Field(max_length=10_000)]
# Strict: true, "5" and 5.0 are refused, because they are usually mistakes.
Whole = Annotated[int, Field(strict=True)]
YesNo = Annotated[bool, Field(strict=True)]


@dataclass(frozen=True, kw_only=True)
class LineAttributes:
    """The attributes of an order's line that rules can match."""

    product_id: str | None
    category_ids: frozenset[str] = frozenset()
    collection_id: str | None = None
    customer_group_ids: frozenset[str] = frozenset()


class Rounding(StrEnum):
    FLOOR = "floor"
    HALF_UP = "half_up"
    CEILING = "ceiling"


class EarnWhen(StrEnum):
    """The event after which an order earns."""

    PLACED = "order.placed"
    CAPTURED = "payment.captured"
    COMPLETED = "order.completed"


# Validation context for a stored version: it was checked by the rules of its day.
STORED = {"stored": True}


def _is_new(info: ValidationInfo) -> bool:
    return not info.context


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Basis(_Part):
    include_tax: YesNo = False
    include_shipping: YesNo = False
    include_credit: YesNo = Field(
        default=True,
        description="Whether amounts paid with a gift card or store credit when the order was placed earn points as "
        "money does",
    )


class Multiplier(_Part):
    """Multiplies by `factor` the points of matching lines; several multipliers multiply.

    A line matches by its product, one of its categories, or its collection. Without such ids every line matches.
    `customer_group_ids` limits it to orders of customers in one of these groups.
    """

    # Postgres cannot store NUL, not even inside JSON.
    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    factor: Annotated[ExactDecimal, Field(ge=0, le=1000, decimal_places=_DECIMAL_PLACES)]
    product_ids: Ids = ()
    category_ids: Ids = ()
    collection_ids: Ids = ()
    customer_group_ids: Ids = ()
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None

    # Validated on the field, here and below, so that a form shows the error at that field.
    @field_validator("ends_at")
    @classmethod
    def _ends_after_it_starts(cls, ends_at: datetime | None, others: ValidationInfo) -> datetime | None:
        starts_at = others.data.get("starts_at")
        if starts_at and ends_at and ends_at <= starts_at:
            raise ValueError("must be after starts_at")
        return ends_at

    def applies(self, traits: LineAttributes, *, moment: datetime) -> bool:
        if (self.starts_at and moment < self.starts_at) or (self.ends_at and moment >= self.ends_at):
            return False
        if self.customer_group_ids and traits.customer_group_ids.isdisjoint(self.customer_group_ids):
            return False
        if not self.product_ids and not self.category_ids and not self.collection_ids:
            return True
        return (
            traits.product_id in self.product_ids
            or traits.collection_id in self.collection_ids
            or not traits.category_ids.isdisjoint(self.category_ids)
        )


class FixedDust(_Part):
    """Fixed points for each unit of a product, whatever it costs, instead of the rate."""

    product_id: Id
    dust: Whole = Field(ge=0, le=MAX_DUST)


class WindowLimit(_Part):
    dust: Whole = Field(ge=1, le=MAX_DUST)
    days: Whole = Field(ge=1, le=3650)


class Limits(_Part):
    """The most points that may be earned. Anything above is not earned."""

    per_order: Whole | None = Field(default=None, ge=1, le=MAX_DUST, description="Maximum points earned by one order")
    per_day: Whole | None = Field(
        default=None,
        ge=1,
        le=MAX_DUST,
        description="Maximum points earned by all orders that a customer places on one day",
    )
    per_customer: WindowLimit | None = Field(
        default=None, description="Maximum points earned by all orders that a customer places within a number of days"
    )

    @property
    def join_orders(self) -> bool:
        """Whether an order's points depend on other orders of the customer."""
        return self.per_day is not None or self.per_customer is not None


class Earn(_Part):
    rates: dict[CurrencyCode, Rate] = Field(
        default={"eur": Decimal(1)}, description="Points for each major unit of money spent, by currency"
    )
    basis: Basis = Basis()
    rounding: Rounding = Rounding.FLOOR
    when: EarnWhen = EarnWhen.PLACED
    pending_days: Whole = Field(default=0, ge=0, le=3650)
    pending_until_paid: YesNo = Field(
        default=False,
        description="Whether earned points are pending until the order is paid; recommended with `order.placed`",
    )
    expires_after_days: Whole | None = Field(default=None, ge=1, le=36_500)
    expiry_notice_days: Whole | None = Field(
        default=14,
        ge=1,
        le=365,
        description="How many days before points expire the webhook `dust.expiring` is sent; null: never",
    )
    excluded_product_ids: Ids = ()
    excluded_category_ids: Ids = ()
    excluded_collection_ids: Ids = ()
    fixed: tuple[FixedDust, ...] = Field(
        default=(),
        max_length=10_000,
        description="Products that earn a fixed number of points per unit instead of the rate",
    )
    multipliers: tuple[Multiplier, ...] = Field(default=(), max_length=200)
    limits: Limits = Limits()

    @field_validator("expires_after_days")
    @classmethod
    def _matures_before_it_expires(cls, expires_after_days: int | None, others: ValidationInfo) -> int | None:
        pending_days = others.data.get("pending_days")
        if _is_new(others) and expires_after_days is not None and (pending_days or 0) >= expires_after_days:
            raise ValueError(
                f"expires_after_days ({expires_after_days}) must be more than pending_days ({pending_days}): "
                "points would expire before anybody can spend them"
            )
        return expires_after_days

    @field_validator("fixed")
    @classmethod
    def _each_product_once(cls, fixed: tuple[FixedDust, ...]) -> tuple[FixedDust, ...]:
        often = [product for product, times in Counter(each.product_id for each in fixed).items() if times > 1]
        if often:
            raise ValueError(f"names {', '.join(often[:3])} more than once")
        return fixed

    @cached_property
    def fixed_by_product(self) -> dict[str, int]:
        return {each.product_id: each.dust for each in self.fixed}


ShortText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class TierBasis(StrEnum):
    """What counts towards a tier: points earned or money spent."""

    EARNED = "earned"
    SPENT = "spent"


class TierLevel(_Part):
    """A tier: from the threshold `from` on, a customer's new orders earn `factor` times as many points.

    The threshold is in points or money within the window, by the basis.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    threshold: Annotated[ExactDecimal, Field(ge=0, le=MAX_DUST, decimal_places=2)] = Field(alias="from")
    factor: Annotated[ExactDecimal, Field(gt=0, le=1000, decimal_places=_DECIMAL_PLACES)] = Decimal(1)
    benefits: Annotated[tuple[ShortText, ...], Field(max_length=20)] = Field(
        default=(), description="What customers of this tier get besides points, for the storefront to show"
    )


class Tiers(_Part):
    basis: TierBasis = TierBasis.EARNED
    currency_code: CurrencyCode | None = Field(
        default=None, validate_default=True, description="The currency whose orders count, if `basis` is `spent`"
    )
    window_days: Whole = Field(default=365, ge=1, le=3650)
    levels: tuple[TierLevel, ...] = Field(default=(), max_length=20, description="The tiers, the lowest first")

    @field_validator("currency_code")
    @classmethod
    def _money_has_a_currency(cls, currency_code: str | None, others: ValidationInfo) -> str | None:
        if currency_code is None and others.data.get("basis") is TierBasis.SPENT:
            raise ValueError("say in which currency, when the basis is spent")
        return currency_code

    @field_validator("levels")
    @classmethod
    def _each_is_above_the_one_before(cls, levels: tuple[TierLevel, ...]) -> tuple[TierLevel, ...]:
        for before, level in pairwise(levels):
            if level.threshold <= before.threshold:
                raise ValueError(f"{level.name} must be from more than {before.name}, which comes before it")
        if len({level.name for level in levels}) < len(levels):
            raise ValueError("each needs a name of its own")
        return levels


class Referral(_Part):
    """The bonuses of a referral, given once the new customer has a paid order."""

    referrer: Whole = Field(
        default=0, ge=0, le=MAX_DUST, description="Points for the customer who referred the new one"
    )
    referred: Whole = Field(default=0, ge=0, le=MAX_DUST, description="Points for the new customer")
    min_earned: Whole = Field(
        default=0, ge=0, le=MAX_DUST, description="Minimum points that the new customer's order must earn to count"
    )
    max_per_30_days: Whole | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Maximum number of referrals in 30 days for which a referrer gets a bonus",
    )

    @property
    def offered(self) -> bool:
        return bool(self.referrer or self.referred)


class Bonuses(_Part):
    signup: Whole = Field(default=0, ge=0, le=MAX_DUST, description="Points for a new customer account")
    referral: Referral = Referral()


class RewardKind(StrEnum):
    PERCENTAGE = "percentage"
    FREE_SHIPPING = "free_shipping"
    FREE_PRODUCT = "free_product"


Money = Annotated[ExactDecimal, Field(gt=0, le=_MAX_MONEY, decimal_places=_DECIMAL_PLACES)]
MoneyByCurrency = Annotated[dict[CurrencyCode, Money], Field(max_length=200)]
# Fields that only some kinds of reward have. For other kinds they would have no effect, so they are refused.
_FIELDS_OF_KIND = {
    "percent": (RewardKind.PERCENTAGE,),
    "max_value": (RewardKind.PERCENTAGE, RewardKind.FREE_SHIPPING),
    "product_id": (RewardKind.FREE_PRODUCT,),
    "quantity": (RewardKind.FREE_PRODUCT,),
}
_NEEDED_BY_KIND = {RewardKind.PERCENTAGE: "percent", RewardKind.FREE_PRODUCT: "product_id"}


class Reward(_Part):
    """A reward with a fixed price in points.

    If it names amounts of money, it is available in the currencies that all of them name.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Your own stable id, for example `ten-percent`")
    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    kind: RewardKind
    dust: Whole = Field(ge=1, le=MAX_DUST, description="The price in points, whatever the reward takes off")
    percent: Annotated[ExactDecimal, Field(gt=0, le=100, decimal_places=4)] | None = Field(
        default=None, description="`percentage`: the percent taken off the cart's items"
    )
    max_value: MoneyByCurrency = Field(
        default={},
        description="`percentage`, `free_shipping`: maximum discount, with tax, in major units by currency",
    )
    product_id: Id | None = Field(default=None, description="`free_product`: id of the product")
    quantity: Whole | None = Field(
        default=None, ge=1, le=1_000, description="`free_product`: number of free units; 1 by default"
    )
    min_cart: MoneyByCurrency = Field(
        default={}, description="Minimum price of the cart's items, with tax, in major units by currency"
    )
    currency_codes: Annotated[tuple[CurrencyCode, ...], Field(max_length=200)] = Field(
        default=(), description="Currencies in which it is available; empty: all"
    )

    @model_validator(mode="after")
    def _has_what_its_kind_has(self, info: ValidationInfo) -> Self:
        needed = _NEEDED_BY_KIND.get(self.kind)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"{needed} is missing: a {self.kind} reward needs it")
        for name, kinds in _FIELDS_OF_KIND.items():
            if self.kind not in kinds and getattr(self, name):
                raise ValueError(f"{name} belongs to {' and '.join(kinds)} rewards only")
        named = {name: set(getattr(self, name)) for name in ("max_value", "min_cart", "currency_codes")}
        named = {name: codes for name, codes in named.items() if codes}
        if _is_new(info) and named and not set.intersection(*named.values()):
            raise ValueError(f"{' and '.join(named)} have no currency in common, so nobody could ever have it")
        return self

    @property
    def units(self) -> int:
        """The number of free units of its product."""
        return self.quantity or 1

    @property
    def looks_at_cart(self) -> bool:
        """Whether its value or its availability depends on the cart's currency or worth."""
        return bool(self.max_value or self.min_cart or self.currency_codes)

    def needs_cart(self, max_share: Decimal) -> bool:
        """Whether it can only be redeemed for a cart.

        Only a cart shows what share of it a free product is, and what its shipping costs.
        """
        if self.kind is RewardKind.FREE_SHIPPING:
            return True
        return self.looks_at_cart or (self.kind is RewardKind.FREE_PRODUCT and max_share < 1)

    def exists_in(self, currency_code: str) -> bool:
        limits = (self.max_value, self.min_cart, self.currency_codes)
        return all(currency_code in limit for limit in limits if limit)


class Redeem(_Part):
    rates: dict[CurrencyCode, Rate] = Field(
        default={"eur": Decimal(100)}, description="Points for each major unit of discount, by currency"
    )
    min_dust: Whole = Field(default=1, ge=1, le=MAX_DUST)
    max_dust: Whole | None = Field(default=None, ge=1, le=MAX_DUST)
    max_share: Annotated[ExactDecimal, Field(gt=0, le=1, decimal_places=_DECIMAL_PLACES)] = Decimal(1)
    code_ttl_minutes: Whole = Field(default=60, ge=1, le=525_600)
    rewards: tuple[Reward, ...] = Field(default=(), max_length=200)

    @field_validator("max_dust")
    @classmethod
    def _max_is_not_below_min(cls, max_dust: int | None, others: ValidationInfo) -> int | None:
        if max_dust is not None and max_dust < others.data.get("min_dust", 0):
            raise ValueError("must not be below the least dust at a time, min_dust")
        return max_dust

    @field_validator("rewards")
    @classmethod
    def _rewards_keep_the_limits(cls, rewards: tuple[Reward, ...], others: ValidationInfo) -> tuple[Reward, ...]:
        least, most, share = (others.data.get(name) for name in ("min_dust", "max_dust", "max_share"))
        known = set()
        for reward in rewards:
            if reward.id in known:
                raise ValueError(f"two rewards have the id {reward.id}")
            known.add(reward.id)
            if least is not None and reward.dust < least:
                raise ValueError(f"{reward.id}: {reward.dust} points are fewer than min_dust ({least})")
            if most is not None and reward.dust > most:
                raise ValueError(f"{reward.id}: {reward.dust} points are more than max_dust ({most})")
            if share is not None and reward.percent is not None and reward.percent > share * 100:
                raise ValueError(f"{reward.id}: {reward.percent:f} % are above max_share ({share:f} of the cart)")
        return rewards

    def reward(self, reward_id: str) -> Reward | None:
        """Return the reward with this id; None if it is not in the catalogue."""
        return next((reward for reward in self.rewards if reward.id == reward_id), None)


class Reversal(_Part):
    negative_balance: NegativeBalance = NegativeBalance.ALLOW


class GuestClaim(StrEnum):
    """What proves that a guest was this customer, besides an accepted transfer of the order and a claim by support.

    Medusa itself verifies no e-mail. `registration` states that the shop verifies the e-mail before an account is
    opened, `account` that it also verifies a later change of the e-mail.
    """

    TRANSFER = "transfer"
    REGISTRATION = "registration"
    ACCOUNT = "account"


class Guests(_Part):
    escrow_days: Whole = Field(
        default=90, ge=1, le=3650, description="Days after the order during which a guest's points can be claimed"
    )
    claim: GuestClaim = Field(
        default=GuestClaim.TRANSFER, description="What proves that a guest's e-mail belongs to a customer"
    )


def _known_zone(name: str) -> str:
    try:
        zone_named(name)
    except (ValueError, KeyError, OSError):
        raise ValueError(f"{name!r} is not a time zone: use an IANA name such as Europe/Berlin") from None
    return name


TimeZone = Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]{1,64}$"), AfterValidator(_known_zone)]


class PointsName(_Part):
    """The shop's own word for points."""

    one: ShortText = "point"
    many: ShortText = "points"


class Programme(_Part):
    """All rules of the shop. Everything has a default, so `{}` is a valid programme."""

    name: PointsName = Field(default=PointsName(), description="The shop's word for points, for the storefront")

    time_zone: TimeZone = Field(
        default="UTC",
        description="IANA time zone. Points expire at the end of a day in it, and daily limits use its days",
    )
    earn: Earn = Earn()
    tiers: Tiers = Tiers()
    bonuses: Bonuses = Bonuses()
    redeem: Redeem = Redeem()
    reversal: Reversal = Reversal()
    guests: Guests = Guests()

    @property
    def looks_at_accounts(self) -> bool:
        """Whether a new account has an effect, so that Medusa must be asked about it."""
        proved = self.guests.claim is not GuestClaim.TRANSFER
        return bool(self.bonuses.signup or self.bonuses.referral.offered or proved)

    @property
    def looks_at(self) -> frozenset[OrderDetail]:
        """The details that some rule needs and that not every snapshot of an order has."""
        earn = self.earn
        asked = {
            OrderDetail.CATEGORIES: earn.excluded_category_ids or any(by.category_ids for by in earn.multipliers),
            OrderDetail.COLLECTIONS: earn.excluded_collection_ids or any(by.collection_ids for by in earn.multipliers),
            OrderDetail.CUSTOMER_GROUPS: any(each.customer_group_ids for each in earn.multipliers),
        }
        return frozenset(detail for detail, wanted in asked.items() if wanted)

    def currencies(self) -> Iterator[tuple[str, str]]:
        """Yield every currency code that was set explicitly, with its field. Defaults are left out."""
        for part, rules in (("earn", self.earn), ("redeem", self.redeem)):
            if "rates" in rules.model_fields_set:
                yield from ((f"{part}.rates.{code}", code) for code in rules.rates)
        if self.tiers.currency_code:
            yield "tiers.currency_code", self.tiers.currency_code
        for number, reward in enumerate(self.redeem.rewards):
            field = f"redeem.rewards.{number}"
            yield from ((f"{field}.max_value.{code}", code) for code in reward.max_value)
            yield from ((f"{field}.min_cart.{code}", code) for code in reward.min_cart)
            yield from ((f"{field}.currency_codes.{place}", code) for place, code in enumerate(reward.currency_codes))

    @model_validator(mode="after")
    def _a_referral_can_be_reached(self, info: ValidationInfo) -> Self:
        referral, most = self.bonuses.referral, self.earn.limits.per_order
        if _is_new(info) and referral.offered and most is not None and referral.min_earned > most:
            raise ValueError(
                f"bonuses.referral.min_earned ({referral.min_earned}) is more than an order can earn by "
                f"earn.limits.per_order ({most}): no referral would ever bring a bonus"
            )
        return self

    def dates(self, placed_at: datetime) -> tuple[datetime | None, datetime | None]:
        """Return when an order's points mature and expire; None for either that does not apply.

        Counted from the time the order was placed, not from when Dust learned of it, so a late webhook neither costs
        nor gives days.
        """
        days = self.earn.pending_days
        return placed_at + timedelta(days=days) if days else None, self.expiry(placed_at)

    def expiry(self, moment: datetime, days: int | None = None) -> datetime | None:
        """Return when points of this moment expire, after `days` or else as earned ones do; None: never.

        It is the end of a day, so that points can be used on the whole day that a page shows.
        """
        after = days or self.earn.expires_after_days
        return end_of_day_after(moment, after, self.time_zone) if after else None

    def document(self) -> dict[str, Any]:
        """Return the programme as JSON-ready values, as it is stored and served."""
        return self.model_dump(mode="json")
