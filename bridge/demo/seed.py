"""Fill an empty Medusa over its Admin API: regions, shipping, keys, four products. A second run finds what is there."""

from dataclasses import dataclass

import httpx

from bridge.demo.people import Json, answer
from bridge.demo.shop import Shop

# SKU, title, and a price that is the same number in eur and in usd. The mug is the one that the story makes dust-only.
_PRODUCTS = (
    ("SHIRT", "Shirt", 10),
    ("SHORTS", "Shorts", 20),
    ("HOODIE", "Hoodie", 40),
    ("MUG", "Mug", 15),
)
_API_KEY_TITLE = "Dust"
# Danish VAT. Prices are without tax, so an order of a shirt is 10.00 + 2.50, and earns on 10.00.
_TAX_RATE_PERCENT = 25


@dataclass(frozen=True, kw_only=True)
class SeededProduct:
    """What the story needs to know of a product; the price is in whole euros, or as many dollars."""

    id: str
    variant_id: str
    price: int


@dataclass(frozen=True, kw_only=True)
class ShopKeys:
    """What Dust and a storefront need to talk to a seeded shop."""

    url: str
    api_key: str
    publishable_key: str
    jwt_secret: str
    webhook_secret: str
    admin_email: str
    admin_password: str
    region_ids: dict[str, str]
    shipping_option_id: str
    stock_location_id: str
    shirt: SeededProduct
    shorts: SeededProduct
    hoodie: SeededProduct
    mug: SeededProduct

    def environment(self) -> dict[str, str]:
        """The variables that make a Dust bridge belong to this shop."""
        return {
            "DUST_MEDUSA_URL": self.url,
            "DUST_MEDUSA_API_KEY": self.api_key,
            "DUST_MEDUSA_PUBLISHABLE_KEY": self.publishable_key,
            "DUST_JWT_SECRET": self.jwt_secret,
            "DUST_WEBHOOK_SECRETS": self.webhook_secret,
        }


def seed(shop: Shop) -> ShopKeys:
    """See that the shop has something to sell, and return its keys."""
    with admin_client(shop) as admin:
        channel = _one(admin, "sales-channels", {"name": "Default Sales Channel"}, {})
        _allow_currencies(admin)
        regions = {
            "eur": _region(admin, "Europe", "eur", "dk"),
            "usd": _region(admin, "United States", "usd", "us"),
        }
        location = _location(admin, channel["id"])
        option = _shipping_option(admin, location, list(regions.values()))
        products = {
            sku: _product(admin, sku, title, price, channel["id"], location["id"], option["profile"])
            for sku, title, price in _PRODUCTS
        }
        return ShopKeys(
            url=shop.url,
            api_key=_secret_key(admin),
            publishable_key=_publishable_key(admin, channel["id"]),
            jwt_secret=shop.jwt_secret,
            webhook_secret=shop.webhook_secret,
            admin_email=shop.admin_email,
            admin_password=shop.admin_password,
            region_ids=regions,
            shipping_option_id=option["id"],
            stock_location_id=location["id"],
            shirt=products["SHIRT"],
            shorts=products["SHORTS"],
            hoodie=products["HOODIE"],
            mug=products["MUG"],
        )


