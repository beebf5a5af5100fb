"""Codes and the carts that hold them.

    take_out_of_carts   before a promotion is deleted: its code leaves every open cart
    take_out_again      after it is deleted: what a shopper put back in between
    note_codes_removed  a code has left its cart: look at that cart soon
    has_left_its_cart   that look

Medusa 2.21.2 keeps the link and the discount of a deleted promotion in a cart, and shows the link as `null`. The cart
that a redemption was made for is known here. Others, into which a shopper typed the code, only the plugin finds.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, select

from bridge.medusa.carts import CartCodes
from bridge.medusa.client import Medusa, MedusaAway, MedusaNotConfigured, MedusaRefused, UnknownInMedusa
from bridge.redemptions.service import Redemption, lock_redemption, update_redemption
from bridge.redemptions.tables import State, dust_redemption, dust_redemption_code

log = structlog.get_logger(__name__)

# A shopper who removes a code may put it back, and a storefront may replace all codes in two calls.
CART_CHECK_DELAY = timedelta(seconds=3)
# A cart that Medusa fails to change so many times (about ten minutes) no longer delays the release: the plugin's guard
# refuses the dead code at checkout, and the audit names the cart.
MAX_CART_ATTEMPTS = 10
# The plugin changes some carts a call. More than these calls go on at the next visit.
MAX_PLUGIN_CALLS = 3
_CONFLICT = 409


def take_out_of_carts(redemption: Redemption, codes: Collection[str], medusa: Medusa) -> None:
    """Take the codes out of every open cart. Raises `MedusaAway` when one could not be changed yet."""
    with _not_for_good(redemption):
        if redemption.cart_id is not None:
            _take_out_of_known_cart(redemption.cart_id, codes, medusa)
        _take_out_of_other_carts(codes, medusa)


def take_out_again(redemption: Redemption, codes: Collection[str], medusa: Medusa) -> None:
    """The same once the promotions are deleted, for codes that were put back in between. Nobody can add them now."""
    with _not_for_good(redemption):
        if _take_out_of_other_carts(codes, medusa) or redemption.cart_id is None:
            return
        held = _codes_in_known_cart(redemption.cart_id, medusa)
        if held is not None and not held.completed and (held.dead or held.codes & set(codes)):
            _take_out_of_known_cart(redemption.cart_id, codes, medusa)


@contextmanager
def _not_for_good(redemption: Redemption) -> Iterator[None]:
    """Let the release go on without its carts once they have failed too often."""
    try:
        yield
    except MedusaAway as error:
        if redemption.attempts < MAX_CART_ATTEMPTS:
            raise
        log.warning("cart_not_cleaned", redemption_id=redemption.id, cart_id=redemption.cart_id, reason=error.message)


def _codes_in_known_cart(cart_id: str, medusa: Medusa) -> CartCodes | None:
    """None when there is no such cart, or no publishable key to read it with."""
    try:
        return medusa.codes_in_cart(cart_id)
    except MedusaNotConfigured:
        return None


def _take_out_of_known_cart(cart_id: str, codes: Collection[str], medusa: Medusa) -> None:
    try:
        medusa.remove_codes_from_cart(cart_id, codes)
    except (UnknownInMedusa, MedusaNotConfigured):
        # Without a publishable key no cart can be changed; the plugin does it.
        return
    except MedusaRefused as refusal:
        if refusal.status_at_medusa == _CONFLICT:
            raise MedusaAway(f"Cart {cart_id} is in use.") from refusal
        # A completed cart. Whether its order has used the code is asked afterwards.
        log.info("cart_left_alone", cart_id=cart_id, reason=refusal.message)
    except MedusaAway:
        if medusa.codes_in_cart(cart_id) is not None:
            raise


def _take_out_of_other_carts(codes: Collection[str], medusa: Medusa) -> bool:
    """False when there is no plugin that could."""
    remaining = 0
    for _ in range(MAX_PLUGIN_CALLS):
        withdrawal = medusa.withdraw_codes(codes)
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


def note_codes_removed(connection: Connection, cart_id: str, codes: Collection[str], *, now: datetime) -> list[str]:
    """Some codes are said to have left a cart: have that cart looked at soon. The ids of redemptions that it concerns.

    Only active ones that were redeemed for this cart. A code that a shopper typed by hand may be meant for another
    cart, and one that is being put into its cart just now is not active yet.
    """
    concerned = connection.scalars(
        select(dust_redemption_code.c.redemption_id)
        .join(dust_redemption, dust_redemption.c.id == dust_redemption_code.c.redemption_id)
        .where(dust_redemption_code.c.code.in_(sorted(codes)), dust_redemption.c.cart_id == cart_id)
        .distinct()
    )
    noted = []
    for redemption_id in sorted(concerned):
        redemption = lock_redemption(connection, redemption_id)
        if redemption.state is State.ACTIVE and not redemption.should_withdraw(now):
            update_redemption(connection, redemption_id, now=now, next_attempt_at=now + CART_CHECK_DELAY)
            noted.append(redemption_id)
    return noted


def has_left_its_cart(redemption: Redemption, medusa: Medusa) -> bool:
    """Whether the cart that the redemption was made for holds none of its codes any more, by what Medusa says.

    False for a completed cart: its order says what was used. True for a cart that was deleted.
    """
    if redemption.cart_id is None:
        return False
    held = medusa.codes_in_cart(redemption.cart_id)
    if held is None:
        return True
    return not held.completed and not held.codes & {code.code for code in redemption.codes}
