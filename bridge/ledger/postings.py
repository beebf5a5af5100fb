"""Postings: the rows of the ledger. Each has a hash over the previous one, so a changed or missing row is found."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from bridge.db.rows import TypedRow
from bridge.ids import CustomerId
from bridge.ledger.lots import LotMove

# The previous hash of every customer's first row.
GENESIS = b"\x00" * 32
# A larger single movement is a mistake. The sum of many still fits a Postgres BIGINT.
MAX_DUST = 10**12


class Kind(StrEnum):
    """The reason of a ledger row."""

    EARN = "earn"
    BONUS = "bonus"
    ADJUST = "adjust"
    IMPORT = "import"
    MATURE = "mature"
    REVERSE = "reverse"
    HOLD = "hold"
    RELEASE = "release"
    REDEEM = "redeem"
    REFUND = "refund"
    EXPIRE = "expire"
    MERGE = "merge"
    UNMERGE = "unmerge"
    TRANSFER = "transfer"


@dataclass(frozen=True, kw_only=True)
class PostingDetails:
    """Kind, reference and description of a posting.

    Descriptions are shown to shoppers and must not contain personal data.
    """

    kind: Kind
    reference_type: str
    reference_id: str
    order_id: str | None = None
    """For a redemption: the order that its points are spent on or given back for."""
    description: str
    event_at: datetime
    actor: str = "dust"
    idempotency_key: str | None = None
    programme_version: int | None = None


@dataclass(frozen=True, kw_only=True)
class Posting:
    """One row of the ledger. `amount`, `held` and `pending` are changes; the `_after` figures are the results."""

    id: str
    customer_id: CustomerId
    version: int
    amount: int
    held: int
    pending: int
    balance_after: int
    held_after: int
    pending_after: int
    details: PostingDetails
    created_at: datetime
    previous_hash: bytes
    moves: tuple[LotMove, ...]

    @cached_property
    def hash(self) -> bytes:
        return chain_hash(self.previous_hash, self.columns())

    @property
    def type(self) -> str:
        """`credit` or `debit`; `memo` where the balance did not move (a hold, a release, pending points)."""
        return "credit" if self.amount > 0 else "debit" if self.amount < 0 else "memo"

    def columns(self) -> dict[str, Any]:
        """Return the row of `dust_transaction`, without its hash."""
        return {
            "customer_id": self.customer_id,
            "version": self.version,
            "id": self.id,
            "amount": self.amount,
            "held": self.held,
            "pending": self.pending,
            "type": self.type,
            "balance_after": self.balance_after,
            "held_after": self.held_after,
            "pending_after": self.pending_after,
            **vars(self.details),
            "created_at": self.created_at,
        }


def chain_hash(previous: bytes, row: Mapping[str, object]) -> bytes:
    """Return SHA-256 of the previous row's hash and this row's content.

    A changed or missing row breaks the chain.
    """
    content = [
        value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for value in map(row.__getitem__, HASHED_COLUMNS)
    ]
    return hashlib.sha256(previous + _compact_json(content).encode()).digest()


# Created once: `json.dumps` with custom separators creates an encoder for every call.
_compact_json = json.JSONEncoder(separators=(",", ":")).encode

HASHED_COLUMNS = (
    "customer_id", "version", "id", "amount", "held", "pending", "balance_after", "held_after", "pending_after",
    "kind", "reference_type", "reference_id", "order_id", "description", "actor", "idempotency_key",
    "programme_version", "event_at", "created_at",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Transaction(TypedRow):
    """A row of the ledger, as read from the database."""

    id: str
    customer_id: CustomerId
    version: int
    amount: int
    type: str
    kind: Kind
    reference_type: str
    reference_id: str
    order_id: str | None
    description: str
    balance_after: int
    held: int
    held_after: int
    pending: int
    pending_after: int
    actor: str
    event_at: datetime
    created_at: datetime
