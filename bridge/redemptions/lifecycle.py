"""Life of a redemption: its states, the allowed transitions, and what each does to the ledger.

```mermaid
stateDiagram-v2
    [*] --> pending: create
    pending --> pending: request_release
    pending --> active: activate
    pending --> captured: capture
    pending --> released: release
    pending --> failed: fail
    active --> active: request_release
    active --> captured: capture
    active --> released: release
    active --> failed: fail
    captured --> captured: request_release
    captured --> captured: change_use
    captured --> captured: late_use
    captured --> active: reopen
    captured --> released: undo
    released --> captured: late_use
    failed --> captured: late_use
```

| event | cause | ledger | outgoing webhook |
|---|---|---|---|
| create | a shopper redeems points | HOLD | |
| activate | Medusa has all promotions | | |
| request_release | the shopper gives it up, is erased, or Medusa refuses a promotion | | |
| capture | an order uses a code | REDEEM what it uses, RELEASE the rest | `dust.redeemed` |
| release | its promotions are deleted, or the order was canceled before it was booked | RELEASE | |
| fail | Medusa refused a promotion, and the others are deleted | RELEASE | `dust.failed` |
| change_use | a return or an edit changes what the order uses | REDEEM or REFUND | `dust.redeemed` if more |
| late_use | an order used a code that had been withdrawn | REDEEM without a hold | `dust.redeemed` |
| reopen | the order is deleted, so another order may use the code | REFUND, HOLD | |
| undo | the order is deleted, and the points cannot be held again | REFUND | |

`pending` and `active` redemptions hold points. After `request_release`, and when they expire, `medusa_sync.py` deletes
their promotions and then releases them. `captured`, `released` and `failed` ones hold no points, but an order can still
change them: Medusa reports orders late, and deletes orders whose payment is declined.

Each function below makes one transition. The redemption's row is locked and was read in the same transaction. The
account is locked too, and the caller saves it. The webhooks of postings are stored when the account is saved.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import structlog
from sqlalchemy import Connection, update

from bridge.ids import OrderId
from bridge.ledger.account import Account, InsufficientDust
from bridge.ledger.postings import Kind, PostingDetails
from bridge.ledger.store import reserved_lots
from bridge.medusa.errors import MedusaRefused
from bridge.medusa.orders import Order
from bridge.observability.metrics import REDEMPTIONS_ENDED
from bridge.outgoing.outbox import OutgoingWebhook, add_webhooks
from bridge.outgoing.tables import OutgoingWebhookType
from bridge.redemptions.repository import Redemption, changed_values, save_redemption, store_code_use
from bridge.redemptions.states import RedemptionEvent, state_after
from bridge.redemptions.tables import RedemptionState, dust_redemption, dust_redemption_code

log = structlog.get_logger(__name__)


def should_withdraw(redemption: Redemption, now: datetime) -> bool:
    """Whether its promotions have to be deleted: its release was requested, or it has expired."""
    return redemption.open and (redemption.release_requested_at is not None or redemption.expires_at <= now)


def create(
    connection: Connection,
    account: Account,
    redemption: Redemption,
    *,
    idempotency_key: str,
    request_hash: str,
    now: datetime,
) -> None:
    """Hold the points and insert the pending redemption. Raises `InsufficientDust`."""
    details = _details(redemption, Kind.HOLD, "Points held for a redemption", now, actor=redemption.customer_id)
    account.hold(redemption.dust, details, now=now)
    row = {name: value for name, value in redemption.columns().items() if name != "codes"}
    connection.execute(
        dust_redemption.insert(),
        row | {"idempotency_key": idempotency_key, "request_hash": request_hash, "updated_at": now},
    )
    connection.execute(
        dust_redemption_code.insert(), [code.columns() | {"redemption_id": redemption.id} for code in redemption.codes]
    )


def as_created(redemption: Redemption) -> Redemption:
    """Return the redemption as it was before anything happened to it: the response to a repeated request."""
    codes = tuple(replace(code, promotion_id=None, order_id=None, dust_captured=0) for code in redemption.codes)
    return replace(redemption, state=RedemptionState.PENDING, dust_captured=0, order_id=None, reason=None, codes=codes)


def activate(connection: Connection, redemption: Redemption, *, reason: str | None, now: datetime) -> Redemption:
    """Note that Medusa has all promotions. `reason` says why the codes are not in the cart, if they are not."""
    next_step_at = now if redemption.release_requested_at else None
    changed = replace(redemption, reason=reason, attempts=0, next_step_at=next_step_at)
    return _move(connection, changed, RedemptionEvent.ACTIVATE, now)


def request_release(connection: Connection, redemption: Redemption, *, now: datetime) -> Redemption:
    """Note that its promotions have to be deleted. The points are released after that."""
    requested_at = redemption.release_requested_at or now
    changed = replace(redemption, release_requested_at=requested_at, next_step_at=now)
    return _move(connection, changed, RedemptionEvent.REQUEST_RELEASE, now)


def release(
    connection: Connection,
    account: Account,
    redemption: Redemption,
    *,
    reason: str,
    next_step_at: datetime | None,
    now: datetime,
) -> Redemption:
    """Release the hold. `next_step_at` is when Medusa is asked again for a promotion that may be created late."""
    changed = replace(redemption, reason=reason, attempts=0, next_step_at=next_step_at)
    details = _details(redemption, Kind.RELEASE, reason, now)
    return _release(connection, account, changed, RedemptionEvent.RELEASE, details, now)


def fail(
    connection: Connection,
    account: Account,
    redemption: Redemption,
    *,
    reason: str,
    next_step_at: datetime | None,
    now: datetime,
) -> Redemption:
    """Release the hold, because Medusa refused a promotion, and notify the shop by an outgoing webhook."""
    changed = replace(redemption, reason=reason, attempts=0, next_step_at=next_step_at)
    details = _details(redemption, Kind.RELEASE, reason, now)
    failed = _release(connection, account, changed, RedemptionEvent.FAIL, details, now)
    data = {
        "what": "redemption",
        "redemption_id": redemption.id,
        "customer_id": redemption.customer_id,
        "amount": redemption.dust,
        "code": MedusaRefused.code,
    }
    webhook = OutgoingWebhook(type=OutgoingWebhookType.FAILED, customer_id=redemption.customer_id, data=data)
    add_webhooks(connection, [webhook], now=now)
    return failed


def capture(
    connection: Connection, account: Account, redemption: Redemption, order: Order, dust: int, *, now: datetime
) -> Redemption:
    """Redeem `dust` of the hold for an order, and release the rest.

    An order that was canceled before it was booked uses 0: then the redemption is released.
    """
    rest_details = _order_details(redemption, Kind.RELEASE, "Points not needed by the order", order)
    # Unused codes have to be deleted, now that no points are held for them.
    next_step_at = now if redemption.unused_codes else None
    changed = replace(
        redemption, order_id=OrderId(order.id), dust_captured=dust, reason=None, next_step_at=next_step_at
    )
    if not dust:
        changed = replace(changed, reason="The order that used the code was canceled.")
        return _release(connection, account, changed, RedemptionEvent.RELEASE, rest_details, now)
    captured = _move(connection, changed, RedemptionEvent.CAPTURE, now)
    reserved = reserved_lots(connection, redemption.customer_id, redemption.id)
    account.redeem(dust, reserved, _order_details(redemption, Kind.REDEEM, "Points spent on an order", order), now=now)
    for move in account.postings[-1].moves:
        reserved[move.lot_id] = reserved.get(move.lot_id, 0) + move.held
    unused = {lot_id: amount for lot_id, amount in reserved.items() if amount}
    if unused:
        account.release(unused, rest_details, now=now)
    return captured


def change_use(
    connection: Connection,
    account: Account,
    redemption: Redemption,
    order: Order,
    difference: int,
    *,
    spent: dict[str, int],
    now: datetime,
) -> Redemption:
    """Redeem `difference` more points for an order, or refund `-difference`.

    `spent` is the origin of the captured points, by lot. It is updated.
    """
    changed = replace(redemption, dust_captured=redemption.dust_captured + difference)
    changed = _move(connection, changed, RedemptionEvent.CHANGE_USE, now)
    if difference > 0:
        _redeem_without_hold(account, redemption, order, difference, spent, now)
    else:
        details = _order_details(redemption, Kind.REFUND, "Points of an order refunded", order)
        account.refund(-difference, spent, details, now=now)
        _update_spent(spent, account, details)
    return changed


def late_use(
    connection: Connection,
    account: Account,
    redemption: Redemption,
    order: Order,
    dust: int,
    *,
    spent: dict[str, int],
    now: datetime,
) -> Redemption:
    """Redeem `dust` without a hold for an order that used a withdrawn code. The log entry informs an operator.

    Medusa completed the order in between, or the promotion was created again by hand. `spent` is updated.
    """
    changed = replace(
        redemption,
        dust_captured=redemption.dust_captured + dust,
        order_id=redemption.order_id or OrderId(order.id),
        reason=f"{_name(order)} used the code although it had been withdrawn. The points were spent anyway.",
    )
    changed = _move(connection, changed, RedemptionEvent.LATE_USE, now)
    log.error("used_after_release", redemption_id=redemption.id, order_id=order.id, dust=dust)
    _redeem_without_hold(account, redemption, order, dust, spent, now)
    return changed


def order_deleted(
    connection: Connection,
    account: Account,
    redemption: Redemption,
    order: Order,
    *,
    spent: Mapping[str, int],
    now: datetime,
) -> Redemption:
    """Give back what a deleted order had used, and let another order use its codes.

    Medusa takes back the use of the promotion when it deletes the order, and the code is still in the cart: the shopper
    completes it with another card. So the points are held again, if the customer still has them and the account was not
    merged. If not, or if another order has used the redemption's other codes, the promotions of the codes are removed.
    """
    codes = redemption.codes
    own = [code for code in codes if code.order_id == order.id]
    other_orders = [code.order_id for code in codes if code.order_id not in {None, order.id}]
    used = sum(code.dust_captured for code in own)
    if used:
        details = _order_details(redemption, Kind.REFUND, "Points of a deleted order refunded", order)
        account.refund(used, spent, details, now=now)
    for code in own:
        store_code_use(connection, code.code, order_id=None, dust_captured=0)
    changed = replace(
        redemption,
        dust_captured=redemption.dust_captured - used,
        order_id=other_orders[0] if other_orders else None,
        codes=tuple(replace(code, order_id=None, dust_captured=0) if code in own else code for code in codes),
        next_step_at=now,
    )
    if redemption.state is not RedemptionState.CAPTURED:
        # It had used nothing.
        save_redemption(connection, changed, now=now)
        return changed
    if other_orders:
        return _move(connection, changed, RedemptionEvent.CHANGE_USE, now)
    held = _hold_again(account, redemption, order, now)
    if held and not redemption.release_requested_at:
        changed = replace(changed, next_step_at=None)
    reason = f"{_name(order)}, which had used the code, was deleted."
    event = RedemptionEvent.REOPEN if held else RedemptionEvent.UNDO
    return _move(connection, replace(changed, reason=reason, attempts=0), event, now)


def _name(order: Order) -> str:
    return "An order" if order.number is None else f"Order #{order.number}"


def _hold_again(account: Account, redemption: Redemption, order: Order, now: datetime) -> bool:
    if account.survivor is not None:
        return False
    try:
        account.hold(redemption.dust, _order_details(redemption, Kind.HOLD, "Points held again", order), now=now)
    except InsufficientDust:
        return False
    return True


def _release(
    connection: Connection,
    account: Account,
    changed: Redemption,
    event: RedemptionEvent,
    details: PostingDetails,
    now: datetime,
) -> Redemption:
    released = _move(connection, changed, event, now)
    account.release(reserved_lots(connection, changed.customer_id, changed.id), details, now=now)
    return released


def _redeem_without_hold(
    account: Account, redemption: Redemption, order: Order, dust: int, spent: dict[str, int], now: datetime
) -> None:
    details = _order_details(redemption, Kind.REDEEM, "Points spent on an order", order)
    account.overdraw(dust, details, now=now)
    _update_spent(spent, account, details)


def _update_spent(spent: dict[str, int], account: Account, details: PostingDetails) -> None:
    # Not always the last posting: a refund may be followed by a posting that takes waived points.
    posting = next(posting for posting in reversed(account.postings) if posting.details is details)
    for move in posting.moves:
        if move.remaining:
            spent[move.lot_id] = spent.get(move.lot_id, 0) - move.remaining


def _move(connection: Connection, redemption: Redemption, event: RedemptionEvent, now: datetime) -> Redemption:
    """Write the state after `event`, with what else has changed. Raises `TransitionNotAllowed`."""
    moved = replace(redemption, state=state_after(redemption, event))
    connection.execute(
        update(dust_redemption)
        .where(dust_redemption.c.id == redemption.id)
        .values(state=moved.state, **changed_values(moved, now=now))
    )
    if redemption.open and not moved.open:
        # Before the commit: a retry after a rollback counts twice, which does not matter for a rate.
        REDEMPTIONS_ENDED.labels(moved.state.value).inc()
    return moved


def _order_details(redemption: Redemption, kind: Kind, description: str, order: Order) -> PostingDetails:
    event_at = order.updated_at if kind is Kind.REFUND else order.placed_at
    return _details(redemption, kind, f"{description} ({order.id})", event_at, order_id=order.id)


def _details(
    redemption: Redemption,
    kind: Kind,
    description: str,
    event_at: datetime,
    *,
    order_id: str | None = None,
    actor: str = "dust",
) -> PostingDetails:
    return PostingDetails(
        kind=kind,
        reference_type="redemption",
        reference_id=redemption.id,
        order_id=order_id,
        description=description,
        event_at=event_at,
        actor=actor,
        programme_version=redemption.programme_version,
    )
