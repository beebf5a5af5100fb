"""Redemptions: as the database gives one, for tests of what an order uses of it, and made and released by Dust."""

from datetime import timedelta
from decimal import Decimal

from bridge.clock import now
from bridge.db import transaction
from bridge.ids import CustomerId, ProductId
from bridge.medusa.client import get_medusa
from bridge.redemptions.medusa_sync import advance
from bridge.redemptions.repository import Code, Redemption
from bridge.redemptions.service import Request, redeem, request_release
from bridge.redemptions.tables import RedemptionKind, RedemptionState
from tests.support.orders import PLACED


def code_for(dust: int, code: str = "DUST-1", *, units: int | None = None, value: Decimal | None = None) -> Code:
    """A code for a discount of `value`, or for this many `units` of the shirt."""
    product_id = ProductId("prod_shirt") if units else None
    return Code(code=code, dust=dust, value=value, product_id=product_id, quantity=units, promotion_id=None)


def redemption(kind: RedemptionKind, *codes: Code) -> Redemption:
    return Redemption(
        id="dred_1",
        customer_id=CustomerId("cus_1"),
        state=RedemptionState.ACTIVE,
        kind=kind,
        dust=sum(code.dust for code in codes),
        dust_captured=0,
        value=None,
        currency_code=None,
        reward_id=None,
        percent=None,
        min_cart=None,
        cart_id=None,
        order_id=None,
        expires_at=PLACED + timedelta(hours=1),
        reason=None,
        programme_version=0,
        release_requested_at=None,
        attempts=0,
        next_step_at=None,
        created_at=PLACED,
        codes=codes,
    )


def redeem_points(customer_id: CustomerId, dust: int, *, key: str) -> Redemption:
    """Hold points for a discount in euros, and make its promotion. Raises `Conflict` when there are too few."""
    request = Request(customer_id=customer_id, idempotency_key=key, request_hash="same", dust=dust, currency_code="eur")
    redeemed = redeem(request, get_medusa())
    advance(redeemed.id, get_medusa())
    return redeemed


def release_redemption(redemption: Redemption) -> Redemption:
    """Request the release as the customer, and process it. Returns the redemption."""
    with transaction() as connection:
        request_release(connection, redemption.customer_id, redemption.id, now=now())
    return advance(redemption.id, get_medusa()).redemption
