"""Reads a new programme document: its fields, the shop's currencies, and the prices of free products.

It is in this package because redemptions check the prices of rewards. Used for requests and for drafts that start.
"""

from typing import Any

from pydantic import ValidationError

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import FieldErrors, field_problems
from bridge.medusa.client import get_medusa
from bridge.programme.rules import Programme
from bridge.programme.shop_currencies import ask_currencies, require_currencies, save_currencies
from bridge.programme.spending import Redeem, min_redeemable
from bridge.redemptions.pricing.rewards import require_equal_variant_prices

# A GET adds these keys to the document. A PUT may send them back; they are ignored.
_READ_ONLY = ("version", "author", "created_at")


def read_document(document: dict[str, Any]) -> Programme:
    """Return the programme of a document. Calls Medusa for the shop's currencies and prices. Raises `FieldErrors`."""
    programme = parse_document(document)
    currencies = ask_currencies(get_medusa)
    if currencies:
        require_currencies(programme, currencies)
    require_equal_variant_prices(programme.redeem, get_medusa)
    if currencies:
        with transaction() as connection:
            save_currencies(connection, currencies, now=now())
    return programme


def parse_document(document: dict[str, Any]) -> Programme:
    """Return the programme of a document, without asking Medusa. Raises `FieldErrors`."""
    try:
        programme = Programme.model_validate(
            {name: value for name, value in document.items() if name not in _READ_ONLY}
        )
    except ValidationError as error:
        raise FieldErrors(field_problems(error.errors())) from error
    _require_redeemable(programme.redeem)
    return programme


def _require_redeemable(rules: Redeem) -> None:
    """Raise `FieldErrors` if points cannot be redeemed in a currency, because `max_dust` allows too few at a time."""
    min_dust = {code: min_redeemable(rules, code) for code in rules.rates}
    too_few = [
        f"must be {dust} or more: that many points are the smallest redemption in {code.upper()}"
        for code, dust in sorted(min_dust.items())
        if rules.max_dust is not None and rules.max_dust < dust
    ]
    if too_few:
        raise FieldErrors([{"field": "redeem.max_dust", "message": message} for message in too_few])
