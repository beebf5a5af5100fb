"""Terms of a reward from the catalogue, for a cart or without one. No I/O: the caller passes the cart."""

from collections.abc import Callable, Collection
from decimal import ROUND_CEILING, Decimal
from typing import assert_never

import structlog

from bridge.errors import Conflict, FieldErrors, InvalidInput, NotFound, Unavailable
from bridge.ids import ProductId
from bridge.medusa.carts import Cart
from bridge.medusa.client import Medusa
from bridge.medusa.currencies import amount_to_pay, format_amount, format_money, round_down
from bridge.products.variants import VariantPricesDiffer, price_refusals
from bridge.programme.rewards import Reward, RewardKind
from bridge.programme.spending import Redeem, percentage_of
from bridge.redemptions.pricing.basket import Basket, millionths, price_of_units
from bridge.redemptions.pricing.terms import CodeTerms, Terms, min_cart_for
from bridge.redemptions.tables import RedemptionKind

log = structlog.get_logger(__name__)


class UnknownReward(NotFound):
    """The catalogue does not have this reward, or not any more."""

    code = "unknown_reward"
    message = "This reward is no longer offered."


class CartNeeded(InvalidInput):
    """The reward depends on the cart, and no cart was given."""

    code = "cart_needed"

    def __init__(self, name: str) -> None:
        super().__init__(f"“{name}” depends on what is in the cart: please redeem it there.")


class RewardNotInCurrency(InvalidInput):
    code = "reward_not_in_currency"

    def __init__(self, name: str, currency_code: str) -> None:
        super().__init__(
            f"“{name}” is not available for prices in {currency_code.upper()}.", currency_code=currency_code
        )


class CartBelowMinimum(InvalidInput):
    """The cart's items cost less than the reward's `min_cart`; points-only products do not count."""

    code = "cart_below_minimum"

    def __init__(self, *, min_cart: Decimal, total: Decimal, currency_code: str) -> None:
        self.missing = min_cart - total
        super().__init__(
            f"Your cart comes to {format_money(total, currency_code)}: this reward is for carts of "
            f"{format_money(min_cart, currency_code, ROUND_CEILING)} and more.",
            min_cart=format_amount(min_cart, currency_code, ROUND_CEILING),
            currency_code=currency_code,
        )


class AboveShare(InvalidInput):
    """Points would take more off the cart than the programme's `max_share` of it."""

    code = "above_share"

    def __init__(self, *, takes: Decimal, max_discount: Decimal, currency_code: str) -> None:
        super().__init__(
            f"This reward would take {format_money(takes, currency_code)} off, and points can take at most "
            f"{format_money(max_discount, currency_code)} off this cart.",
            max_discount=format_amount(max_discount, currency_code),
            currency_code=currency_code,
        )


class NothingToDiscount(Conflict):
    """The reward would cost points but take nothing off this cart."""

    code = "nothing_to_discount"

    def __init__(self, name: str) -> None:
        super().__init__(f"“{name}” would take nothing off this cart.")


class ProductNotInCart(Conflict):
    code = "product_not_in_cart"
    message = "Put the product into the cart first: then it is free."


class NoShippingMethod(Conflict):
    """Medusa drops a code for shipping from a cart that has no shipping yet."""

    code = "no_shipping_method"
    message = "Choose a shipping method first: then it is free."


def require_equal_variant_prices(rules: Redeem, medusa: Callable[[], Medusa]) -> None:
    """Raise `FieldErrors` for rewards with a free product whose variants differ in price.

    Nothing is refused while Medusa is unavailable: redemptions and the checkout check again.
    """
    try:
        refused = price_refusals(rules.free_products, medusa)
    except Unavailable as error:
        log.warning("variant_prices_not_checked", reason=error.message)
        return
    errors = [
        {"field": f"redeem.rewards.{number}.product_id", "message": refused[ProductId(reward.product_id)]}
        for number, reward in enumerate(rules.rewards)
        if reward.product_id in refused
    ]
    if errors:
        raise FieldErrors(errors)


def reward_terms(
    rules: Redeem,
    reward: Reward,
    *,
    cart: Cart | None,
    basket: Basket | None,
    mixed_price_products: Collection[ProductId] = (),
) -> Terms:
    """Return the terms of a reward. Its price in points does not depend on what it takes off.

    `mixed_price_products` are products whose variants differ in price. They cannot be free: the free unit could be the
    most expensive one.

    Raises `CartNeeded`, `RewardNotInCurrency`, `CartBelowMinimum`, `ProductNotInCart`, `VariantPricesDiffer`,
    `NoShippingMethod`, `NothingToDiscount`, `AboveShare`.
    """
    if cart is None or basket is None:
        if reward.needs_cart(rules.max_share):
            raise CartNeeded(reward.name)
        if reward.product_id in mixed_price_products:
            raise VariantPricesDiffer(product_id=str(reward.product_id))
        return _terms(reward)
    currency = cart.currency_code
    if not reward.exists_in(currency):
        raise RewardNotInCurrency(reward.name, currency)
    min_cart = reward.min_cart.get(currency)
    # As the shop shows it: a cart of 59.9998 is shown as 60.00.
    total = amount_to_pay(basket.total, currency)
    if min_cart is not None and total < min_cart:
        raise CartBelowMinimum(min_cart=min_cart, total=total, currency_code=currency)
    match reward.kind:
        case RewardKind.PERCENTAGE:
            return _percentage_terms(reward, basket, min_cart)
        case RewardKind.FREE_PRODUCT:
            if reward.product_id in mixed_price_products and reward.product_id in {
                line.product_id for line in cart.lines
            }:
                raise VariantPricesDiffer(product_id=str(reward.product_id))
            return _product_terms(rules, reward, cart, basket, min_cart)
        case RewardKind.FREE_SHIPPING:
            return _shipping_terms(reward, cart, basket, min_cart)
    assert_never(reward.kind)


