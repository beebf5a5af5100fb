"""Explain a balance: every ledger row in a sentence that a shopper understands.

Facts → rule version → lot → expiry: each sentence comes with the ids that support and auditors need.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from bridge.clock import now
from bridge.counted import counted, points
from bridge.db.rows import TypedRow
from bridge.ids import CustomerId, OrderId
from bridge.ledger.merges import merges_of
from bridge.ledger.postings import Kind
from bridge.ledger.queries import Balance, read_balance
from bridge.ledger.tables import dust_lot, dust_lot_use, dust_transaction
from bridge.medusa.amounts import plain_text
from bridge.programme.days import local_date
from bridge.programme.tiers import CustomerTier, TierBasis, format_needed
from bridge.programme.versions import Version, current_version, versions_by_number
from bridge.redemptions.purposes import Purpose, read_purposes
from bridge.reports.order_rules import OrderRules, rules_at_work
from bridge.settlement.escrow import Entry, Escrow, UnknownEscrow, escrows_of, read_entries, read_escrow
from bridge.settlement.order_points import read_order_numbers, spending_on
from bridge.settlement.tables import EscrowState, Proof, order_former_owner, order_settlement
from bridge.settlement.tier_history import read_tier

_MAX_ROWS = 1000
_MAX_ORDER_ROWS = 200
_ENTRIES = {
    "escrowed": "{points} of {order} put into escrow for the guest.",
    "taken_back": "{points} taken back: the order was canceled, returned or changed.",
    "claimed": "{points} went to the customer who claimed them.",
    "expired": "{points} expired: not claimed in time.",
}
# What a ledger row is about, unless it is about an order or a redemption.
_REFERENCES = {
    "adjustment": "a correction by the shop",
    "bonus": "a bonus",
    "customer": "the welcome bonus",
    "import": "an import",
    "referral": "a referral",
}
_PROOFS = {
    Proof.TRANSFER: "when the order was transferred to you",
    Proof.REGISTRATION: "with the e-mail of your account",
    Proof.SUPPORT: "by the shop's support",
}


@dataclass(frozen=True, kw_only=True)
class LotPart:
    """The points of a lot that a row changed, and when the lot expires."""

    lot_id: str
    dust: int
    expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Step(TypedRow):
    """One ledger row, in words and in figures. Dashboards in other languages make their sentence of the figures."""

    sentence: str
    transaction_id: str
    kind: Kind
    amount: int
    pending: int
    held: int
    balance_after: int
    reference_type: str
    reference_id: str
    description: str
    order_number: str | None
    claimed_at: datetime | None
    """When the customer claimed the order, which was a guest's."""
    redeemed: Purpose | None
    """What the points were redeemed for."""
    rates: Mapping[str, str]
    """Points for each unit of money, by currency, under the version that the row was booked by."""
    rules: OrderRules | None
    """The rules other than the rate that changed the order's points."""
    programme_version: int | None
    event_at: datetime
    lots: tuple[LotPart, ...]


