"""Rewards and shares of a cart: pure arithmetic, for every currency and every cart."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.ids import ProductId
from bridge.medusa.carts import Cart, read_cart
from bridge.medusa.currencies import smallest_unit
from bridge.medusa.orders import read_order
from bridge.programme.rewards import Reward
from bridge.programme.spending import Redeem
from bridge.redemptions.capture import used_dust
from bridge.redemptions.pricing.basket import Basket, OpenCode, basket_of
from bridge.redemptions.pricing.rewards import NothingToDiscount, reward_terms
from bridge.redemptions.repository import Code
from bridge.redemptions.tables import RedemptionKind
from tests.support.orders import line, order
from tests.support.redemptions import redemption

MUG = ProductId("prod_mug")
currencies = st.sampled_from(["eur", "jpy", "kwd"])
sums = st.decimals("0.001", "1000000", places=3)
shares = st.decimals("0.01", "1", places=2)


def cart_of(*lines: dict[str, Any], currency_code: str = "eur", codes: tuple[str, ...] = ()) -> Cart:
    items = [{"id": f"cali_{number}", "quantity": 1, **line} for number, line in enumerate(lines)]
    promotions = [{"code": code} for code in codes]
    document = {"id": "cart_1", "currency_code": currency_code, "item_total": 0, "items": items}
    return read_cart({**document, "promotions": promotions})


def basket(worth: Decimal, currency_code: str) -> Basket:
    return Basket(currency_code=currency_code, total=worth, discountable=worth, max_discount=worth)


@given(worth=sums, most=sums, percent=st.decimals("0.1", "100", places=1), currency=currencies)
def test_a_percentage_with_a_maximum_never_exceeds_either_in_any_valid_cart(
    worth: Decimal, most: Decimal, percent: Decimal, currency: str
) -> None:
    reward = Reward.model_validate(
        {
            "id": "r",
            "name": "r",
            "kind": "percentage",
            "dust": 5,
            "percent": str(percent),
            "max_value": {currency: str(most)},
        }
    )
    cart = cart_of(currency_code=currency)
    try:
        terms = reward_terms(Redeem(), reward, cart=cart, basket=basket(worth, currency))
    except NothingToDiscount:
        assert min(worth * percent / 100, most) < smallest_unit(currency)
        return
    assert terms.value is not None
    assert terms.min_cart is not None
    assert 0 < terms.value <= most
    assert terms.min_cart <= worth, "the cart that it was redeemed for is good for it"
    # The limit is rounded down to what the currency can pay, so a cart at it may get that much less than a share.
    assert terms.value <= (terms.min_cart + smallest_unit(currency)) * percent / 100


@given(ordinary=sums, mugs=sums, taken=shares, coming=sums, share=shares)
def test_dust_never_takes_more_than_its_share_of_what_money_may_pay(
    ordinary: Decimal, mugs: Decimal, taken: Decimal, coming: Decimal, share: Decimal
) -> None:
    off = ordinary * taken
    cart = cart_of(
        {"product_id": "prod_shirt", "total": ordinary - off, "adjustments": [{"code": "DUST-1", "amount": off}]},
        {"product_id": MUG, "total": Decimal(0), "adjustments": [{"code": "DUST-MUG", "amount": mugs}]},
        codes=("DUST-1", "DUST-MUG"),
    )
    cart_basket = basket_of(
        cart,
        dust_only={MUG},
        codes=[
            OpenCode(code="DUST-1", kind=RedemptionKind.FIXED),
            OpenCode(code="DUST-2", kind=RedemptionKind.FIXED, value=coming),
        ],
        max_share=share,
    )
    assert cart_basket.total == ordinary
    assert cart_basket.max_discount >= 0
    if cart_basket.max_discount:
        assert off + coming + cart_basket.max_discount == ordinary * share


def test_what_the_shops_own_codes_take_off_is_no_part_of_the_worth() -> None:
    line = {"product_id": "prod_shirt", "total": 8, "adjustments": [{"code": "SUMMER", "amount": 2}]}
    cart_basket = basket_of(cart_of(line), dust_only=(), codes=(), max_share=Decimal("0.5"))
    assert (cart_basket.total, cart_basket.max_discount) == (8, 4)


@given(
    dust=st.integers(1, 10**12),
    parts=st.lists(st.tuples(st.decimals("0.01", "100000", places=2), st.integers(0, 10)), min_size=1, max_size=5),
)
def test_an_order_uses_all_none_or_the_rounded_up_share_of_a_price(dust: int, parts: list[tuple[Decimal, int]]) -> None:
    code = Code(code="DUST-1", dust=dust, value=None, product_id=None, quantity=None, promotion_id=None)
    lines = [
        line(
            f"ordli_{number}",
            price=float(given),
            quantity=10,
            returned=10 - tenths,
            discount=float(10 * given),
            code="DUST-1",
        )
        for number, (given, tenths) in enumerate(parts)
    ]
    placed = read_order(order(lines=lines))
    used = used_dust(redemption(RedemptionKind.PERCENTAGE, code), code, placed, first={})
    whole, left = sum(10 * given for given, _ in parts), sum(given * tenths for given, tenths in parts)
    assert 0 <= used <= dust
    assert left > 0 or used == 0
    assert left < whole or used == dust
    assert abs(used - dust * left / whole) <= 1
