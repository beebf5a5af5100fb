"""Tables of settlement: what is booked for each order, the newest facts seen of it, and the escrow for guests."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from bridge.db import metadata
from bridge.db.types import EnumText, one_of

order_settlement = Table(
    "order_settlement",
    metadata,
    Column("order_id", Text, primary_key=True),
    # The customer that the points are booked for; null until the order was first settled.
    Column("customer_id", Text),
    # Medusa's customer of the order if the points belong to another: a guest's order that a customer has claimed.
    Column("buyer_id", Text),
    # Whether it is a guest's order, or was one when it was placed.
    Column("guest", Boolean, nullable=False, server_default="false"),
    # The newest facts seen: older ones are ignored.
    Column("facts_version", Integer),
    Column("facts_updated_at", DateTime(timezone=True)),
    # Sum of all money captured and refunded. Of facts with equal version and time, those with more are newer.
    Column("facts_money", Numeric, nullable=False, server_default="0"),
    Column("facts_canceled", Boolean, nullable=False, server_default="false"),
    # Medusa no longer has the order: it was deleted, as it is when the payment is declined after the order was made.
    Column("gone", Boolean, nullable=False, server_default="false"),
    # Counts settlements. Shows whether the order was settled while Medusa was being asked for it.
    Column("revision", Integer, nullable=False, server_default="0"),
    # When to compare it with Medusa next; null when no comparison is due. Each webhook leads to one comparison.
    Column("check_at", DateTime(timezone=True)),
    # Since when Medusa does not know it. It counts as deleted only if that is still so some minutes later.
    Column("missing_since", DateTime(timezone=True)),
    # The version of the rules at the first settlement; it stays.
    Column("programme_version", Integer),
    # Whether the event has happened that the programme requires before an order earns (`earn.when`).
    Column("earning_due", Boolean, nullable=False, server_default="false"),
    # Points in the ledger for this order, pending included, and the part of them that the order is no longer worth and
    # that was not taken back: it had expired, or `within_balance` left it with the customer.
    Column("booked", BigInteger, nullable=False, server_default="0"),
    Column("not_taken", BigInteger, nullable=False, server_default="0"),
    # The part of `not_taken` that had expired, and what reversals took that was not given back since.
    Column("expired", BigInteger, nullable=False, server_default="0"),
    Column("taken_back", BigInteger, nullable=False, server_default="0"),
    # What it would earn if its customer had no other order. Limits across several orders make `booked` less than that.
    Column("worth", BigInteger, nullable=False, server_default="0"),
    # The part of its worth that former owners keep, see `order_former_owner`; null without former owners.
    Column("former_share", BigInteger),
    # Money spent on it by the programme's basis, less what was returned, and its currency. Tiers may be measured by it.
    Column("spent", Numeric),
    Column("currency_code", Text),
    # Whether it is paid and not canceled, which referrals wait for.
    Column("paid", Boolean, nullable=False, server_default="false"),
    # Its customer's tier at the first settlement: `name` and `factor`.
    Column("tier", JSONB(none_as_null=True)),
    # Points in `guest_escrow` for this order; they are in no customer's ledger.
    Column("escrowed", BigInteger, nullable=False, server_default="0"),
    # By line id, see `stored_lines.py`.
    Column("lines", JSONB, nullable=False, server_default="{}"),
    # What its shipping earns, before rounding; null if it earns nothing.
    Column("shipping_points", Numeric),
    # It has a points-only product that points have not paid: placed by the merchant, past the checkout's guard.
    Column("unpaid_dust_only", Boolean, nullable=False, server_default="false"),
    # A payment would change what it earns, or a referral. Medusa's payments change neither the order's version nor its
    # `updated_at`, so the poll asks for orders with this mark.
    Column("awaits_payment", Boolean, nullable=False, server_default="false"),
    # Its points are pending until it is paid (`earn.pending_until_paid`), and it counts for no tier.
    Column("pending_until_paid", Boolean, nullable=False, server_default="false"),
    # Why it earns nothing, or less than it is worth, in plain words.
    Column("note", Text),
    # The reason that the order has by itself, for `note` when limits across several orders no longer concern it.
    Column("worth_note", Text),
    # The number that the shopper knows the order by. Null if no snapshot had one.
    Column("order_number", Text),
    Column("placed_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True)),
    CheckConstraint("booked >= 0 AND not_taken >= 0", name="figures"),
    Index(None, "customer_id"),
    Index("ix_order_settlement_buyer_id", "buyer_id", postgresql_where=text("buyer_id IS NOT NULL")),
    Index("ix_order_settlement_unpaid_dust_only", "order_id", postgresql_where=text("unpaid_dust_only")),
    Index("ix_order_settlement_waiting", "order_id", postgresql_where=text("awaits_payment OR NOT earning_due")),
    Index("ix_order_settlement_check_at", "check_at", postgresql_where=text("check_at IS NOT NULL")),
    postgresql_with={"fillfactor": "80"},
)


# The shares of former owners: what they had spent or had on hold when the order went to another customer. The row in
# `order_settlement` is the present owner's share. The first owner has a row here as long as another customer owns the
# order, even if it is all zeros: their referral depends on it.
order_former_owner = Table(
    "order_former_owner",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("customer_id", Text, primary_key=True),
    Column("first", Boolean, nullable=False),
    # As in `order_settlement`; what was taken back before the transfer is not counted.
    Column("booked", BigInteger, nullable=False),
    Column("not_taken", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    Column("taken_back", BigInteger, nullable=False),
    # What limits kept this customer from earning. The next owner does not earn it.
    Column("unearned", BigInteger, nullable=False),
    # What the order was worth then. When it is worth less, that part of it is lost first.
    Column("worth", BigInteger, nullable=False),
    CheckConstraint(
        "expired >= 0 AND not_taken >= expired AND booked >= not_taken AND taken_back >= 0 AND unearned >= 0",
        name="figures",
    ),
    Index(None, "customer_id"),
)


class EscrowState(StrEnum):
    """`waiting` → `claimed` by a customer, or `expired`; both are final."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    EXPIRED = "expired"