def _percentage_terms(reward: Reward, basket: Basket, min_cart: Decimal | None) -> Terms:
    """Return the terms of a percentage: a percentage in Medusa too, unless it has a maximum.

    Medusa has no maximum (2.21.2). So a percentage with one becomes a fixed discount of its present amount, for carts
    with that total: 20 % of 60.00, at most 10.00, are 10.00 off carts from 50.00 on. This keeps shoppers from
    filling a cart, redeeming, and emptying it again.
    """
    assert reward.percent is not None
    currency = basket.currency_code
    takes = percentage_of(reward.percent, basket.discountable, currency)
    max_value = reward.max_value.get(currency)
    value = None if max_value is None else min(takes, round_down(max_value, currency))
    if takes <= 0 or value == 0:
        raise NothingToDiscount(reward.name)
    if (value or takes) > basket.max_discount:
        raise AboveShare(takes=value or takes, max_discount=basket.max_discount, currency_code=currency)
    if value is not None:
        full_price = round_down(value * 100 / reward.percent, currency)
        min_cart = max(full_price, min_cart or full_price)
    return _terms(reward, currency, min_cart=min_cart, value=value)


def _shipping_terms(reward: Reward, cart: Cart, basket: Basket, min_cart: Decimal | None) -> Terms:
    """Return the terms of free shipping: a fixed sum, the reward's maximum or else the price of the chosen method.

    Medusa caps it at the price of the shipping. A shopper who then chooses a more expensive method pays the difference.
    """
    if cart.shipping_gross is None:
        raise NoShippingMethod
    max_value = reward.max_value.get(cart.currency_code)
    # 4.99 with 7 % tax on top are 5.3393: the shopper sees 5.34.
    price_shown = amount_to_pay(cart.shipping_gross, cart.currency_code)
    discount = price_shown if max_value is None else round_down(max_value, cart.currency_code)
    if price_shown <= 0 or discount <= 0:
        raise NothingToDiscount(reward.name)
    in_this_cart = min(discount, cart.shipping_gross)
    due = basket.due_beside_credit
    if due is not None and in_this_cart > due:
        raise AboveShare(takes=in_this_cart, max_discount=due, currency_code=cart.currency_code)
    # Medusa 2.21.2 treats a discount on shipping as one without tax, whatever `is_tax_inclusive` says (seen in both
    # live shops: 6.25 took 7.81 off at 25 %). So the promotion gets the sum without tax.
    price_without_tax = cart.shipping_gross - cart.shipping_tax
    without_tax = price_without_tax * discount / cart.shipping_gross
    if discount >= price_shown:
        # Free shipping takes the whole price off, also the fraction of a cent that is not shown.
        without_tax = max(without_tax, price_without_tax)
    return _terms(
        reward, cart.currency_code, min_cart=min_cart, value=discount, promotion_value=millionths(without_tax)
    )


def _product_terms(rules: Redeem, reward: Reward, cart: Cart, basket: Basket, min_cart: Decimal | None) -> Terms:
    product_id = ProductId(str(reward.product_id))
    if not any(line.product_id == product_id and line.quantity > 0 for line in cart.lines):
        raise ProductNotInCart(product_id=product_id)
    takes = price_of_units(cart.lines, product_id, reward.units, cart.currency_code)
    if takes <= 0:
        raise NothingToDiscount(reward.name)
    # Points-only lines do not count for the share.
    if (rules.max_share < 1 or cart.credit) and product_id not in basket.dust_only:
        if takes > basket.max_discount:
            raise AboveShare(takes=takes, max_discount=basket.max_discount, currency_code=cart.currency_code)
        min_cart = max(min_cart_for(rules, takes, cart.currency_code) or Decimal(0), min_cart or Decimal(0))
    return _terms(reward, cart.currency_code, min_cart=min_cart)


def _terms(
    reward: Reward,
    currency_code: str | None = None,
    *,
    min_cart: Decimal | None = None,
    value: Decimal | None = None,
    promotion_value: Decimal | None = None,
) -> Terms:
    """Build the terms.

    `promotion_value` is the promotion's value in Medusa, if it differs from the shopper's `value`.
    """
    # Sums are in one currency; a reward without sums is valid in every currency.
    bound = reward.looks_at_cart or min_cart is not None or value is not None
    is_product = reward.kind is RewardKind.FREE_PRODUCT
    code = CodeTerms(
        dust=reward.dust,
        value=value if promotion_value is None else promotion_value,
        product_id=ProductId(str(reward.product_id)) if is_product else None,
        quantity=reward.units if is_product else None,
    )
    return Terms(
        kind=RedemptionKind(reward.kind),
        dust=reward.dust,
        codes=(code,),
        value=value,
        currency_code=currency_code if bound else None,
        reward_id=reward.id,
        percent=reward.percent,
        min_cart=min_cart,
    )
