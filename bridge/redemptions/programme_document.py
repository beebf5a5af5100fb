"""Reads a new programme document: its fields, the shop's currencies, and the prices of free products.

Here, because the rewards' prices are checked by the rules of redemptions. Used by requests and by drafts that start.
"""

from typing import Any

from pydantic import ValidationError

from bridge.clock import now
from bridge.db import transaction
from bridge.errors import FieldErrors
from bridge.http.problems import field_problems
from bridge.medusa.client import get_medusa
from bridge.programme.rules import Programme
from bridge.programme.shop_currencies import ask_currencies, require_currencies, save_currencies
from bridge.redemptions.pricing.rewards import require_one_price

# A GET adds these keys to the document. A PUT may send them back; they are ignored.
_READ_ONLY = ("version", "author", "created_at")


def read_document(document: dict[str, Any]) -> Programme:
    """Return the programme of a document. Calls Medusa for the shop's currencies and prices. Raises `FieldErrors`."""
    programme = parse_document(document)
    currencies = ask_currencies(get_medusa)
    if currencies:
        require_currencies(programme, currencies)
    require_one_price(programme.redeem, get_medusa)
    if currencies:
        with transaction() as connection:
            save_currencies(connection, currencies, now=now())
    return programme


def parse_document(document: dict[str, Any]) -> Programme:
    """Return the programme of a document, without asking Medusa. Raises `FieldErrors`."""
    try:
        return Programme.model_validate({k: v for k, v in document.items() if k not in _READ_ONLY})
    except ValidationError as error:
        raise FieldErrors(field_problems(error)) from error
