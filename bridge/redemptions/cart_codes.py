"""Remove codes from carts, and notice when they are removed.

    remove_codes          before a promotion is deleted: removes its code from every open cart
    remove_codes_again    after it is deleted: removes codes that a shopper put back in between
    schedule_cart_checks  a code has left its cart: schedules a check of that cart
    has_left_its_cart     that check

Medusa 2.21.2 keeps the link and the discount of a deleted promotion in a cart, and shows the link as `null`. Dust knows
the cart that a redemption was made for. Only the plugin finds other carts, into which a shopper typed the code.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, select

from bridge.db.bulk import among
from bridge.medusa.carts import CartCodes
from bridge.medusa.client import Medusa
from bridge.medusa.errors import MedusaAway, MedusaNotConfigured, MedusaRefused, UnknownInMedusa
from bridge.redemptions.lifecycle import should_withdraw
from bridge.redemptions.repository import Redemption, lock_redemption, save_redemption
from bridge.redemptions.tables import RedemptionState, dust_redemption, dust_redemption_code

log = structlog.get_logger(__name__)

# A shopper who removes a code may put it back, and a storefront may replace all codes in two calls.
CART_CHECK_DELAY = timedelta(seconds=3)
# After so many failures (about ten minutes) a cart no longer delays the release. The plugin's guard refuses the dead
# code at checkout, and the audit names the cart.
MAX_CART_ATTEMPTS = 10
# The plugin changes a limited number of carts per call. Calls beyond this number are left for the next run.
MAX_PLUGIN_CALLS = 3
_CONFLICT = 409


def remove_codes(redemption: Redemption, codes: Collection[str], medusa: Medusa) -> None:
    """Remove the codes from every open cart. Raises `MedusaAway` if a cart could not be changed yet."""
    with _errors_ignored_after_max_attempts(redemption):
        if redemption.cart_id is not None:
            _remove_from_own_cart(redemption.cart_id, codes, medusa)
        _remove_by_plugin(codes, medusa)


def remove_codes_again(redemption: Redemption, codes: Collection[str], medusa: Medusa) -> None:
    """Remove codes that were put back before the promotions were deleted. They cannot be added any more."""
    with _errors_ignored_after_max_attempts(redemption):
        # The plugin covers the redemption's own cart too.
        if _remove_by_plugin(codes, medusa) or redemption.cart_id is None:
            return
        cart = _codes_in_own_cart(redemption.cart_id, medusa)
        if cart is not None and not cart.completed and (cart.dead or cart.codes & set(codes)):
            _remove_from_own_cart(redemption.cart_id, codes, medusa)


@contextmanager
def _errors_ignored_after_max_attempts(redemption: Redemption) -> Iterator[None]:
    """Continue the release without its carts once they have failed too often. Until then, raise `MedusaAway`."""
    try:
        yield
    except (MedusaAway, MedusaRefused) as error:
        # The plugin of another version can refuse the call.
        if redemption.attempts < MAX_CART_ATTEMPTS:
            raise MedusaAway(error.message) from error
        log.warning("cart_not_cleaned", redemption_id=redemption.id, cart_id=redemption.cart_id, reason=error.message)


def _codes_in_own_cart(cart_id: str, medusa: Medusa) -> CartCodes | None:
    """Return the cart's codes; None if the cart does not exist, or there is no publishable key to read it with."""
    try:
        return medusa.codes_in_cart(cart_id)
    except MedusaNotConfigured:
        return None


def _remove_from_own_cart(cart_id: str, codes: Collection[str], medusa: Medusa) -> None:
    try:
        medusa.remove_codes_from_cart(cart_id, codes)
    except (UnknownInMedusa, MedusaNotConfigured):
        # Without a publishable key no cart can be changed; the plugin does it.
        return
    except MedusaRefused as refusal:
        if refusal.status_at_medusa == _CONFLICT:
            raise MedusaAway(f"Cart {cart_id} is in use.") from refusal
        # A completed cart. Whether its order has used the code is checked afterwards.
        log.info("cart_left_alone", cart_id=cart_id, reason=refusal.message)
    except MedusaAway:
        # Medusa answers 500 for a cart that does not exist (2.21.2).
        if medusa.codes_in_cart(cart_id) is not None:
            raise


def _remove_by_plugin(codes: Collection[str], medusa: Medusa) -> bool:
    """Have the plugin remove the codes from every open cart; False if the shop has no plugin."""
    remaining = 0
    for _ in range(MAX_PLUGIN_CALLS):
        withdrawal = medusa.remove_codes_from_all_carts(codes)
        if withdrawal is None:
            return False
        if withdrawal.carts:
            log.info("codes_taken_out_of_carts", carts=len(withdrawal.carts))
        remaining = withdrawal.remaining
        if not remaining:
            return True
        if not withdrawal.carts:
            break
    raise MedusaAway(f"{remaining} carts still hold a code of the redemption.")


def schedule_cart_checks(connection: Connection, cart_id: str, codes: Collection[str], *, now: datetime) -> list[str]:
    """Schedule a check of a cart that some codes are reported to have left; return the redemptions' ids.

    Only for active redemptions that were made for this cart. A code typed by hand may be meant for another cart, and a
    redemption whose code is being put into its cart is not active yet.
    """
    redemption_ids = connection.scalars(
        select(dust_redemption_code.c.redemption_id)
        .join(dust_redemption, dust_redemption.c.id == dust_redemption_code.c.redemption_id)
        .where(among(dust_redemption_code.c.code, sorted(codes)), dust_redemption.c.cart_id == cart_id)
        .distinct()
    )
    scheduled = []
    for redemption_id in sorted(redemption_ids):
        redemption = lock_redemption(connection, redemption_id)
        if redemption.state is RedemptionState.ACTIVE and not should_withdraw(redemption, now):
            save_redemption(connection, replace(redemption, next_step_at=now + CART_CHECK_DELAY), now=now)
            scheduled.append(redemption_id)
    return scheduled


def has_left_its_cart(redemption: Redemption, medusa: Medusa) -> bool:
    """Whether, by Medusa's answer, the redemption's cart holds none of its codes any more.

    False for a completed cart: its order says what was used. True for a cart that was deleted.
    """
    if redemption.cart_id is None:
        return False
    cart = medusa.codes_in_cart(redemption.cart_id)
    if cart is None:
        return True
    return not cart.completed and not cart.codes & {code.code for code in redemption.codes}
