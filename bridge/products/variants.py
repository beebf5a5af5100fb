"""Check that a product can have a price in points: promotions apply to it, and all its variants cost the same."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal

import structlog
from pydantic import TypeAdapter, ValidationError

from bridge.errors import Conflict, DustError, NotFound, Unavailable
from bridge.ids import ProductId
from bridge.medusa.amounts import Number
from bridge.medusa.answers import objects
from bridge.medusa.client import Json, Medusa
from bridge.medusa.currencies import format_amount

log = structlog.get_logger(__name__)

_MAX_NAMED = 5
_AMOUNT = TypeAdapter[Decimal](Number)


class VariantPricesDiffer(Conflict):
    """The variants of a product differ in price.

    They changed after its price in points was set, or Medusa could not be asked then.
    """

    code = "variant_prices_differ"
    message = "The variants of this product have different prices, so points cannot pay for it. Please ask the shop."


def differing_prices(variants: Sequence[Json]) -> list[str]:
    """Return the variants with their prices in the first currency in which they differ; empty if they never do.

    `["Small 10.00 EUR", "Large 100.00 EUR"]`. Prices for regions and quantities count, those of price lists (a sale) do
    not. A variant without a price in a currency does not differ there.
    """
    by_currency: dict[str, dict[int, list[Json]]] = defaultdict(lambda: defaultdict(list))
    for number, variant in enumerate(variants):
        for price in objects(variant.get("prices")):
            is_sale = price.get("price_list_id") or price.get("price_list")
            if not is_sale and _amount(price) is not None:
                by_currency[str(price.get("currency_code") or "").upper()][number].append(price)
    for currency, by_variant in by_currency.items():
        if len({frozenset(map(_price_key, prices)) for prices in by_variant.values()}) > 1:
            return [
                f"{variants[number].get('title') or 'no title'} {_amounts(prices, currency)} {currency}"
                for number, prices in by_variant.items()
            ]
    return []


def _price_key(price: Json) -> str:
    """Return a key that is equal for equal prices: amount, quantity bounds, and rules such as the region."""
    rules = price.get("rules")
    if not (rules and isinstance(rules, dict)):
        rules = {str(rule.get("attribute")): rule.get("value") for rule in objects(price.get("price_rules"))}
    quantities = f"{price.get('min_quantity')} {price.get('max_quantity')}"
    return f"{_amount(price)} {quantities} {sorted((name, str(value)) for name, value in rules.items())}"


def _amount(price: Json) -> Decimal | None:
    """Return the price's amount; None if it is none."""
    try:
        return _AMOUNT.validate_python(price.get("amount")).normalize()
    except ValidationError:
        return None


def _amounts(prices: Sequence[Json], currency_code: str) -> str:
    return "/".join(format_amount(_amount(price) or Decimal(0), currency_code) for price in prices)


def price_refusals(product_ids: Collection[ProductId], medusa: Callable[[], Medusa]) -> dict[ProductId, str]:
    """Return the products among these that cannot have a price in points, each with the reason for the merchant.

    Products that Medusa does not know can have one. Raises `Unavailable` if Medusa cannot be asked.
    """
    if not product_ids:
        return {}
    try:
        # One product by its id, several by a list of ids.
        if len(product_ids) == 1:
            [product_id] = product_ids
            products = {product_id: medusa().product_with_prices(product_id)}
        else:
            products = medusa().products_with_prices(product_ids)
    except Unavailable:
        raise
    except DustError as error:
        log.info("variant_prices_not_known", reason=error.message)
        return {}
    return {product_id: why for product_id, product in products.items() if (why := _refusal(product))}


def _refusal(product: Json) -> str | None:
    if product.get("discountable") is False:
        return "it is not discountable in Medusa, so points cannot pay for it: make it discountable first"
    named = differing_prices(objects(product.get("variants")))
    if not named:
        return None
    more = f" and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
    return (
        f"its variants have different prices ({', '.join(named[:_MAX_NAMED])}{more}), and one price in points cannot "
        "be right for all of them: give the variants one price, or make each a product of its own"
    )


NOT_CHECKED = (
    "Medusa could not be asked whether all variants of the product have the same price. If they differ, points cannot "
    "pay for it at the checkout. Save again once Medusa answers."
)


def products_with_differing_prices(product_ids: Collection[ProductId], medusa: Medusa) -> set[ProductId]:
    """Return the products among these whose variants differ in price now.

    Returns none while Medusa is unavailable: the checkout checks again.
    """
    differing = set()
    for product_id in sorted(set(product_ids)):
        try:
            if differing_prices(objects(medusa.product_with_prices(product_id).get("variants"))):
                differing.add(product_id)
        except NotFound:
            continue
        except Unavailable as error:
            log.warning("variant_prices_not_checked", reason=error.message)
            break
    return differing
