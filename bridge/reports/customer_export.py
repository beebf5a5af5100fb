"""Export all data that Dust has about one customer, as one document."""

from typing import Any

from sqlalchemy import Connection, Table, select

from bridge.db.bulk import among
from bridge.ids import CustomerId
from bridge.imports.tables import import_row
from bridge.ledger.adjust import ADJUSTMENT
from bridge.ledger.merges import merges_of
from bridge.ledger.tables import dust_balance, dust_lot, dust_transaction
from bridge.medusa.currencies import format_amount
from bridge.outgoing.tables import outgoing_webhook
from bridge.programme.shop_currencies import load_currencies
from bridge.redemptions.tables import dust_redemption, dust_redemption_code
from bridge.settlement.tables import (
    customer_account,
    guest_escrow,
    order_former_owner,
    order_settlement,
    proved_email,
    referral,
    referral_code,
)

# Internal columns that say nothing about the customer.
_NOT_THEIRS = {
    "hash", "head", "request_hash", "lease", "leased_until", "next_attempt_at", "next_step_at", "attempts",
    "give_up_at", "seq",
    # Another customer.
    "referrer_id",
    # Hashes of the customer's own e-mail, which Dust cannot reverse.
    "email_hash", "erased",
}  # fmt: skip
# In the currency of their row.
_AMOUNTS = {"value", "min_cart", "spent", "facts_money"}
_TABLES: dict[str, Table] = {
    "balance": dust_balance,
    "transactions": dust_transaction,
    "lots": dust_lot,
    "redemptions": dust_redemption,
    "orders": order_settlement,
    "orders_given_away": order_former_owner,
    "orders_as_guest": guest_escrow,
    "proved_emails": proved_email,
    "account": customer_account,
    "outgoing_webhooks": outgoing_webhook,
    "imports": import_row,
    "referral_code": referral_code,
    "referred": referral,
}


def export_customer(connection: Connection, customer_id: CustomerId) -> dict[str, Any]:
    """Return rows by table, in key order; empty lists for an unknown customer."""
    load_currencies(connection)
    document: dict[str, Any] = {"customer_id": customer_id}
    for name, table in _TABLES.items():
        query = select(table).where(table.c.customer_id == customer_id).order_by(*table.primary_key.columns)
        document[name] = [_row(row._mapping) for row in connection.execute(query)]
    document["merges"] = [vars(merge) for merge in merges_of(connection, customer_id)]
    ids = [redemption["id"] for redemption in document["redemptions"]]
    codes = select(dust_redemption_code).where(among(dust_redemption_code.c.redemption_id, ids))
    document["codes"] = [_row(row._mapping) for row in connection.execute(codes)]
    return document


def _row(row: Any) -> dict[str, Any]:
    values = {name: value for name, value in row.items() if name not in _NOT_THEIRS}
    if currency_code := values.get("currency_code"):
        amounts = {name: values[name] for name in _AMOUNTS & values.keys() if values[name] is not None}
        values |= {name: format_amount(amount, currency_code) for name, amount in amounts.items()}
    for type_, id_ in (("reference_type", "reference_id"), ("source_type", "source_id")):
        if values.get(type_) == ADJUSTMENT:
            # The reason is for the shop only.
            values[id_] = values["id"]
    return values
