"""Move one redemption on by calls to Medusa: create its promotions, check its cart, or remove the promotions and
release the points.

    lease the row (transaction) ─▶ Medusa (no transaction) ─▶ write the result (transaction)

It may crash or run twice at any point. The lease keeps two workers from handling one row at once. A code is created
once, because Medusa refuses a second one of the same name. Points go back only after Medusa has confirmed that the
codes are gone and that no order has used them.
"""

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic

import structlog
from sqlalchemy import Connection

from bridge.clock import now, real_now
from bridge.db import transaction
from bridge.errors import DustError, Unavailable
from bridge.ledger.store import open_accounts, save
from bridge.medusa.client import Json, Medusa, Promotion
from bridge.medusa.errors import MedusaAway, MedusaRefused
from bridge.products.settings import newest_dust_only
from bridge.programme.versions import version_numbered
from bridge.queue.backoff import backoff_seconds
from bridge.redemptions import lifecycle
from bridge.redemptions.cart_codes import has_left_its_cart, remove_codes, remove_codes_again
from bridge.redemptions.promotions import promotion_body
from bridge.redemptions.repository import Redemption, lock_redemption, save_redemption, store_promotions
from bridge.redemptions.tables import RedemptionState

log = structlog.get_logger(__name__)

# Longer than all of one run's calls to Medusa may take together, as each has a timeout.
LEASE = timedelta(seconds=90)
# A redemption of many products has many codes. After this time the remaining codes are left for the next run.
MAX_RUN_SECONDS = 20.0
# If it was in doubt whether a code was created and it was not found, check again after Medusa had time to finish.
SECOND_CHECK_DELAY = timedelta(minutes=2)
_MAX_WAIT_SECONDS = 120.0
# Medusa takes 2 s for a promotion with a thousand exceptions, and refuses one with five thousand (a body of 100 kB).
_MAX_EXCEPTIONS = 500
# Orders are searched from a little before the redemption, because two machines' clocks differ.
_CLOCK_SKEW = timedelta(minutes=5)
_LEFT_THE_CART = "The code was removed from the cart."


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The redemption after the step. `orders` were found to have used a code; the caller puts them into the inbox.

    `unfinished` means that one run had no time for all codes, and another run is due.
    """

    redemption: Redemption
    orders: tuple[Json, ...] = ()
    unfinished: bool = False


class Busy(Unavailable):
    """Another worker is handling this redemption now."""

    code = "redemption_busy"

    def __init__(self, redemption_id: str) -> None:
        super().__init__(f"Redemption {redemption_id} is being worked on.")


class _OutOfTime(Exception):
    """The run has used up its time, and some codes are left."""


class _TimeBudget:
    """The time of one run. The first code always has its time."""

    def __init__(self) -> None:
        self._end = monotonic() + MAX_RUN_SECONDS
        self._begun = False

    def next_code(self) -> None:
        """Raise `_OutOfTime` if no time is left for another code."""
        if self._begun and monotonic() >= self._end:
            raise _OutOfTime
        self._begun = True


def advance(redemption_id: str, medusa: Medusa) -> Outcome:
    """Do the next step of this redemption, if there is one.

    Raises `UnknownRedemption`, `Busy`, `MedusaAway` or another error of Medusa. After one of Medusa it is rescheduled.
    """
    lease = secrets.token_hex(8)
    structlog.contextvars.bind_contextvars(redemption_id=redemption_id)
    redemption = _take_lease(redemption_id, lease)
    structlog.contextvars.bind_contextvars(customer_id=redemption.customer_id)
    if redemption.next_step_at is None and not lifecycle.should_withdraw(redemption, now()):
        with transaction() as connection:
            save_redemption(connection, _lock_leased(connection, redemption_id, lease), now=now())
        return Outcome(redemption=redemption)
    try:
        if lifecycle.should_withdraw(redemption, now()):
            return _withdraw(redemption, medusa, lease)
        if redemption.state is RedemptionState.PENDING:
            return _create_promotions(redemption, medusa, lease)
        if redemption.state is RedemptionState.ACTIVE:
            return _check_cart(redemption, medusa, lease)
        return _check_again(redemption, medusa, lease)
    except _OutOfTime:
        with transaction() as connection:
            current = _lock_leased(connection, redemption_id, lease)
            save_redemption(connection, replace(current, next_step_at=now()), now=now())
        return Outcome(redemption=redemption, unfinished=True)
    except DustError as error:
        _reschedule(redemption, lease, error)
        raise


def _take_lease(redemption_id: str, lease: str) -> Redemption:
    moment = now()
    with transaction() as connection:
        redemption = lock_redemption(connection, redemption_id)
        if redemption.leased_until is not None and redemption.leased_until > moment:
            raise Busy(redemption_id)
        save_redemption(connection, replace(redemption, lease=lease, leased_until=moment + LEASE), now=moment)
        return redemption


def _lock_leased(connection: Connection, redemption_id: str, lease: str) -> Redemption:
    """Lock the redemption, and return it with the lease given up, to be saved.

    Raises `Busy` if another worker has taken the lease meanwhile.
    """
    redemption = lock_redemption(connection, redemption_id)
    if redemption.lease != lease:
        raise Busy(redemption_id)
    return replace(redemption, lease=None, leased_until=None)


def _reschedule(redemption: Redemption, lease: str, error: DustError) -> None:
    attempts = redemption.attempts + 1
    wait = timedelta(seconds=backoff_seconds(attempts, max_seconds=_MAX_WAIT_SECONDS))
    try:
        with transaction() as connection:
            current = _lock_leased(connection, redemption.id, lease)
            current = replace(current, attempts=attempts, next_step_at=now() + wait, reason=error.message)
            save_redemption(connection, current, now=now())
    except Unavailable:
        # The lease expires by itself; then the periodic job picks the row up again.
        log.warning("lease_left_to_run_out")


def _create_promotions(redemption: Redemption, medusa: Medusa, lease: str) -> Outcome:
    with transaction() as connection:
        dust_only = newest_dust_only(connection, limit=_MAX_EXCEPTIONS)
        max_share = version_numbered(connection, redemption.programme_version).programme.redeem.max_share
    budget = _TimeBudget()
    promotion_ids: dict[str, str] = {}
    try:
        for code in redemption.codes:
            if code.promotion_id is None:
                budget.next_code()
                body = promotion_body(redemption, code, dust_only, max_share=max_share)
                promotion_ids[code.code] = _create_or_adopt(redemption, code.code, body, medusa).id
    except (_OutOfTime, Unavailable):
        with transaction() as connection:
            store_promotions(connection, promotion_ids)
        raise
    except MedusaRefused as refusal:
        # Medusa's refusal is final. The promotions already created are deleted before the points come back. If one run
        # has no time for that, the next runs only delete.
        with transaction() as connection:
            store_promotions(connection, promotion_ids)
            current = lock_redemption(connection, redemption.id)
            if current.open or current.state is RedemptionState.CAPTURED:
                lifecycle.request_release(connection, current, now=now())
        return _withdraw(redemption, medusa, lease, failure=refusal.message)
    reason = _put_in_cart(redemption, medusa) if redemption.cart_id else None
    with transaction() as connection:
        current = _lock_leased(connection, redemption.id, lease)
        store_promotions(connection, promotion_ids)
        if current.state is RedemptionState.PENDING:
            current = lifecycle.activate(connection, current, reason=reason, now=now())
        else:
            # An order has used the code already and was settled.
            current = replace(current, reason=reason, attempts=0)
            save_redemption(connection, current, now=now())
        return Outcome(redemption=lock_redemption(connection, redemption.id))


def _create_or_adopt(redemption: Redemption, code: str, body: Json, medusa: Medusa) -> Promotion:
    try:
        return medusa.create_promotion(body)
    except MedusaRefused:
        existing = medusa.promotions_by_code([code]).get(code)
        if existing is not None and existing.redemption_id == redemption.id:
            log.info("promotion_adopted", promotion_id=existing.id)
            return existing
        raise


def _put_in_cart(redemption: Redemption, medusa: Medusa) -> str | None:
    """Apply the codes to the cart. A failure is returned as the reason: the shopper can still type the codes."""
    assert redemption.cart_id is not None
    codes = {code.code for code in redemption.codes}
    try:
        applied = medusa.add_codes_to_cart(redemption.cart_id, codes)
    except DustError as error:
        return f"The code was made, but could not be put into the cart: {error.message}"
    if applied != codes:
        return "The code was made, but Medusa does not apply it to the cart."
    return None


def _check_cart(redemption: Redemption, medusa: Medusa, lease: str) -> Outcome:
    """Ask Medusa whether the code has left its cart, and release the redemption if so."""
    if has_left_its_cart(redemption, medusa):
        return _withdraw(redemption, medusa, lease, why=_LEFT_THE_CART)
    with transaction() as connection:
        current = replace(_lock_leased(connection, redemption.id, lease), attempts=0)
        if redemption.attempts:
            # Clear the reason of earlier failures to ask Medusa.
            current = replace(current, reason=None)
        if current.next_step_at == redemption.next_step_at:
            # Otherwise another removal was reported while Medusa was asked.
            current = replace(current, next_step_at=None)
        save_redemption(connection, current, now=now())
        return Outcome(redemption=current)


def _withdraw(
    redemption: Redemption, medusa: Medusa, lease: str, *, failure: str | None = None, why: str | None = None
) -> Outcome:
    """Remove the codes and release the points.

    With `failure`, Medusa's refusal, the redemption has failed. `why` is the reason of a release that nobody requested.
    """
    missing = _delete_codes(redemption, medusa)
    orders = _orders_that_used(redemption, medusa)
    with transaction() as connection:
        current = _lock_leased(connection, redemption.id, lease)
        if orders:
            # Too late: settlement books the spend and ends this redemption. Until then it stays open.
            later = now() + timedelta(seconds=_MAX_WAIT_SECONDS)
            save_redemption(connection, replace(current, next_step_at=later), now=now())
            return Outcome(redemption=redemption, orders=tuple(orders))
        if not current.open:
            save_redemption(connection, current, now=now())
            return Outcome(redemption=current)
        account = open_accounts(connection, [current.customer_id])[current.customer_id]
        in_doubt = redemption.state is RedemptionState.PENDING and bool(missing)
        ended = (lifecycle.fail if failure else lifecycle.release)(
            connection,
            account,
            current,
            reason=failure or why or _why_released(current),
            next_step_at=now() + SECOND_CHECK_DELAY if in_doubt else None,
            now=now(),
        )
        account.expire_due(now=now())
        save(connection, [account])
    log.info("redemption_ended", state=ended.state.value, dust=ended.dust, reason=ended.reason)
    return Outcome(redemption=ended)


def _delete_codes(redemption: Redemption, medusa: Medusa) -> list[str]:
    """Delete the promotions of all unused codes; return the codes that Medusa did not know.

    Each code is removed from every open cart first: a cart keeps the discount of a deleted promotion. Carts are
    searched again afterwards, since a shopper may have put the code back in between. All of it can be repeated by the
    next run.
    """
    unused = [code.code for code in redemption.unused_codes]
    if not unused:
        return []
    remove_codes(redemption, unused, medusa)
    missing = _delete_promotions(unused, medusa)
    remove_codes_again(redemption, unused, medusa)
    return missing


def _delete_promotions(codes: list[str], medusa: Medusa) -> list[str]:
    promotions = medusa.promotions_by_code(codes)
    budget = _TimeBudget()
    for promotion in promotions.values():
        budget.next_code()
        medusa.delete_promotion(promotion.id)
    return [code for code in codes if code not in promotions]


def _orders_that_used(redemption: Redemption, medusa: Medusa) -> list[Json]:
    """Return the customer's orders, since the redemption, that carry one of its codes.

    It runs after the promotions are deleted, so that no later order can carry one. The line items keep the code when
    the promotion is deleted.
    """
    codes = {code.code for code in redemption.unused_codes}
    # Medusa dates orders by the real time, Dust the redemption by a test clock, which may be days ahead.
    test_clock_ahead = max(now() - real_now(), timedelta())
    since = redemption.created_at - test_clock_ahead - _CLOCK_SKEW
    pages = medusa.orders_of_customer_since(redemption.customer_id, since)
    return [order for page in pages for order in page if codes & _codes_in(order)]


def _codes_in(order: Json) -> set[str]:
    """Return the codes that take something off the order.

    A code that takes nothing off was not used, and costs nothing.
    """
    lines = [*(order.get("items") or ()), *(order.get("shipping_methods") or ())]
    try:
        adjustments = [adjustment for line in lines if line for adjustment in line.get("adjustments") or ()]
        return {used["code"] for used in adjustments if used.get("code") and used.get("amount", 1) > 0}
    except (AttributeError, TypeError) as error:
        # Whether it has used a code is in doubt.
        raise MedusaAway(f"Medusa's order {order['id']} cannot be read.") from error


def _check_again(redemption: Redemption, medusa: Medusa, lease: str) -> Outcome:
    """Remove codes that should not exist.

    They are codes that an order has left unused while it used the others. Or, after a release in doubt, they are a
    promotion whose creation hung in Medusa and succeeded late.
    """
    unused = redemption.unused_codes
    missing = _delete_codes(redemption, medusa)
    if len(missing) < len(unused) and redemption.state is not RedemptionState.CAPTURED:
        log.warning("late_promotion_removed")
    orders = _orders_that_used(redemption, medusa) if unused else []
    with transaction() as connection:
        current = _lock_leased(connection, redemption.id, lease)
        save_redemption(connection, replace(current, next_step_at=None, attempts=0), now=now())
    return Outcome(redemption=redemption, orders=tuple(orders))


def _why_released(redemption: Redemption) -> str:
    return "Released on request" if redemption.release_requested_at else "Not used in time"