class Proof(StrEnum):
    """How a customer proved that a guest's order was theirs."""

    TRANSFER = "transfer"
    """The order was transferred to them in Medusa, which the owner of its e-mail had to accept."""
    REGISTRATION = "registration"
    """Their account has its e-mail, in a shop that verifies e-mails (`guests.claim`)."""
    SUPPORT = "support"
    """They proved it to the shop's support, who claimed it for them."""


guest_escrow = Table(
    "guest_escrow",
    metadata,
    Column("order_id", Text, primary_key=True),
    # HMAC of the e-mail, see `email_hash.py`; null once it is not needed: claimed, expired, or the guest was erased.
    Column("email_hash", LargeBinary),
    # The guest was erased: later facts of the order must not bring the hash back.
    Column("erased", Boolean, nullable=False, server_default="false"),
    Column("state", EnumText(EscrowState), nullable=False),
    Column("dust", BigInteger, nullable=False),
    # Who claimed it, and how they proved that the order was theirs.
    Column("customer_id", Text),
    Column("proof", EnumText(Proof)),
    Column("claimed_at", DateTime(timezone=True)),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    one_of("state", EscrowState),
    CheckConstraint("dust >= 0 AND (state = 'waiting' OR dust = 0)", name="only_waiting_dust"),
    CheckConstraint("(state = 'claimed') = (customer_id IS NOT NULL)", name="claimed_by_somebody"),
    CheckConstraint("state = 'waiting' OR email_hash IS NULL", name="no_hash_without_need"),
    Index("ix_guest_escrow_email_hash", "email_hash", postgresql_where=text("email_hash IS NOT NULL")),
    Index("ix_guest_escrow_due", "expires_at", postgresql_where=text("state = 'waiting'")),
    Index(None, "customer_id"),
    postgresql_with={"fillfactor": "80"},
)

