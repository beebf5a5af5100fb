"""What is booked for each order, the newest facts that were seen of it, and what waits for guests."""

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

order_settlement = Table(
    "order_settlement",
    metadata,
    Column("order_id", Text, primary_key=True),
    # Whom the earning is booked for; null until the order was first settled.
    Column("customer_id", Text),
    # Medusa's customer of the order where the dust is another's: a guest's order that a customer has claimed.
    Column("buyer_id", Text),
    # Whether it is, or was when it was placed, a guest's.
    Column("guest", Boolean, nullable=False, server_default="false"),
    # The newest facts seen: older ones are ignored.
    Column("facts_version", Integer),
    Column("facts_updated_at", DateTime(timezone=True)),
    # All that was captured and refunded by then, together: of facts that are as new as each other, more is newer.
    Column("facts_money", Numeric, nullable=False, server_default="0"),
    Column("facts_canceled", Boolean, nullable=False, server_default="false"),
    # Medusa no longer has the order: it was deleted, as it is when the payment is declined after the order was made.
    Column("gone", Boolean, nullable=False, server_default="false"),
    # Counts settlements: shows whether the order was settled while Medusa was asked for it.
    Column("revision", Integer, nullable=False, server_default="0"),
    # When to compare it with Medusa next; null when that is not due. What a webhook says is compared once.
    Column("check_at", DateTime(timezone=True)),
    # Since when Medusa does not know it. It counts as deleted only when that is still so some minutes later.
    Column("missing_since", DateTime(timezone=True)),
    # The rules the order first met; they stay its rules.
    Column("programme_version", Integer),
    # What the programme waits for before the order earns has happened.
    Column("earning_due", Boolean, nullable=False, server_default="false"),
    # Dust in the ledger for this order, pending included, and what could not be taken back under `within_balance`.
    Column("booked", BigInteger, nullable=False, server_default="0"),
    Column("waived", BigInteger, nullable=False, server_default="0"),
    # The part of `waived` that had expired by then, and what reversals took that was not given back since.
    Column("expired", BigInteger, nullable=False, server_default="0"),
    Column("taken_back", BigInteger, nullable=False, server_default="0"),
    # What it would earn if its customer had no other order: limits that look at several make `booked` less than that.
    Column("worth", BigInteger),
    # What of its worth former owners keep, see `order_former_owner`; null when it had no other owner.
    Column("former_share", BigInteger),
    # Money spent on it by the programme's basis, as far as it is kept, and of which currency. Tiers may go by it.
    Column("spent", Numeric),
    Column("currency_code", Text),
    # Whether its money has arrived and it was not canceled: a referral waits for that. Null before it was remembered.
    Column("paid", Boolean),
    # The tier its customer had when it was first settled: `name` and `factor`.
    Column("tier", JSONB(none_as_null=True)),
    # Dust that waits in `guest_escrow` for this order; it is in nobody's book.
    Column("escrowed", BigInteger, nullable=False, server_default="0"),
    # By line id: its exact share before rounding, whether it is for dust alone (then it never earns), and what the
    # rules said of it when it was first settled: `factor`, and where there is something to say `multipliers` (names),
    # `fixed` (dust for each unit) and `excluded`.
    Column("lines", JSONB, nullable=False, server_default="{}"),
    # It has a product for dust alone that dust has not paid: made past the checkout's guard, by the merchant.
    Column("unpaid_dust_only", Boolean, nullable=False, server_default="false"),
    # A payment, which moves neither the order's version nor its `updated_at`, changes something: its dust waits for it,
    # or a referral does, or a claim, an exchange or an edit added something that is not paid yet.
    Column("awaits_payment", Boolean, nullable=False, server_default="false"),
    # Its dust is pending until it is paid (`earn.pending_until_paid`), and it counts for no tier.
    Column("unpaid", Boolean, nullable=False, server_default="false"),
    # Why it earns nothing, or less than it is worth, in plain words.
    Column("note", Text),
    Column("placed_at", DateTime(timezone=True)),
    Column("updated_at", DateTime(timezone=True)),
    CheckConstraint("booked >= 0 AND waived >= 0", name="figures"),
    Index(None, "customer_id"),
    Index("ix_order_settlement_buyer_id", "buyer_id", postgresql_where=text("buyer_id IS NOT NULL")),
    Index("ix_order_settlement_unpaid", "order_id", postgresql_where=text("unpaid_dust_only")),
    Index("ix_order_settlement_waiting", "order_id", postgresql_where=text("awaits_payment OR NOT earning_due")),
    Index("ix_order_settlement_check_at", "check_at", postgresql_where=text("check_at IS NOT NULL")),
    postgresql_with={"fillfactor": "80"},
)