@dataclass(frozen=True, kw_only=True)
class _Context:
    """What the sentences of some rows need beside the rows."""

    versions: Mapping[int, Version]
    """By number."""
    notes: Mapping[str, str]
    """Stored reasons why orders earn nothing or less, by order."""
    rules: Mapping[str, OrderRules]
    """Rules other than the rate that changed an order's points, by order."""
    claims: Mapping[str, Escrow]
    """The guest orders that the customer claimed, by order."""
    numbers: Mapping[str, str]
    """Medusa's number of an order, by its id."""
    purposes: Mapping[str, Purpose]
    """What redemptions are for, by their id."""
    time_zone: str
    """The time zone of the rules in force, in which days are shown."""

    def order(self, order_id: str) -> str:
        return _order_name(order_id, self.numbers)

    def reference(self, row: Row[Any]) -> str:
        """What the row is about: `order #18`, `a referral`."""
        if row.reference_type == "order":
            return self.order(row.reference_id)
        return _REFERENCES.get(row.reference_type, f"{row.reference_type} {row.reference_id}")

    def purpose(self, row: Row[Any], *, dated: bool = True) -> str:
        """What the redemption of the row is for: `5.00 EUR off, redeemed on 22 Nov 2026`."""
        purpose = self.purposes.get(row.reference_id)
        if purpose is None:
            return "a redemption"
        return f"{purpose}, redeemed on {_day(purpose.redeemed_at, self.time_zone)}" if dated else str(purpose)

    def rates(self, row: Row[Any]) -> dict[str, str]:
        version = self.versions.get(row.programme_version) if row.kind == Kind.EARN else None
        return {code: f"{rate:f}" for code, rate in version.programme.earn.rates.items()} if version else {}

    def claim(self, order_id: str) -> str:
        """How a guest's order became the customer's, as the end of a sentence."""
        escrow = self.claims.get(order_id)
        if escrow is None or escrow.proof is None or escrow.claimed_at is None:
            return ""
        return f", ordered as a guest, claimed on {_day(escrow.claimed_at, self.time_zone)} {_PROOFS[escrow.proof]}"


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A balance and the rows that led to it, oldest first. `summary` describes its present parts."""

    balance: Balance
    tier: CustomerTier | None
    summary: tuple[str, ...]
    steps: tuple[Step, ...]


def explain(connection: Connection, customer_id: CustomerId) -> Explanation:
    """Explain the newest rows of a customer's ledger, up to `_MAX_ROWS`."""
    rows = connection.execute(
        select(dust_transaction)
        .where(dust_transaction.c.customer_id == customer_id)
        .order_by(dust_transaction.c.version.desc())
        .limit(_MAX_ROWS)
    ).all()
    balance = read_balance(connection, customer_id)
    steps = _steps(connection, customer_id, rows[::-1])
    tier = read_tier(connection, customer_id, now=now())
    time_zone = _time_zone(connection)
    summary = (
        *_summary(balance, time_zone),
        *(_tier_sentence(tier, time_zone) if tier else ()),
        *_merges(connection, customer_id, time_zone),
    )
    return Explanation(balance=balance, tier=tier, summary=summary, steps=steps)


@dataclass(frozen=True, kw_only=True)
class OrderExplanation:
    """What happened to the points of an order, oldest first: first in escrow, if it was a guest's, then in ledgers."""

    escrow: Escrow | None
    entries: tuple[Entry, ...]
    steps: tuple[Step, ...]
    sentences: tuple[str, ...]


def explain_order(connection: Connection, order_id: OrderId) -> OrderExplanation:
    """Explain what happened to the points of an order, in the ledgers of all who had it."""
    rows, former = dust_transaction.c, order_former_owner.c
    transactions = connection.execute(
        select(dust_transaction)
        .where(
            rows.customer_id.in_(
                select(order_settlement.c.customer_id)
                .where(order_settlement.c.order_id == order_id)
                .union(select(former.customer_id).where(former.order_id == order_id))
            ),
            (rows.reference_id == order_id) | spending_on(order_id),
        )
        .order_by(rows.event_at, rows.created_at, rows.customer_id, rows.version)
        .limit(_MAX_ORDER_ROWS)
    ).all()
    by_row = {
        (customer_id, step.transaction_id): step
        for customer_id in {row.customer_id for row in transactions}
        for step in _steps(connection, customer_id, [row for row in transactions if row.customer_id == customer_id])
    }
    steps = tuple(by_row[row.customer_id, row.id] for row in transactions)
    try:
        escrow = read_escrow(connection, order_id)
    except UnknownEscrow:
        escrow = None
    return OrderExplanation(
        escrow=escrow,
        entries=tuple(read_entries(connection, order_id)),
        steps=steps,
        sentences=(*(explain_escrow(connection, escrow) if escrow else ()), *(step.sentence for step in steps)),
    )


def _steps(connection: Connection, customer_id: CustomerId, rows: Sequence[Row[Any]]) -> tuple[Step, ...]:
    orders = {row.reference_id for row in rows if row.reference_type == "order"} | {row.order_id for row in rows}
    redemptions = {row.reference_id for row in rows if row.reference_type == "redemption"}
    context = _Context(
        versions=versions_by_number(connection, {row.programme_version for row in rows} - {None}),
        notes=_order_notes(connection, customer_id),
        rules=rules_at_work(connection, customer_id),
        claims={escrow.order_id: escrow for escrow in escrows_of(connection, customer_id).values() if escrow.proof},
        numbers=read_order_numbers(connection, orders - {None}),
        purposes=read_purposes(connection, redemptions),
        time_zone=_time_zone(connection),
    )
    parts = _lot_parts(connection, customer_id)
    return tuple(_step(row, context, parts.get(row.version, ())) for row in rows)


