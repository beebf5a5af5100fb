"""Ids of Medusa and of Dust. Dust's own look like Medusa's: a short prefix and a ULID, so they sort by time."""

import re
from typing import NewType

from ulid import ULID

CustomerId = NewType("CustomerId", str)
OrderId = NewType("OrderId", str)
ProductId = NewType("ProductId", str)

# Narrow, as ids become part of URLs at Medusa: nothing that has a meaning in a URL, and no dot at the beginning.
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"
_ID = re.compile(ID_PATTERN)


def is_id(value: str) -> bool:
    """Whether a text can be an id of Medusa or of Dust."""
    # `$` alone also matches before a line break at the end.
    return _ID.fullmatch(value) is not None


def new_id(prefix: str) -> str:
    """A fresh id, for example `dtx_01J9ZK3V5C…`."""
    return f"{prefix}_{ULID()}"
