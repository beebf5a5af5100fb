"""The rewards of the catalogue: what each takes off, for a fixed price in points."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, model_validator

from bridge.ledger.postings import MAX_DUST
from bridge.programme.fields import CurrencyCode, ExactDecimal, Id, MoneyByCurrency, Part, Whole, is_new


class RewardKind(StrEnum):
    PERCENTAGE = "percentage"
    FREE_SHIPPING = "free_shipping"
    FREE_PRODUCT = "free_product"


# Fields that only some kinds of reward have. For other kinds they would have no effect, so they are refused.
_FIELDS_OF_KIND = {
    "percent": (RewardKind.PERCENTAGE,),
    "max_value": (RewardKind.PERCENTAGE, RewardKind.FREE_SHIPPING),
    "product_id": (RewardKind.FREE_PRODUCT,),
    "quantity": (RewardKind.FREE_PRODUCT,),
}
_NEEDED_BY_KIND = {RewardKind.PERCENTAGE: "percent", RewardKind.FREE_PRODUCT: "product_id"}


class Reward(Part):
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
        default={}, description="`percentage`, `free_shipping`: maximum discount, with tax, in major units by currency"
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
        if is_new(info) and named and not set.intersection(*named.values()):
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
