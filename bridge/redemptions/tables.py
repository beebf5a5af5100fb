"""Tables of redemptions and their codes."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from bridge.db import metadata
from bridge.db.types import EnumText, one_of


class RedemptionState(StrEnum):
    """`pending` → `active` → `captured` or `released`; `failed` if Medusa refuses the promotion."""

    PENDING = "pending"
    ACTIVE = "active"
    CAPTURED = "captured"
    RELEASED = "released"
    FAILED = "failed"


class RedemptionKind(StrEnum):
    """What a redemption gives. The price of `fixed` and `products` depends on the amount; the others have one price."""

    FIXED = "fixed"
    PRODUCTS = "products"
    PERCENTAGE = "percentage"
    FREE_SHIPPING = "free_shipping"
    FREE_PRODUCT = "free_product"

    @property
    def counts_for_share(self) -> bool:
        """Whether it takes money off lines, and does not pay for units at their own price in points."""
        return self not in {RedemptionKind.PRODUCTS, RedemptionKind.FREE_SHIPPING}


OPEN_STATES = (RedemptionState.PENDING, RedemptionState.ACTIVE)

dust_redemption = Table(
    "dust_redemption",
    metadata,
    Column("id", Text, primary_key=True),
    Column("customer_id", Text, nullable=False),
    Column("state", EnumText(RedemptionState), nullable=False),
    Column("dust", BigInteger, nullable=False),
    Column("dust_captured", BigInteger, nullable=False, server_default="0"),
    Column("value", Numeric(20, 6)),
    Column("currency_code", Text),
    Column("kind", EnumText(RedemptionKind), nullable=False, server_default="fixed"),
    Column("reward_id", Text),
    Column("percent", Numeric(7, 4)),
    Column("min_cart", Numeric(20, 6)),
    Column("cart_id", Text),
    Column("order_id", Text),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("reason", Text),
    Column("programme_version", Integer, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("release_requested_at", DateTime(timezone=True)),
    # The worker's token that may call Medusa for this row, and until when it excludes others.
    Column("lease", Text),
    Column("leased_until", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_step_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("customer_id", "idempotency_key"),
    CheckConstraint("0 < dust AND 0 <= dust_captured AND dust_captured <= dust", name="figures"),
    one_of("state", RedemptionState),
    one_of("kind", RedemptionKind),
    Index(None, "customer_id", "id"),
    Index(None, "order_id"),
    Index("ix_dust_redemption_open", "state", "expires_at", postgresql_where=text("state IN ('pending', 'active')")),
    Index("ix_dust_redemption_due", "next_step_at", postgresql_where=text("next_step_at IS NOT NULL")),
)

dust_redemption_code = Table(
    "dust_redemption_code",
    metadata,
    Column("code", Text, primary_key=True),
    Column("redemption_id", Text, ForeignKey("dust_redemption.id"), nullable=False, index=True),
    Column("dust", BigInteger, nullable=False),
    Column("value", Numeric(20, 6)),
    Column("product_id", Text),
    Column("quantity", Integer),
    Column("promotion_id", Text),
    # One order at most uses a code, but two codes of a redemption may be used by two orders.
    Column("order_id", Text),
    Column("dust_captured", BigInteger, nullable=False, server_default="0"),
    # The newest other order that carries the code. It uses the code when `order_id` turns out to be deleted.
    Column("also_order_id", Text),
    Index(None, "order_id"),
    Index("ix_dust_redemption_code_also_order_id", "also_order_id", postgresql_where=text("also_order_id IS NOT NULL")),
    CheckConstraint("0 <= dust_captured AND dust_captured <= dust", name="captured"),
    CheckConstraint("(product_id IS NULL) = (quantity IS NULL)", name="product_has_quantity"),
)
