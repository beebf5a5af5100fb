"""What redemptions are for, in words: `the reward "Coffee mug"`, `5.00 EUR off`, `2 products`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from bridge.db.bulk import among
from bridge.medusa.currencies import format_money
from bridge.programme.versions import versions_by_number
from bridge.redemptions.tables import RedemptionKind, dust_redemption, dust_redemption_code


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What a redemption is for, and when it was made."""

    text: str
    redeemed_at: datetime

    def dated(self) -> str:
        """Return `5.00 EUR off, redeemed on 22 Nov 2026`."""
        return f"{self.text}, redeemed on {self.redeemed_at:%d %b %Y}"


def read_purposes(connection: Connection, redemption_ids: Collection[str]) -> dict[str, Purpose]:
    """Return what these redemptions are for, by id."""
    if not redemption_ids:
        return {}
    redemption, codes = dust_redemption.c, dust_redemption_code.c
    units = select(func.sum(codes.quantity)).where(codes.redemption_id == redemption.id).scalar_subquery()
    query = select(dust_redemption, units.label("units")).where(among(redemption.id, list(redemption_ids)))
    rows = connection.execute(query).all()
    rewards = _reward_names(connection, [row for row in rows if row.reward_id])
    return {row.id: Purpose(text=_text(row, rewards), redeemed_at=row.created_at) for row in rows}


def _reward_names(connection: Connection, rows: Collection[Row[Any]]) -> dict[str, str]:
    """Return the names that rewards had when they were redeemed, by redemption."""
    versions = versions_by_number(connection, {row.programme_version for row in rows})
    rewards = {row.id: versions[row.programme_version].programme.redeem.reward(row.reward_id) for row in rows}
    return {redemption_id: reward.name for redemption_id, reward in rewards.items() if reward}


def _text(row: Row[Any], rewards: Mapping[str, str]) -> str:
    if row.id in rewards:
        return f'the reward "{rewards[row.id]}"'
    match row.kind:
        case RedemptionKind.FIXED if row.value is not None and row.currency_code:
            return f"{format_money(row.value, row.currency_code)} off"
        case RedemptionKind.PERCENTAGE if row.percent is not None:
            return f"{row.percent.normalize():f} % off"
        case RedemptionKind.FREE_SHIPPING:
            return "free shipping"
        case RedemptionKind.PRODUCTS | RedemptionKind.FREE_PRODUCT if row.units:
            return "a product" if row.units == 1 else f"{row.units} products"
        case _:
            return "a redemption"
