"""Column names in the files of other loyalty programmes. Case, order, spaces and underscores do not matter.

Sources, as read in November 2026:

Smile.io     help.smile.io, "Import points with a CSV file" (`email`, `points`); dev.smile.io, "Customer object"
             (`points_balance`)
Yotpo        support.yotpo.com, "Importing/Exporting Points and Customers" (`Email`, `Points Balance`) and "Importing or
             Adjusting Your Customers' Points" (`Emails`, `Points`); community.yotpo.com says of the export "current
             points balance"
LoyaltyLion  help.loyaltylion.com, "Imports" (e-mail addresses, points) and "Export" (columns may be renamed there);
             developers.loyaltylion.com, headless API, "Get customer" (`points_approved`, `points_pending`)
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class PresetName(StrEnum):
    PLAIN = "plain"
    SMILE = "smile"
    YOTPO = "yotpo"
    LOYALTYLION = "loyaltylion"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Column names by their meaning, the preferred one first, each as `column_name` writes it.

    A file has one row per customer (`balance`), or one per lot of points (`amount`, with its dates). Points in a
    `left_out` column are not imported; their sum is reported.
    """

    balance: tuple[str, ...]
    email: tuple[str, ...] = ("email", "e_mail", "email_address")
    customer_id: tuple[str, ...] = ()
    amount: tuple[str, ...] = ()
    earned_at: tuple[str, ...] = ()
    matures_at: tuple[str, ...] = ()
    expires_at: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


PRESETS = {
    PresetName.PLAIN: Preset(
        customer_id=("customer_id",),
        balance=("balance", "points", "dust"),
        amount=("amount",),
        earned_at=("earned_at",),
        matures_at=("matures_at",),
        expires_at=("expires_at",),
    ),
    PresetName.SMILE: Preset(balance=("points_balance", "points")),
    PresetName.YOTPO: Preset(
        email=("email", "emails", "email_address"),
        balance=("points_balance", "current_points_balance", "points"),
    ),
    # Only approved points may be spent; for pending ones the file does not say when they become spendable.
    PresetName.LOYALTYLION: Preset(
        balance=("points_approved", "approved_points", "points_balance", "points"),
        left_out=("points_pending", "pending_points"),
    ),
}


def column_name(heading: str) -> str:
    """Normalise a column name: `Points Balance`, `points-balance` and `points_balance` are one column."""
    return re.sub(r"[^a-z0-9]+", "_", heading.strip().lower()).strip("_")
