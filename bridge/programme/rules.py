"""The programme document: one JSON object that a merchant edits. The reference is made from it.

The larger parts are next to their arithmetic: `earning.py`, `limits.py`, `tiers.py`, `spending.py`, `rewards.py`.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, ValidationInfo, model_validator

from bridge.ledger.account import NegativeBalance
from bridge.ledger.postings import MAX_DUST
from bridge.medusa.orders import OrderDetail
from bridge.programme.earning import Earn
from bridge.programme.fields import Part, ShortText, TimeZone, Whole, is_new
from bridge.programme.spending import Redeem
from bridge.programme.tiers import Tiers


class Referral(Part):
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


class Bonuses(Part):
    signup: Whole = Field(default=0, ge=0, le=MAX_DUST, description="Points for a new customer account")
    referral: Referral = Referral()


class Reversal(Part):
    negative_balance: NegativeBalance = NegativeBalance.ALLOW


class GuestClaim(StrEnum):
    """What proves that a guest was this customer, besides an accepted transfer of the order and a claim by support.

    Medusa itself verifies no e-mail. `registration` states that the shop verifies the e-mail before an account is
    opened, `account` that it also verifies a later change of the e-mail.
    """

    TRANSFER = "transfer"
    REGISTRATION = "registration"
    ACCOUNT = "account"


class Guests(Part):
    escrow_days: Whole = Field(
        default=90, ge=1, le=3650, description="Days after the order during which a guest's points can be claimed"
    )
    claim: GuestClaim = Field(
        default=GuestClaim.TRANSFER, description="What proves that a guest's e-mail belongs to a customer"
    )


class PointsName(Part):
    """The shop's own word for points."""

    one: ShortText = "point"
    many: ShortText = "points"


class Programme(Part):
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
        needs = {
            OrderDetail.CATEGORIES: earn.excluded_category_ids or any(by.category_ids for by in earn.multipliers),
            OrderDetail.COLLECTIONS: earn.excluded_collection_ids or any(by.collection_ids for by in earn.multipliers),
            OrderDetail.CUSTOMER_GROUPS: any(multiplier.customer_group_ids for multiplier in earn.multipliers),
        }
        return frozenset(detail for detail, needed in needs.items() if needed)

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
        if is_new(info) and referral.offered and most is not None and referral.min_earned > most:
            raise ValueError(
                f"bonuses.referral.min_earned ({referral.min_earned}) is more than an order can earn by "
                f"earn.limits.per_order ({most}): no referral would ever bring a bonus"
            )
        return self

    def document(self) -> dict[str, Any]:
        """Return the programme as JSON-ready values, as it is stored and served."""
        return self.model_dump(mode="json")
