"""Fills an empty Medusa over its Admin API: regions, shipping, keys, products. A second run uses what exists."""

from dataclasses import dataclass, field
from decimal import Decimal

import httpx

from bridge.development.demo.people import Json, answer
from bridge.development.demo.shop import Shop


@dataclass(frozen=True, kw_only=True)
class Market:
    """A region of one country. `tax_percent` is its default rate; None for a region without tax."""

    name: str
    currency_code: str
    country_code: str
    tax_percent: int | None = None
    prices_include_tax: bool = False
    price_factor: int = 1
    """Factor for prices in euros, for example 150 for yen."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A product with one variant. `price` is in whole euros; `tax_percent` replaces the first market's rate."""

    sku: str
    title: str
    price: int
    tax_percent: int | None = None
    gift_card: bool = False
    description: str = ""


SHIRT = Item(
    sku="SHIRT", title="Shirt", price=10, description="Light cotton, cut wide. It dries on the line in an hour."
)
SHORTS = Item(
    sku="SHORTS",
    title="Shorts",
    price=20,
    description="Short enough for the water, with pockets that hold on to your keys.",
)
HOODIE = Item(
    sku="HOODIE", title="Hoodie", price=40, description="Thick and soft inside, with a hood that stays up in the wind."
)
# The product that the demo sells for points only.
MUG = Item(
    sku="MUG", title="Mug", price=15, description="Stoneware for two cups of coffee. It survives the dishwasher."
)


@dataclass(frozen=True, kw_only=True)
class Assortment:
    """Products and markets of a shop. The first market is the one in euros."""

    markets: tuple[Market, ...]
    items: tuple[Item, ...]


# Danish VAT. Prices are without tax, so an order of a shirt is 10.00 + 2.50, and earns on 10.00. The second market
# has no tax, for tests of orders without tax.
DEMO_SHOP = Assortment(
    markets=(
        Market(name="Europe", currency_code="eur", country_code="dk", tax_percent=25),
        Market(name="United States", currency_code="usd", country_code="us"),
    ),
    items=(SHIRT, SHORTS, HOODIE, MUG),
)


@dataclass(frozen=True, kw_only=True)
class SeededProduct:
    """A product in the shop. `price` is in whole euros, `tax_percent` its rate in the market in euros."""

    id: str
    variant_id: str
    price: int
    tax_percent: int
    price_includes_tax: bool

    def net(self, quantity: int | Decimal = 1) -> Decimal:
        """Price of this quantity in euros, without tax."""
        price = Decimal(self.price) * quantity
        return price / self._tax_factor if self.price_includes_tax else price

    def gross(self, quantity: int | Decimal = 1) -> Decimal:
        """Price of this quantity in euros, with tax."""
        price = Decimal(self.price) * quantity
        return price if self.price_includes_tax else price * self._tax_factor

    @property
    def _tax_factor(self) -> Decimal:
        return 1 + Decimal(self.tax_percent) / 100


@dataclass(frozen=True, kw_only=True)
class ShopKeys:
    """What Dust and a storefront need to call a seeded shop."""

    url: str
    api_key: str
    publishable_key: str
    region_ids: dict[str, str]
    """By currency code."""
    countries: dict[str, str]
    """By currency code: the country of its region."""
    shipping_option_id: str
    stock_location_id: str
    products: dict[str, SeededProduct] = field(repr=False)
    """By SKU."""

    @property
    def shirt(self) -> SeededProduct:
        return self.products[SHIRT.sku]

    @property
    def shorts(self) -> SeededProduct:
        return self.products[SHORTS.sku]

    @property
    def hoodie(self) -> SeededProduct:
        return self.products[HOODIE.sku]

    @property
    def mug(self) -> SeededProduct:
        return self.products[MUG.sku]

    def environment(self) -> dict[str, str]:
        """The environment that lets Dust call this shop."""
        return {
            "DUST_MEDUSA_URL": self.url,
            "DUST_MEDUSA_API_KEY": self.api_key,
            "DUST_MEDUSA_PUBLISHABLE_KEY": self.publishable_key,
        }