def admin_client(shop: Shop) -> httpx.Client:
    """A client of the Admin API, logged in as the merchant."""
    credentials = {"email": shop.admin_email, "password": shop.admin_password}
    token = answer(httpx.post(f"{shop.url}/auth/user/emailpass", json=credentials, timeout=30))["token"]
    return httpx.Client(base_url=shop.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def _one(admin: httpx.Client, collection: str, sought: Json, others: Json, *, fields: str | None = None) -> Json:
    """The record with these values, made with the other values too if it is not there yet."""
    plural, singular = collection.replace("-", "_"), collection.replace("-", "_").removesuffix("s")
    query = {**sought, **({"fields": fields} if fields else {})}
    found = answer(admin.get(f"/admin/{collection}", params=query))[plural]
    if found:
        return dict(found[0])
    created = answer(admin.post(f"/admin/{collection}", json={**sought, **others}))[singular]
    return _one(admin, collection, sought, others, fields=fields) if fields else dict(created)


def _allow_currencies(admin: httpx.Client) -> None:
    store = answer(admin.get("/admin/stores"))["stores"][0]
    currencies = [{"currency_code": "eur", "is_default": True}, {"currency_code": "usd"}]
    answer(admin.post(f"/admin/stores/{store['id']}", json={"supported_currencies": currencies}))


def _region(admin: httpx.Client, name: str, currency: str, country: str) -> str:
    region = _one(
        admin,
        "regions",
        {"name": name},
        {"currency_code": currency, "countries": [country], "payment_providers": ["pp_system_default"]},
    )
    # Only the region in euros has a tax, so that tests can have an order with one and an order without.
    rate = {"default_tax_rate": {"rate": _TAX_RATE_PERCENT, "code": "VAT", "name": "VAT"}} if currency == "eur" else {}
    _one(admin, "tax-regions", {"country_code": country}, {"provider_id": "tp_system", **rate})
    return str(region["id"])


def _location(admin: httpx.Client, channel_id: str) -> Json:
    fields = "id,fulfillment_sets.id,fulfillment_sets.service_zones.id"
    location = _one(
        admin,
        "stock-locations",
        {"name": "Warehouse"},
        {"address": {"address_1": "Quay 1", "country_code": "dk"}},
        fields=fields,
    )
    if not location["fulfillment_sets"]:
        base = f"/admin/stock-locations/{location['id']}"
        answer(admin.post(f"{base}/sales-channels", json={"add": [channel_id]}))
        answer(admin.post(f"{base}/fulfillment-providers", json={"add": ["manual_manual"]}))
        answer(admin.post(f"{base}/fulfillment-sets", json={"name": "Delivery", "type": "shipping"}))
        location = answer(admin.get(base, params={"fields": fields}))["stock_location"]
    fulfillment_set = location["fulfillment_sets"][0]
    if not fulfillment_set["service_zones"]:
        zone = {"name": "Everywhere", "geo_zones": [{"type": "country", "country_code": code} for code in ("dk", "us")]}
        answer(admin.post(f"/admin/fulfillment-sets/{fulfillment_set['id']}/service-zones", json=zone))
        location = answer(admin.get(f"/admin/stock-locations/{location['id']}", params={"fields": fields}))[
            "stock_location"
        ]
    return dict(location)


def _shipping_option(admin: httpx.Client, location: Json, region_ids: list[str]) -> Json:
    profile = _one(admin, "shipping-profiles", {"name": "Default Shipping Profile"}, {"type": "default"})
    zone_id = location["fulfillment_sets"][0]["service_zones"][0]["id"]
    found = answer(admin.get("/admin/shipping-options", params={"service_zone_id": zone_id}))["shipping_options"]
    option = (
        found[0]
        if found
        else answer(
            admin.post(
                "/admin/shipping-options",
                json={
                    "name": "Parcel",
                    "service_zone_id": zone_id,
                    "shipping_profile_id": profile["id"],
                    "provider_id": "manual_manual",
                    "price_type": "flat",
                    "type": {"label": "Parcel", "description": "Two or three days", "code": "parcel"},
                    "prices": [{"region_id": region_id, "amount": 5} for region_id in region_ids],
                },
            )
        )["shipping_option"]
    )
    return {"id": option["id"], "profile": profile["id"]}


def _product(
    admin: httpx.Client, sku: str, title: str, price: int, channel_id: str, location_id: str, profile_id: str
) -> SeededProduct:
    product = _one(
        admin,
        "products",
        {"handle": sku.lower()},
        {
            "title": title,
            "status": "published",
            "shipping_profile_id": profile_id,
            "sales_channels": [{"id": channel_id}],
            "options": [{"title": "Size", "values": ["One size"]}],
            "variants": [
                {
                    "title": "One size",
                    "sku": sku,
                    "options": {"Size": "One size"},
                    "manage_inventory": True,
                    "prices": [{"currency_code": code, "amount": price} for code in ("eur", "usd")],
                }
            ],
        },
    )
    _stock(admin, sku, location_id)
    return SeededProduct(id=product["id"], variant_id=product["variants"][0]["id"], price=price)


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
    """A new key each time: Medusa shows a token only once, and whoever uses an older one must not lose it."""
    body = {"title": _API_KEY_TITLE, "type": "secret"}
    return str(answer(admin.post("/admin/api-keys", json=body))["api_key"]["token"])
