"""The programme document: one JSON object that a merchant edits. CONTRACT, "The programme document"."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any

from babel.numbers import list_currencies
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
)

from bridge.ledger.account import MOST_DUST, NegativeBalance
from bridge.medusa.orders import Detail

_CURRENCIES = {code.lower() for code in list_currencies()}
# Rates beyond these are typing errors; they also keep every product of rate and amount inside a BIGINT.
_HIGHEST_RATE = Decimal(1_000_000)
_MOST_PLACES = 6


def _known_currency(code: str) -> str:
    if code not in _CURRENCIES:
        hint = "use lower case" if code.lower() in _CURRENCIES else "use an ISO 4217 code such as eur"
        raise ValueError(f"{code!r} is not a currency: {hint}")
    return code


CurrencyCode = Annotated[str, AfterValidator(_known_currency)]


def _plain(value: Decimal) -> str:
    return f"{value:f}"


# Decimals travel as strings in JSON, so that no reader turns them into binary floats.
ExactDecimal = Annotated[Decimal, PlainSerializer(_plain, return_type=str)]
Rate = Annotated[ExactDecimal, Field(gt=0, le=_HIGHEST_RATE, decimal_places=_MOST_PLACES)]
Id = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$")]
Ids = Annotated[tuple[Id, ...], Field(max_length=10_000)]
# Neither true nor "5" nor 5.0: whoever writes that means something else.
Whole = Annotated[int, Field(strict=True)]
YesNo = Annotated[bool, Field(strict=True)]


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What rules go by when they look at a line of an order."""

    product_id: str | None
    category_ids: frozenset[str] = frozenset()
    collection_id: str | None = None
    customer_group_ids: frozenset[str] = frozenset()


class Rounding(StrEnum):
    FLOOR = "floor"
    HALF_UP = "half_up"
    CEILING = "ceiling"


class EarnWhen(StrEnum):
    """What has to happen before an order earns."""

    PLACED = "order.placed"
    CAPTURED = "payment.captured"
    COMPLETED = "order.completed"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Basis(_Part):
    include_tax: YesNo = False
    include_shipping: YesNo = False


class Multiplier(_Part):
    """Lines that match earn `factor` times as much; several multipliers multiply.

    A line matches by its product, by one of its categories or by its collection; without such ids every line does.
    `customer_group_ids` narrows it down to orders of customers in one of these groups.
    """

    # Postgres keeps no NUL, not even inside JSON.
    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    factor: Annotated[ExactDecimal, Field(ge=0, le=1000, decimal_places=_MOST_PLACES)]
    product_ids: Ids = ()
    category_ids: Ids = ()
    collection_ids: Ids = ()
    customer_group_ids: Ids = ()
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None

    # Here and below on the field and not on the whole, so that a form can show it where it is mended.
    @field_validator("ends_at")
    @classmethod
    def _ends_after_it_starts(cls, ends_at: datetime | None, others: ValidationInfo) -> datetime | None:
        starts_at = others.data.get("starts_at")
        if starts_at and ends_at and ends_at <= starts_at:
            raise ValueError("must be after starts_at")
        return ends_at

    def applies(self, traits: Traits, *, moment: datetime) -> bool:
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
    """Each unit of the product earns this much, whatever it costs: it takes the place of the rate."""

    product_id: Id
    dust: Whole = Field(ge=0, le=MOST_DUST)


class WindowLimit(_Part):
    dust: Whole = Field(ge=1, le=MOST_DUST)
    days: Whole = Field(ge=1, le=3650)


class Limits(_Part):
    """The most dust that may be earned; what is beyond it is not."""

    per_order: Whole | None = Field(default=None, ge=1, le=MOST_DUST, description="By one order")
    per_day: Whole | None = Field(
        default=None, ge=1, le=MOST_DUST, description="By all orders that a customer places on one day (UTC)"
    )
    per_customer: WindowLimit | None = Field(
        default=None, description="By all orders that a customer places within so many days"
    )

    @property
    def join_orders(self) -> bool:
        """Whether what an order earns depends on other orders of the customer."""
        return self.per_day is not None or self.per_customer is not None