def seed(shop: Shop, assortment: Assortment = DEMO_SHOP) -> ShopKeys:
    """Create what is missing in the shop, and return its keys."""
    markets = assortment.markets
    with admin_client(shop) as admin:
        channel = _one(admin, "sales-channels", {"name": "Default Sales Channel"}, {})
        _allow_currencies(admin, markets)
        regions = {market.currency_code: _region(admin, market) for market in markets}
        location = _location(admin, channel["id"], markets)
        option = _shipping_option(admin, location, {regions[market.currency_code]: market for market in markets})
        products = {
            item.sku: _product(admin, item, markets, channel["id"], location["id"], option["profile"])
            for item in assortment.items
        }
        for item in assortment.items:
            if item.tax_percent is not None:
                _tax_rate(admin, markets[0], item, products[item.sku].id)
        return ShopKeys(
            url=shop.url,
            api_key=_secret_key(admin),
            publishable_key=_publishable_key(admin, channel["id"]),
            region_ids=regions,
            countries={market.currency_code: market.country_code for market in markets},
            shipping_option_id=option["id"],
            stock_location_id=location["id"],
            products=products,
        )


def admin_client(shop: Shop) -> httpx.Client:
    """A client for the Admin API, logged in as the merchant."""
    credentials = {"email": shop.admin_email, "password": shop.admin_password}
    token = answer(httpx.post(f"{shop.url}/auth/user/emailpass", json=credentials, timeout=30))["token"]
    return httpx.Client(base_url=shop.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def _one(admin: httpx.Client, collection: str, sought: Json, other_values: Json, *, fields: str | None = None) -> Json:
    """Find the record with the `sought` values, or create it with the others too."""
    plural, singular = collection.replace("-", "_"), collection.replace("-", "_").removesuffix("s")
    query = {**sought, **({"fields": fields} if fields else {})}
    existing = answer(admin.get(f"/admin/{collection}", params=query))[plural]
    if existing:
        return dict(existing[0])
    created = answer(admin.post(f"/admin/{collection}", json={**sought, **other_values}))[singular]
    return _one(admin, collection, sought, other_values, fields=fields) if fields else dict(created)


def _allow_currencies(admin: httpx.Client, markets: tuple[Market, ...]) -> None:
    store = answer(admin.get("/admin/stores"))["stores"][0]
    # Medusa 2.21.2 takes "prices include tax" from the currency for a product's price, from the region for shipping.
    currencies = [
        {
            "currency_code": market.currency_code,
            "is_default": number == 0,
            "is_tax_inclusive": market.prices_include_tax,
        }
        for number, market in enumerate(markets)
    ]
    answer(admin.post(f"/admin/stores/{store['id']}", json={"supported_currencies": currencies}))


def _region(admin: httpx.Client, market: Market) -> str:
    region = _one(
        admin,
        "regions",
        {"name": market.name},
        {
            "currency_code": market.currency_code,
            "countries": [market.country_code],
            "payment_providers": ["pp_system_default"],
            "is_tax_inclusive": market.prices_include_tax,
        },
    )
    rate = {}
    if market.tax_percent is not None:
        rate = {"default_tax_rate": {"rate": market.tax_percent, "code": "VAT", "name": "VAT"}}
    _one(admin, "tax-regions", {"country_code": market.country_code}, {"provider_id": "tp_system", **rate})
    return str(region["id"])


def _tax_rate(admin: httpx.Client, market: Market, item: Item, product_id: str) -> None:
    region = _one(admin, "tax-regions", {"country_code": market.country_code}, {})
    known = answer(admin.get("/admin/tax-rates", params={"tax_region_id": region["id"]}))["tax_rates"]
    if item.sku not in {rate["code"] for rate in known}:
        rule = {"reference": "product", "reference_id": product_id}
        rate = {"tax_region_id": region["id"], "rate": item.tax_percent, "code": item.sku, "name": item.title}
        answer(admin.post("/admin/tax-rates", json={**rate, "rules": [rule]}))


def _location(admin: httpx.Client, channel_id: str, markets: tuple[Market, ...]) -> Json:
    fields = "id,fulfillment_sets.id,fulfillment_sets.service_zones.id"
    location = _one(
        admin,
        "stock-locations",
        {"name": "Warehouse"},
        {"address": {"address_1": "Quay 1", "country_code": "dk"}},
        fields=fields,
    )
    base = f"/admin/stock-locations/{location['id']}"
    if not location["fulfillment_sets"]:
        answer(admin.post(f"{base}/sales-channels", json={"add": [channel_id]}))
        answer(admin.post(f"{base}/fulfillment-providers", json={"add": ["manual_manual"]}))
        answer(admin.post(f"{base}/fulfillment-sets", json={"name": "Delivery", "type": "shipping"}))
        location = answer(admin.get(base, params={"fields": fields}))["stock_location"]
    fulfillment_set = location["fulfillment_sets"][0]
    if not fulfillment_set["service_zones"]:
        countries = [{"type": "country", "country_code": market.country_code} for market in markets]
        zone = {"name": "Everywhere", "geo_zones": countries}
        answer(admin.post(f"/admin/fulfillment-sets/{fulfillment_set['id']}/service-zones", json=zone))
        location = answer(admin.get(base, params={"fields": fields}))["stock_location"]
    return dict(location)


def _shipping_option(admin: httpx.Client, location: Json, regions: dict[str, Market]) -> Json:
    profile = _one(admin, "shipping-profiles", {"name": "Default Shipping Profile"}, {"type": "default"})
    zone_id = location["fulfillment_sets"][0]["service_zones"][0]["id"]
    prices = [{"region_id": region_id, "amount": 5 * market.price_factor} for region_id, market in regions.items()]
    option = _one(
        admin,
        "shipping-options",
        {"service_zone_id": zone_id},
        {
            "name": "Parcel",
            "shipping_profile_id": profile["id"],
            "provider_id": "manual_manual",
            "price_type": "flat",
            "type": {"label": "Parcel", "description": "Two or three days", "code": "parcel"},
            "prices": prices,
        },
    )
    return {"id": option["id"], "profile": profile["id"]}


def _product(
    admin: httpx.Client, item: Item, markets: tuple[Market, ...], channel_id: str, location_id: str, profile_id: str
) -> SeededProduct:
    product = _one(
        admin,
        "products",
        {"handle": item.sku.lower()},
        {
            "title": item.title,
            "description": item.description,
            "status": "published",
            "is_giftcard": item.gift_card,
            "shipping_profile_id": profile_id,
            "sales_channels": [{"id": channel_id}],
            "options": [{"title": "Size", "values": ["One size"]}],
            "variants": [
                {
                    "title": "One size",
                    "sku": item.sku,
                    "options": {"Size": "One size"},
                    "manage_inventory": True,
                    "prices": [
                        {"currency_code": market.currency_code, "amount": item.price * market.price_factor}
                        for market in markets
                    ],
                }
            ],
        },
    )
    _stock(admin, item.sku, location_id)
    tax = item.tax_percent if item.tax_percent is not None else markets[0].tax_percent
    return SeededProduct(
        id=product["id"],
        variant_id=product["variants"][0]["id"],
        price=item.price,
        tax_percent=tax or 0,
        price_includes_tax=markets[0].prices_include_tax,
    )


def _stock(admin: httpx.Client, sku: str, location_id: str) -> None:
    items = answer(admin.get("/admin/inventory-items", params={"sku": sku, "fields": "id,location_levels.id"}))
    item = items["inventory_items"][0]
    if not item["location_levels"]:
        level = {"location_id": location_id, "stocked_quantity": 1_000_000}
        answer(admin.post(f"/admin/inventory-items/{item['id']}/location-levels", json=level))


def _publishable_key(admin: httpx.Client, channel_id: str) -> str:
    key = _one(admin, "api-keys", {"title": "Storefront", "type": "publishable"}, {})
    answer(admin.post(f"/admin/api-keys/{key['id']}/sales-channels", json={"add": [channel_id]}))
    return str(key["token"])


def _secret_key(admin: httpx.Client) -> str:
    """Create a new key: Medusa shows a token only once, and older ones may be in use."""
    body = {"title": "Dust", "type": "secret"}
    return str(answer(admin.post("/admin/api-keys", json=body))["api_key"]["token"])