def _lot_parts(connection: Connection, customer_id: CustomerId) -> dict[int, tuple[LotPart, ...]]:
    uses, lots = dust_lot_use.c, dust_lot.c
    query = (
        select(uses.version, uses.lot_id, uses.remaining, lots.expires_at)
        .join(dust_lot, (lots.customer_id == uses.customer_id) & (lots.id == uses.lot_id))
        .where(uses.customer_id == customer_id, uses.remaining != 0)
        .order_by(uses.version, uses.lot_id)
    )
    parts: dict[int, tuple[LotPart, ...]] = {}
    for row in connection.execute(query):
        part = LotPart(lot_id=row.lot_id, dust=row.remaining, expires_at=row.expires_at)
        parts[row.version] = (*parts.get(row.version, ()), part)
    return parts


def _order_notes(connection: Connection, customer_id: CustomerId) -> dict[str, str]:
    """Return the stored reasons why orders earn nothing or less, by order."""
    query = select(order_settlement.c.order_id, order_settlement.c.note).where(
        order_settlement.c.customer_id == customer_id, order_settlement.c.note.is_not(None)
    )
    return {row.order_id: row.note for row in connection.execute(query)}


def _step(row: Row[Any], context: _Context, parts: tuple[LotPart, ...]) -> Step:
    order_id = row.reference_id if row.reference_type == "order" else row.order_id
    earned = row.kind == Kind.EARN
    claim = context.claims.get(order_id) if earned else None
    return Step.from_row(
        row,
        sentence=f"{_day(row.event_at, context.time_zone)}: {_sentence(row, context)} Balance {row.balance_after:,}.",
        transaction_id=row.id,
        kind=Kind(row.kind),
        description=row.description.replace(f" ({order_id})", ""),
        order_number=context.numbers.get(order_id),
        claimed_at=claim.claimed_at if claim else None,
        redeemed=context.purposes.get(row.reference_id),
        rates=context.rates(row),
        rules=context.rules.get(order_id) if earned else None,
        lots=parts,
    )


def _sentence(row: Row[Any], context: _Context) -> str:
    amount, pending, reference = abs(row.amount), abs(row.pending), row.reference_id
    later = ", to become spendable later" if row.pending > 0 else ""
    order = context.order(row.order_id) if row.order_id else ""
    match Kind(row.kind):
        case Kind.EARN:
            why = f"{_rule(row, context)}{context.claim(reference)}"
            return f"{points(amount + pending)} earned with {context.order(reference)}{why}{later}."
        case Kind.MATURE:
            return f"{points(amount)} of {context.reference(row)} became spendable."
        case Kind.BONUS:
            return f"{points(amount + pending)} as a bonus: {row.description}{later}."
        case Kind.IMPORT:
            return f"{points(amount + pending)} brought over with an import: {row.description}{later}."
        case Kind.REVERSE if row.reference_type == "import":
            return f"{points(amount + pending)} of an import taken back: {row.description}."
        case Kind.REVERSE if row.reference_type == "waived":
            way = f"given again{later}" if row.amount + row.pending > 0 else "taken back as they came back"
            return f"{points(amount + pending)} of orders that were canceled or returned, {way}: {row.description}."
        case Kind.REVERSE:
            note = f" ({context.notes[reference].rstrip('.')})" if reference in context.notes else ""
            return f"{points(amount + pending)} taken back for {context.reference(row)}: {row.description}{note}."
        case Kind.HOLD:
            return f"{points(row.held)} on hold for {context.purpose(row, dated=False)}; yours until it is used."
        case Kind.RELEASE:
            why = row.description.replace(f" ({row.order_id})", "")
            return f"{points(-row.held)} on hold for {context.purpose(row)}, free again: {why}."
        case Kind.REDEEM:
            return f"{points(amount)} spent{order and f' on {order}'} for {context.purpose(row)}."
        case Kind.REFUND:
            cause = order and f" after a change of {order}"
            return f"{points(amount)} given back{cause}, with the old expiry dates; spent for {context.purpose(row)}."
        case Kind.EXPIRE:
            return f"{points(amount)} expired."
        case Kind.MERGE | Kind.UNMERGE:
            why = "were merged" if row.kind == Kind.MERGE else "were separated again"
            return f"{_moved(row)}, with their old dates: {row.description}, as two accounts of one person {why}."
        case Kind.TRANSFER:
            way = "came with" if row.amount + row.pending > 0 else "went with"
            return f"{_moved(row)} {way} {context.order(reference)}, with the old dates: {row.description}."
        case Kind.ADJUST:
            way = "added" if row.amount > 0 else "taken"
            return f"{points(amount)} {way} by the shop ({reference}): {row.description}."