class Earn(_Part):
    rates: dict[CurrencyCode, Rate] = Field(
        default={"eur": Decimal(1)}, description="Dust for each major unit of money spent, by currency"
    )
    basis: Basis = Basis()
    rounding: Rounding = Rounding.FLOOR
    when: EarnWhen = EarnWhen.PLACED
    pending_days: Whole = Field(default=0, ge=0, le=3650)
    expires_after_days: Whole | None = Field(default=None, ge=1, le=36_500)
    excluded_product_ids: Ids = ()
    excluded_category_ids: Ids = ()
    excluded_collection_ids: Ids = ()
    fixed: tuple[FixedDust, ...] = Field(
        default=(), max_length=10_000, description="Products whose units each earn so much dust instead of the rate"
    )
    multipliers: tuple[Multiplier, ...] = Field(default=(), max_length=200)
    limits: Limits = Limits()

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


class TierBasis(StrEnum):
    """What counts towards a tier."""

    EARNED = "earned"
    SPENT = "spent"


class TierLevel(_Part):
    """From `from` on, dust or money within the window, a customer's new orders earn `factor` times as much."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")
    threshold: Annotated[ExactDecimal, Field(ge=0, le=MOST_DUST, decimal_places=2)] = Field(alias="from")
    factor: Annotated[ExactDecimal, Field(gt=0, le=1000, decimal_places=_MOST_PLACES)] = Decimal(1)


class Tiers(_Part):
    basis: TierBasis = TierBasis.EARNED
    currency_code: CurrencyCode | None = Field(
        default=None, validate_default=True, description="Whose money counts, when it is what is spent that does"
    )
    window_days: Whole = Field(default=365, ge=1, le=3650)
    levels: tuple[TierLevel, ...] = Field(default=(), max_length=20, description="The lowest first")

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


class Bonuses(_Part):
    signup: Whole = Field(default=0, ge=0, le=MOST_DUST, description="Dust for a new customer account")


class Redeem(_Part):
    rates: dict[CurrencyCode, Rate] = Field(
        default={"eur": Decimal(100)}, description="Dust for each major unit of discount, by currency"
    )
    min_dust: Whole = Field(default=1, ge=1, le=MOST_DUST)
    max_dust: Whole | None = Field(default=None, ge=1, le=MOST_DUST)
    max_share: Annotated[ExactDecimal, Field(gt=0, le=1, decimal_places=_MOST_PLACES)] = Decimal(1)
    code_ttl_minutes: Whole = Field(default=60, ge=1, le=525_600)

    @field_validator("max_dust")
    @classmethod
    def _max_is_not_below_min(cls, max_dust: int | None, others: ValidationInfo) -> int | None:
        if max_dust is not None and max_dust < others.data.get("min_dust", 0):
            raise ValueError("must not be below the least dust at a time, min_dust")
        return max_dust


class Reversal(_Part):
    negative_balance: NegativeBalance = NegativeBalance.ALLOW


class Guests(_Part):
    escrow_days: Whole = Field(default=90, ge=1, le=3650)


class Programme(_Part):
    """All rules of the shop. Everything has a default, so `{}` is a valid programme."""

    earn: Earn = Earn()
    tiers: Tiers = Tiers()
    bonuses: Bonuses = Bonuses()
    redeem: Redeem = Redeem()
    reversal: Reversal = Reversal()
    guests: Guests = Guests()

    @property
    def looks_at(self) -> frozenset[Detail]:
        """What some rule asks for that not every snapshot of an order carries."""
        earn = self.earn
        asked = {
            Detail.CATEGORIES: earn.excluded_category_ids or any(each.category_ids for each in earn.multipliers),
            Detail.COLLECTIONS: earn.excluded_collection_ids or any(each.collection_ids for each in earn.multipliers),
            Detail.CUSTOMER_GROUPS: any(each.customer_group_ids for each in earn.multipliers),
        }
        return frozenset(detail for detail, wanted in asked.items() if wanted)

    def document(self) -> dict[str, Any]:
        """The programme as JSON-ready values, the way it is stored and served."""
        return self.model_dump(mode="json")