# Every change of the escrow, append-only: the escrow at any past moment is the sum up to then.
guest_escrow_entry = Table(
    "guest_escrow_entry",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("order_id", Text, nullable=False, index=True),
    Column("amount", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("amount <> 0", name="amount"),
    CheckConstraint("kind IN ('escrowed', 'taken_back', 'claimed', 'expired')", name="kind"),
)

# E-mails that a customer has proved to be theirs, for orders that Dust learns about after the proof.
proved_email = Table(
    "proved_email",
    metadata,
    Column("email_hash", LargeBinary, primary_key=True),
    Column("customer_id", Text, nullable=False, index=True),
    Column("proof", EnumText(Proof), nullable=False),
    Column("actor", Text, nullable=False),
    Column("proved_at", DateTime(timezone=True), nullable=False),
)

# Customers that Dust has seen. The effects of a registration happen once, when the account is first seen.
customer_account = Table(
    "customer_account",
    metadata,
    Column("customer_id", Text, primary_key=True),
    # False for a customer record without an account, as the dashboard makes them.
    Column("has_account", Boolean, nullable=False),
    Column("first_seen_at", DateTime(timezone=True), nullable=False),
)

# Every mailbox that has had an account. The row stays as a bare hash when its account is deleted or erased.
mailbox = Table(
    "mailbox",
    metadata,
    # HMAC of the normalised e-mail, see `email_hash.py`.
    Column("email_hash", LargeBinary, primary_key=True),
    # The first account of the mailbox; null once that was erased.
    Column("customer_id", Text, index=True),
)

email_key = Table(
    "email_key",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # 32 bytes for each key so far, the oldest first: a hash is computed with all of them in turn.
    Column("key", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("id = 1", name="only_one"),
)


referral_code = Table(
    "referral_code",
    metadata,
    Column("customer_id", Text, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

referral = Table(
    "referral",
    metadata,
    # The referred customer: referred once, by one referrer.
    Column("customer_id", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("referrer_id", Text, nullable=False),
    # The version of the rules that decides the bonuses.
    Column("programme_version", Integer, nullable=False),
    Column("stated_at", DateTime(timezone=True), nullable=False),
    # The first order that is paid and earns now; null while there is none.
    Column("order_id", Text),
    # When there first was such an order, and the referrer's bonus since then: 0 if the limit in 30 days stopped it.
    Column("qualified_at", DateTime(timezone=True)),
    Column("referrer_due", BigInteger, nullable=False, server_default="0"),
    # As in `order_settlement`.
    Column("referrer_booked", BigInteger, nullable=False, server_default="0"),
    Column("referrer_not_taken", BigInteger, nullable=False, server_default="0"),
    Column("referrer_expired", BigInteger, nullable=False, server_default="0"),
    Column("referrer_taken_back", BigInteger, nullable=False, server_default="0"),
    Column("referred_booked", BigInteger, nullable=False, server_default="0"),
    Column("referred_not_taken", BigInteger, nullable=False, server_default="0"),
    Column("referred_expired", BigInteger, nullable=False, server_default="0"),
    Column("referred_taken_back", BigInteger, nullable=False, server_default="0"),
    # Why one of them gets nothing, in plain words.
    Column("note", Text),
    CheckConstraint("customer_id <> referrer_id", name="not_oneself"),
    Index(None, "referrer_id", "qualified_at"),
)


class ForecastOutcome(StrEnum):
    KEPT = "kept"
    """The order earned what the quote said."""
    CART_CHANGED = "cart_changed"
    """The order has other lines, prices, codes or shipping than the cart when it was quoted."""
    RULES_CHANGED = "rules_changed"
    """Another version of the rules was in force when the order was placed."""
    OTHER_ORDERS = "other_orders"
    """Other orders of the customer changed their tier, or what limits allow."""
    UNEXPLAINED = "unexplained"
    """None of these: a fault."""


# The last quote of each cart, and whether its order earned what the quote said.
cart_forecast = Table(
    "cart_forecast",
    metadata,
    Column("cart_id", Text, primary_key=True),
    # What the quote said the order would earn.
    Column("dust", BigInteger, nullable=False),
    # What it was computed from: the version of the rules, a hash of the cart, and the customer's tier.
    Column("programme_version", Integer, nullable=False),
    Column("cart_hash", Text, nullable=False),
    Column("tier", Text),
    Column("quoted_at", DateTime(timezone=True), nullable=False),
    # The order that the cart became, what it earned at first, and what came of the forecast.
    Column("order_id", Text),
    Column("earned", BigInteger),
    Column("outcome", EnumText(ForecastOutcome)),
    Column("settled_at", DateTime(timezone=True)),
    Index(None, "quoted_at"),
    Index("ix_cart_forecast_settled_at", "settled_at", "outcome", postgresql_where=text("settled_at IS NOT NULL")),
)