def _moved(row: Row[Any]) -> str:
    figures = [points(abs(row.amount))] if row.amount or not row.pending else []
    figures += [counted(abs(row.pending), "pending point")] if row.pending else []
    return " and ".join(figures)


def _merges(connection: Connection, customer_id: CustomerId, time_zone: str) -> Iterator[str]:
    for merge in merges_of(connection, customer_id):
        since, merged = _day(merge.merged_at, time_zone), merge.customer_id == customer_id
        if merge.unmerged_at:
            yield f"From {since} to {_day(merge.unmerged_at, time_zone)} this account was one with another."
        elif merged:
            yield f"Since {since} this account is merged into another one: all its points are there."
        else:
            yield f"Since {since} another account is merged into this one: all its points are here."


def _rule(row: Row[Any], context: _Context) -> str:
    version = context.versions.get(row.programme_version) if row.programme_version is not None else None
    if version is None:
        return ""
    rates = ", ".join(f"{rate} for each {code}" for code, rate in context.rates(row).items())
    more = f"; {context.rules[row.reference_id]}" if row.reference_id in context.rules else ""
    return f" (rules version {version.number}: {rates}{more})"


def _order_name(order_id: str, numbers: Mapping[str, str]) -> str:
    """The order as people know it, or by its id while its number is unknown."""
    return f"order #{numbers[order_id]}" if order_id in numbers else f"order {order_id}"


def _tier_sentence(tier: CustomerTier, time_zone: str) -> Iterator[str]:
    if tier.level:
        until = f", until {_day(tier.until, time_zone)} if no order comes" if tier.until else ""
        yield f"You are {tier.level.name}: new orders earn {plain_text(tier.factor)} times as much{until}."
    if tier.next and tier.missing is not None:
        unit = "points" if tier.tiers.basis is TierBasis.EARNED else str(tier.tiers.currency_code).upper()
        missing = f"{format_needed(tier.tiers, tier.missing)} {unit}"
        yield f"{missing} more {tier.tiers.basis} within {tier.tiers.window_days} days make you {tier.next.name}."


def explain_escrow(connection: Connection, escrow: Escrow) -> list[str]:
    """Explain what happened to the points of a guest's order, oldest first, and what comes next."""
    order = _order_name(escrow.order_id, read_order_numbers(connection, [escrow.order_id]))
    time_zone = _time_zone(connection)
    end = _day(escrow.expires_at, time_zone)
    lines: list[str] = []
    for entry in read_entries(connection, escrow.order_id):
        sentence = _ENTRIES[entry.kind].format(points=points(abs(entry.amount)), order=order)
        lines.append(f"{_day(entry.created_at, time_zone)}: {sentence}")
    match escrow.state:
        case EscrowState.WAITING:
            lines.append(f"The guest can claim {points(escrow.dust)} until {end}.")
        case EscrowState.CLAIMED:
            lines.append(f"The order counts for the customer who claimed it (proof: {escrow.proof}).")
        case EscrowState.EXPIRED:
            lines.append(f"The wait was over on {end}; the order earns for nobody.")
    return lines


def _summary(balance: Balance, time_zone: str) -> list[str]:
    lines = [f"Your balance is {points(balance.balance)}, of which you may spend {balance.available:,}."]
    if balance.held:
        lines.append(f"{points(balance.held)} on hold for open redemptions.")
    if balance.pending:
        lines.append(f"{counted(balance.pending, 'more point')} pending, to be spent later.")
    lines += [f"Expiring on {_day(lot.expires_at, time_zone)}: {points(lot.amount)}." for lot in balance.expiring]
    return lines


def _time_zone(connection: Connection) -> str:
    return current_version(connection).programme.time_zone


def _day(moment: datetime, time_zone: str) -> str:
    return f"{local_date(moment, time_zone):%d %b %Y}"
