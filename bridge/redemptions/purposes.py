"""What redemptions are for. `str` of it: `the reward "Coffee mug"`, `5.00 EUR off`, `2 products`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from bridge.db.bulk import among
from bridge.medusa.amounts import plain_text
from bridge.medusa.currencies import format_amount
from bridge.programme.versions import versions_by_number
from bridge.redemptions.tables import RedemptionKind, dust_redemption, dust_redemption_code


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What a redemption is for, and when it was made."""

    kind: RedemptionKind
    reward: str | None
    """The name that the reward had then."""
    value: str | None
    """The discount in major units, if it was fixed."""
    currency_code: str | None
    percent: str | None
    units: int
    """Units of products that are paid with points or free."""
    redeemed_at: datetime

    def __str__(self) -> str:
        if self.reward:
            return f'the reward "{self.reward}"'
        match self.kind:
            case RedemptionKind.FIXED if self.value and self.currency_code:
                return f"{self.value} {self.currency_code.upper()} off"
            case RedemptionKind.PERCENTAGE if self.percent:
                return f"{self.percent} % off"
            case RedemptionKind.FREE_SHIPPING:
                return "free shipping"
            case RedemptionKind.PRODUCTS | RedemptionKind.FREE_PRODUCT if self.units:
                return "a product" if self.units == 1 else f"{self.units} products"
            case _:
                return "a redemption"


def read_purposes(connection: Connection, redemption_ids: Collection[str]) -> dict[str, Purpose]:
    """Return what these redemptions are for, by id."""
    if not redemption_ids:
        return {}
    redemption, codes = dust_redemption.c, dust_redemption_code.c
    units = select(func.sum(codes.quantity)).where(codes.redemption_id == redemption.id).scalar_subquery()
    query = select(dust_redemption, units.label("units")).where(among(redemption.id, list(redemption_ids)))
    rows = connection.execute(query).all()
    rewards = _reward_names(connection, [row for row in rows if row.reward_id])
    return {row.id: _purpose(row, rewards.get(row.id)) for row in rows}


def _reward_names(connection: Connection, rows: Collection[Row[Any]]) -> dict[str, str]:
    """Return the names that rewards had when they were redeemed, by redemption."""
    versions = versions_by_number(connection, {row.programme_version for row in rows})
    rewards = {row.id: versions[row.programme_version].programme.redeem.reward(row.reward_id) for row in rows}
    return {redemption_id: reward.name for redemption_id, reward in rewards.items() if reward}


def _purpose(row: Row[Any], reward: str | None) -> Purpose:
    has_value = row.value is not None and row.currency_code
    return Purpose(
        kind=row.kind,
        reward=reward,
        value=format_amount(row.value, row.currency_code) if has_value else None,
        currency_code=row.currency_code,
        percent=None if row.percent is None else plain_text(row.percent),
        units=row.units or 0,
        redeemed_at=row.created_at,
    )
