"""A redemption as the database would give it, for tests of what an order uses of it."""

from datetime import timedelta
from decimal import Decimal

from bridge.ids import CustomerId, ProductId
from bridge.redemptions.promises import Code, Redemption
from bridge.redemptions.tables import RedemptionKind, State
from tests.support.orders import PLACED


def code_for(dust: int, code: str = "DUST-1", *, units: int | None = None, value: Decimal | None = None) -> Code:
    """A code for a discount of `value`, or for so many `units` of the shirt."""
    product_id = ProductId("prod_shirt") if units else None
    return Code(code=code, dust=dust, value=value, product_id=product_id, quantity=units, promotion_id=None)


def redemption(kind: RedemptionKind, *codes: Code) -> Redemption:
    return Redemption(
        id="dred_1",
        customer_id=CustomerId("cus_1"),
        state=State.ACTIVE,
        kind=kind,
        dust=sum(code.dust for code in codes),
        dust_captured=0,
        value=None,
        currency_code=None,
        reward_id=None,
        percent=None,
        least_cart=None,
        cart_id=None,
        order_id=None,
        expires_at=PLACED + timedelta(hours=1),
        reason=None,
        programme_version=0,
        release_requested_at=None,
        attempts=0,
        next_attempt_at=None,
        created_at=PLACED,
        codes=codes,
    )