# What customers who owned an order before still have of it, as they had spent it or it was on hold when the order went
# to another customer. The row in `order_settlement` is the present owner's share. Who owned it first has a row here
# for as long as another customer owns it, be it of zeros: their referral goes by it.
order_former_owner = Table(
    "order_former_owner",
    metadata,
    Column("order_id", Text, primary_key=True),
    Column("customer_id", Text, primary_key=True),
    Column("first", Boolean, nullable=False),
    # As in `order_settlement`; what was taken back before the order went away is not counted.
    Column("booked", BigInteger, nullable=False),
    Column("waived", BigInteger, nullable=False),
    Column("expired", BigInteger, nullable=False),
    Column("taken_back", BigInteger, nullable=False),
    # What limits had kept from this customer. The next owner does not earn it.
    Column("unearned", BigInteger, nullable=False),
    CheckConstraint(
        "expired >= 0 AND waived >= expired AND booked >= waived AND taken_back >= 0 AND unearned >= 0",
        name="figures",
    ),
    Index(None, "customer_id"),
)


class EscrowState(StrEnum):
    """`waiting` → `claimed` by a customer, or `expired`; both are final."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    EXPIRED = "expired"


guest_escrow = Table(
    "guest_escrow",
    metadata,
    Column("order_id", Text, primary_key=True),
    # HMAC of the e-mail, see `emails.py`; gone as soon as nobody needs it: claimed, expired, or the guest was erased.
    Column("email_hash", LargeBinary),
    # The guest was erased: no later facts of the order may bring the hash back.
    Column("forgotten", Boolean, nullable=False, server_default="false"),
    Column("state", Text, nullable=False),
    Column("dust", BigInteger, nullable=False),
    # Who claimed it and how they proved that it is theirs.
    Column("customer_id", Text),
    Column("proof", Text),
    Column("claimed_at", DateTime(timezone=True)),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("state IN ('waiting', 'claimed', 'expired')", name="state"),
    CheckConstraint("dust >= 0 AND (state = 'waiting' OR dust = 0)", name="only_waiting_dust"),
    CheckConstraint("(state = 'claimed') = (customer_id IS NOT NULL)", name="claimed_by_somebody"),
    CheckConstraint("state = 'waiting' OR email_hash IS NULL", name="no_hash_without_need"),
    Index("ix_guest_escrow_email_hash", "email_hash", postgresql_where=text("email_hash IS NOT NULL")),
    Index("ix_guest_escrow_due", "expires_at", postgresql_where=text("state = 'waiting'")),
    Index(None, "customer_id"),
    postgresql_with={"fillfactor": "80"},
)

# Every change of what waits, only ever added to: what waited at any past moment is the sum up to then.
guest_escrow_entry = Table(
    "guest_escrow_entry",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("order_id", Text, nullable=False, index=True),
    Column("amount", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("amount <> 0", name="amount"),
    CheckConstraint("kind IN ('set_aside', 'taken_back', 'claimed', 'expired')", name="kind"),
)

# E-mails that a customer has proved to be theirs, for orders that become known only after the proof.
proved_email = Table(
    "proved_email",
    metadata,
    Column("email_hash", LargeBinary, primary_key=True),
    Column("customer_id", Text, nullable=False, index=True),
    Column("proof", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("proved_at", DateTime(timezone=True), nullable=False),
)

# Customers that Dust has seen: what follows from a registration follows from the first sight of the account, once.
customer_account = Table(
    "customer_account",
    metadata,
    Column("customer_id", Text, primary_key=True),
    # False for a customer record without an account, as the dashboard makes them.
    Column("has_account", Boolean, nullable=False),
    Column("first_seen_at", DateTime(timezone=True), nullable=False),
)

# Every mailbox that has had an account. A row stays when its account is deleted or erased, then as a hash alone.
mailbox = Table(
    "mailbox",
    metadata,
    # HMAC of the e-mail with its spelling evened out, see `emails.py`.
    Column("email_hash", LargeBinary, primary_key=True),
    # The first account of the mailbox; null once that was erased.
    Column("customer_id", Text, index=True),
)

email_key = Table(
    "email_key",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # 32 bytes for each key there ever was, the oldest first: a hash is taken with all of them in turn.
    Column("key", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("id = 1", name="only_one"),
)
