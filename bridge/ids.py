"""Ids that look like Medusa's: a short prefix and a ULID, so they sort by the time they were made."""

from typing import NewType

from ulid import ULID

CustomerId = NewType("CustomerId", str)
OrderId = NewType("OrderId", str)
ProductId = NewType("ProductId", str)


def new_id(prefix: str) -> str:
    """A fresh id, for example `dtx_01J9ZK3V5C…`."""
    return f"{prefix}_{ULID()}"
