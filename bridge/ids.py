"""Ids of Medusa and of Dust. Dust's ids have Medusa's format: a short prefix and a ULID, so they sort by time."""

import re
from typing import NewType

from ulid import ULID

CustomerId = NewType("CustomerId", str)
OrderId = NewType("OrderId", str)
ProductId = NewType("ProductId", str)

# Strict, because ids become part of Medusa's URLs: no character with a meaning in a URL, and no leading dot.
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"
_ID = re.compile(ID_PATTERN)


def is_id(value: str) -> bool:
    """Whether a text has the format of an id."""
    # `$` alone also matches before a line break at the end.
    return _ID.fullmatch(value) is not None


def new_id(prefix: str) -> str:
    """Create an id, for example `dtx_01J9ZK3V5C…`."""
    return f"{prefix}_{ULID()}"
