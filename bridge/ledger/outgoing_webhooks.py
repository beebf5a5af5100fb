"""Outgoing webhooks for ledger postings, written in the same transaction as the postings."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, Select, delete, exists, select

from bridge.db.bulk import among, insert_missing
from bridge.ids import CustomerId
from bridge.ledger.account import Account
from bridge.ledger.lots import Lot
from bridge.ledger.postings import Kind, Posting
from bridge.ledger.tables import dust_lot, expiry_announcement
from bridge.outgoing.outbox import OutgoingWebhook, add_webhooks, webhooks_configured
from bridge.outgoing.tables import OutgoingWebhookType

_TYPES = {
    Kind.EARN: OutgoingWebhookType.EARNED,
    Kind.BONUS: OutgoingWebhookType.EARNED,
    Kind.REDEEM: OutgoingWebhookType.REDEEMED,
    Kind.EXPIRE: OutgoingWebhookType.EXPIRED,
}


def store_webhooks(connection: Connection, accounts: Sequence[Account], *, quiet: Collection[str]) -> None:
    """Store outgoing webhooks for the postings of these accounts; none for `quiet` earnings."""
    # An account can have changed without a posting: a date of its points, or what is waived.
    posted = [account for account in accounts if account.postings]
    if posted and webhooks_configured():
        webhooks = [webhook for account in posted for webhook in _webhooks(account, quiet)]
        add_webhooks(connection, webhooks, now=posted[0].postings[-1].created_at)


def _webhooks(account: Account, quiet: Collection[str]) -> Iterator[OutgoingWebhook]:
    expired = [posting for posting in account.postings if _was_spendable(account, posting)]
    for posting in account.postings:
        type_ = _TYPES.get(posting.details.kind)
        if type_ is None:
            continue
        if type_ is OutgoingWebhookType.EARNED and (
            posting.details.reference_id in quiet or _expired_at_once(_opened_lot(account, posting))
        ):
            continue
        reported = [posting]
        if type_ is OutgoingWebhookType.EXPIRED:
            # Lots that expire together give one webhook, with the balance after the last of them.
            if posting not in expired[-1:]:
                continue
            reported = expired
        amount = sum(abs(part.amount or part.pending) for part in reported)
        yield OutgoingWebhook(
            type=type_,
            customer_id=account.customer_id,
            version=posting.version,
            data={**_common(posting, amount), **_details(account, posting)},
        )


def _was_spendable(account: Account, posting: Posting) -> bool:
    """Whether it books the expiry of points that could have been spent before."""
    return posting.details.kind is Kind.EXPIRE and not _expired_at_once(account.lots[posting.details.reference_id])


def _expired_at_once(lot: Lot | None) -> bool:
    """Whether these points had expired when they were booked, as those of an old order have."""
    return lot is not None and lot.expires_at is not None and lot.expires_at <= lot.created_at


def _opened_lot(account: Account, posting: Posting) -> Lot | None:
    return next((lot for lot in account.opened_lots if lot.origin_version == posting.version), None)


def _common(posting: Posting, amount: int) -> dict[str, Any]:
    return {
        "customer_id": posting.customer_id,
        "amount": amount,
        "balance": posting.balance_after,
        "available": max(0, posting.balance_after - posting.held_after),
        "pending": posting.pending_after,
        "transaction_id": posting.id,
        "version": posting.version,
        "event_at": _iso(posting.details.event_at),
    }


def _details(account: Account, posting: Posting) -> dict[str, Any]:
    details = posting.details
    if details.kind is Kind.EXPIRE:
        return {}
    event = {"kind": details.kind.value, "reference_type": details.reference_type, "reference_id": details.reference_id}
    if details.kind is Kind.REDEEM:
        return event
    lot = _opened_lot(account, posting)
    return {
        **event,
        "matures_at": _iso(lot.matures_at) if lot and not lot.matured else None,
        "awaits_payment": bool(lot and lot.pending_until_paid),
        "expires_at": _iso(lot.expires_at) if lot else None,
    }


def announce_expiring(
    connection: Connection, *, days: int, now: datetime, customers: int, time_zone: str = "UTC"
) -> int:
    """Store webhooks for points that expire within `days`; return how many customers, at most `customers`.

    Each lot is announced once, also by concurrent calls. All that a customer loses on one day of the time zone is one
    webhook.
    """
    due = _due_lots(now, days)
    customer_ids = list(connection.scalars(due.with_only_columns(dust_lot.c.customer_id).distinct().limit(customers)))
    if not customer_ids:
        return 0
    lots = connection.execute(
        due.where(among(dust_lot.c.customer_id, customer_ids)).order_by(
            dust_lot.c.customer_id, dust_lot.c.expires_at, dust_lot.c.id
        )
    ).all()
    if not lots:
        # A concurrent call has announced them since the first query.
        return len(customer_ids)
    # In the sequence of the key: of two concurrent calls, one waits for the other.
    marks = [
        {"customer_id": lot.customer_id, "lot_id": lot.id, "expires_at": lot.expires_at}
        for lot in sorted(lots, key=lambda lot: (lot.customer_id, lot.id))
    ]
    newly_marked = insert_missing(connection, expiry_announcement, marks, returning="lot_id")
    days_of: dict[tuple[str, date], list[Row[Any]]] = {}
    for lot in lots:
        if lot.id in newly_marked:
            days_of.setdefault((lot.customer_id, lot.expires_at.astimezone(ZoneInfo(time_zone)).date()), []).append(lot)
    add_webhooks(connection, [_expiring(group) for group in days_of.values()], now=now)
    return len(customer_ids)


def _due_lots(now: datetime, days: int) -> Select[Any]:
    lots, marks = dust_lot.c, expiry_announcement.c
    announced = exists().where(marks.customer_id == lots.customer_id, marks.lot_id == lots.id)
    return select(lots.customer_id, lots.id, (lots.remaining - lots.held).label("amount"), lots.expires_at).where(
        lots.expires_at > now, lots.expires_at <= now + timedelta(days=days), lots.remaining > lots.held, lots.matured,
        ~announced,
    )  # fmt: skip


def _expiring(lots: list[Row[Any]]) -> OutgoingWebhook:
    customer_id = CustomerId(lots[0].customer_id)
    return OutgoingWebhook(
        type=OutgoingWebhookType.EXPIRING,
        customer_id=customer_id,
        data={
            "customer_id": customer_id,
            "amount": sum(lot.amount for lot in lots),
            "expires_at": _iso(lots[0].expires_at),
            "lots": [{"lot_id": lot.id, "amount": lot.amount, "expires_at": _iso(lot.expires_at)} for lot in lots],
        },
    )


def delete_expired_marks(connection: Connection, *, now: datetime) -> int:
    """Delete the marks of lots that have expired; return how many."""
    return connection.execute(delete(expiry_announcement).where(expiry_announcement.c.expires_at < now)).rowcount


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
