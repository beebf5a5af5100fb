"""What others build on keeps its paths, keys and edges: each call over HTTP, with every key that it promised."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.http.body_limits import MAX_BYTES
from bridge.inbox.process_batch import process_batch
from bridge.webhooks.signature import TOLERANCE_SECONDS
from tests.support import tokens
from tests.support.admin_api import PARCEL, call, set_dust_only
from tests.support.clock import START
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import event, line, order, order_event
from tests.support.store_api import FIVE_EUR, redeem

REDEMPTION = {
    "id", "state", "dust", "dust_captured", "value", "currency_code", "promotions", "code", "cart_id", "order_id",
    "expires_at", "reason", "created_at",
}  # fmt: skip
TRANSACTION = {
    "id", "amount", "type", "kind", "reference_type", "reference_id", "description", "balance_after", "event_at",
    "created_at",
}  # fmt: skip
QUOTE = {
    "earn", "max_dust", "dust_only", "breakdown", "min_dust", "dust_only_due", "optional", "redemptions", "rewards",
}  # fmt: skip
PROGRAMME = {"name", "earn", "redeem", "bonuses", "tiers", "rewards", "expires_after_days"}
BALANCE = {"customer_id", "balance", "available", "held", "pending", "expiring", "pending_lots", "tier"}
EARNED = {"order_id", "state", "earned", "spent", "given_back"}
CART = {"cart_id": "cart_1"}
ITEMS = {"currency_code": "eur", "items": [{"product_id": "prod_shirt", "amount": 10}]}

# A call, its body, where in the answer its keys are, and the keys.
CALLS: list[tuple[str, dict[str, Any] | None, str, set[str]]] = [
    ("GET /store/dust", None, "", {"points"}),
    ("GET /store/dust/balance", None, "", BALANCE),
    ("GET /store/dust/balance", None, "expiring.0", {"amount", "expires_at"}),
    ("GET /store/dust/balance", None, "pending_lots.0", {"amount", "matures_at"}),
    ("GET /store/dust/balance", None, "tier", {"from", "progress", "next"}),
    ("GET /store/dust/balance", None, "tier.next", {"from"}),
    ("GET /store/dust/transactions", None, "", {"transactions", "next_cursor"}),
    ("GET /store/dust/transactions", None, "transactions.0", TRANSACTION | {"state", "matures_at", "expires_at"}),
    ("GET /store/dust/products", None, "products.prod_mug", {"dust_only", "dust_price"}),
    ("GET /store/dust/programme", None, "", PROGRAMME),
    ("GET /store/dust/programme", None, "name", {"one", "many"}),
    ("GET /store/dust/programme", None, "redeem", {"rates", "min_dust", "max_dust", "max_share"}),
    ("GET /store/dust/programme", None, "tiers.0", {"from", "factor", "benefits"}),
    ("POST /store/dust/quote", CART, "", QUOTE),
    ("POST /store/dust/quote", {"amount": "10", "currency_code": "eur"}, "", QUOTE),
    ("POST /store/dust/quote", CART, "breakdown.0", {"rule", "dust"}),
    ("POST /store/dust/quote", CART, "redemptions.0", {"id", "code", "dust", "value", "expires_at"}),
    ("POST /store/dust/quote", CART, "rewards.0", {"missing_dust", "missing_amount"}),
    ("POST /store/dust/forecast", ITEMS, "", {"items", "total"}),
    ("POST /store/dust/forecast", ITEMS, "items.0", {"product_id", "earn", "breakdown"}),
    ("GET /store/dust/redemptions", None, "redemptions.0", REDEMPTION),
    ("GET /store/dust/redemptions?cart_id=cart_1&state=pending", None, "redemptions.0", REDEMPTION),
    ("GET /store/dust/orders/order_1", None, "", EARNED),
    ("GET /admin/dust/products", None, "products.0", {"product_id", "dust_only", "dust_price"}),
    ("GET /admin/dust/products/prod_mug", None, "", {"product_id", "dust_only", "dust_price"}),
    ("GET /admin/dust/customers", None, "", {"customers", "next_cursor"}),
    ("GET /admin/dust/customers/cus_1", None, "", BALANCE),
    ("GET /admin/dust/customers/cus_1/transactions", None, "transactions.0", TRANSACTION),
    ("GET /admin/dust/customers/cus_1/explain", None, "", {"balance", "steps"}),
    ("GET /admin/dust/customers/cus_1/export", None, "", set()),
    ("GET /admin/dust/redemptions", None, "redemptions.0", REDEMPTION),
    ("GET /admin/dust/events", None, "events.0", {"id", "type", "state"}),
    ("GET /admin/dust/events/msg_1", None, "", {"id", "type", "state"}),
    ("GET /admin/dust/programme", None, "", {"earn", "bonuses", "redeem", "reversal", "guests", "version"}),
    ("GET /admin/dust/programme/versions", None, "", {"versions", "next_cursor"}),
    ("GET /admin/dust/reports/liability?at=2027-01-01T00:00:00Z", None, "", {"at", "outstanding"}),
    ("GET /health/ready", None, "", {"oldest_waiting_event_seconds", "oldest_waiting_promise_seconds"}),
]  # fmt: skip


@pytest.fixture
def shop(api: TestClient, medusa: FakeMedusa) -> TestClient:
    """A shop with something of everything that the calls show."""
    tiers = {"levels": [{"name": "silver", "from": 100}, {"name": "gold", "from": 5000}]}
    earn = {"pending_days": 14, "expires_after_days": 365}
    rules = {"redeem": {"rewards": [PARCEL]}, "tiers": tiers, "earn": earn}
    assert call(api, "PUT", "/admin/dust/programme", json=rules).status_code == 200
    set_dust_only(api)
    old = order("order_0", lines=[line(price=900)], placed=START.replace(month=3))
    for number, document in enumerate((old, order("order_1", lines=[line(price=500)]))):
        assert deliver(api, order_event(document), event_id=f"msg_{number}").status_code == 202
    process_batch()
    medusa.add_cart(lines=[cart_line(), cart_line("prod_mug")])
    assert redeem(api, {"cart_id": "cart_1", "dust": 500}).status_code == 202
    return api


def test_every_answer_has_the_keys_that_others_read(shop: TestClient) -> None:
    for what, body, place, keys in CALLS:
        method, path = what.split()
        headers = tokens.admin() if path.startswith("/admin") else tokens.customer()
        answer = shop.request(method, path, json=body, headers=headers)
        assert answer.status_code == 200, (what, answer.text)
        document = answer.json()
        for step in filter(None, place.split(".")):
            document = document[int(step)] if isinstance(document, list) else document[step]
        assert keys <= document.keys(), (what, place, keys - document.keys())


def test_what_is_a_customers_own_is_not_stored_and_what_is_public_has_an_etag(shop: TestClient) -> None:
    for path in ("", "/balance", "/transactions", "/redemptions", "/orders/order_1", "/referral"):
        answer = shop.get(f"/store/dust{path}", headers=tokens.customer())
        assert answer.headers["cache-control"] == "private, no-store", path
    for path in ("/products", "/programme", "/rewards"):
        answer = shop.get(f"/store/dust{path}")
        assert (answer.headers["cache-control"].split(",")[0], bool(answer.headers["etag"])) == ("public", True), path


DOCUMENT: dict[str, Any] = {
    "earn": {
        "rates": {"eur": "1"},
        "basis": {"include_tax": False, "include_shipping": False},
        "rounding": "floor",
        "when": "order.placed",
        "pending_days": 0,
        "expires_after_days": None,
        "excluded_product_ids": [],
        "multipliers": [
            {
                "name": "double week",
                "factor": "2",
                "product_ids": [],
                "category_ids": [],
                "starts_at": None,
                "ends_at": None,
            }
        ],
    },
    "bonuses": {"signup": 0},
    "redeem": {"rates": {"eur": "100"}, "min_dust": 1, "max_dust": None, "max_share": "1", "code_ttl_minutes": 60},
    "reversal": {"negative_balance": "allow"},
    "guests": {"escrow_days": 90},
}


def within(part: Any, whole: Any) -> bool:
    """Whether `whole` has all of `part`; it may have more keys."""
    if isinstance(part, dict):
        return all(name in whole and within(value, whole[name]) for name, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(within, part, whole))
    return bool(part == whole)


def test_the_programme_has_the_documents_form_and_its_values_are_the_defaults(api: TestClient) -> None:
    without = DOCUMENT | {"earn": DOCUMENT["earn"] | {"multipliers": []}}
    assert within(without, call(api, "GET", "/admin/dust/programme").json())
    put = call(api, "PUT", "/admin/dust/programme", json=DOCUMENT)
    assert put.status_code == 200
    assert within(DOCUMENT, put.json())
    assert within(DOCUMENT, call(api, "GET", "/admin/dust/programme").json())


@pytest.mark.parametrize("seconds", [-TOLERANCE_SECONDS, TOLERANCE_SECONDS])
def test_an_event_at_the_edge_of_the_tolerance_is_taken(api: TestClient, seconds: int) -> None:
    assert TOLERANCE_SECONDS == 300
    assert deliver(api, order_event(order()), timestamp=int(START.timestamp()) + seconds).status_code == 202


def test_a_body_of_exactly_a_mebibyte_is_taken(api: TestClient) -> None:
    assert MAX_BYTES == 1024 * 1024
    body = order_event(order())
    assert deliver(api, body + b" " * (MAX_BYTES - len(body))).status_code == 202
    assert deliver(api, body + b" " * (MAX_BYTES - len(body) + 1)).status_code == 413


def test_a_key_of_255_characters_is_one_for_every_call(api: TestClient, medusa: FakeMedusa) -> None:
    key = "k" * 255
    adjustment = {"amount": 800, "reason": "gift"}
    headers = {"Idempotency-Key": key}
    for _ in range(2):
        response = call(api, "POST", "/admin/dust/customers/cus_1/adjustments", json=adjustment, headers=headers)
        assert (response.status_code, response.json()["balance_after"]) == (201, 800)
    first, second = (redeem(api, FIVE_EUR, key=key) for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert redeem(api, {**FIVE_EUR, "dust": 100}, key=key).status_code == 409


@pytest.mark.parametrize(
    ("order_id", "customer_id", "product_id"),
    [
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "7f9c24e8-3b12-4fef-91e0-56a2d5c1b0aa", "SKU.1"),
        ("1001", "42", "7"),
        ("gid-shop-Order-1", "Customer_1.a", "prod-1"),
        ("o" * 255, "c" * 255, "p" * 255),
    ],
)
def test_ids_may_have_any_prefix(
    api: TestClient, medusa: FakeMedusa, order_id: str, customer_id: str, product_id: str
) -> None:
    set_dust_only(api, product_id, price=5)
    document = order(order_id, customer_id=customer_id, lines=[line(price=30)])
    medusa.orders[order_id] = document
    medusa.add_cart("cart-1", customer_id=customer_id, lines=[cart_line(product_id)])
    # Without its order, and a payment that names it: both have to be asked of Medusa or found by their ids.
    assert deliver(api, order_event(document), event_id="a").status_code == 202
    assert deliver(api, event("payment.captured", {"id": "pay", "order_id": order_id})).status_code == 202
    process_batch()
    own = tokens.customer(customer_id)
    assert api.get("/store/dust", headers=own).json() == {"points": 30}
    assert api.get(f"/store/dust/orders/{order_id}", headers=own).json()["earned"] == 30
    assert product_id in api.get("/store/dust/products", params={"product_id": product_id}).json()["products"]
    paid = redeem(api, {"cart_id": "cart-1", "pay": "dust_only"}, customer_id=customer_id)
    assert (paid.status_code, paid.json()["redemption"]["dust"]) == (202, 5)
    for path in (f"customers/{customer_id}/explain", f"orders/{order_id}", f"events?subject={order_id}"):
        assert call(api, "GET", f"/admin/dust/{path}").status_code == 200, path
