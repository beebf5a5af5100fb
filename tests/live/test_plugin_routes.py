"""The plugin's routes in a real Medusa with a real Dust: who may call them, as which customer, and the responses."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bridge.development.demo.people import Merchant, Storefront
from tests.support.built_shop import built_shop
from tests.support.live_worlds import ADMIN_TOKEN, World

pytestmark = pytest.mark.live


@pytest.fixture
def shopper(world: World) -> Iterator[Storefront]:
    with world.shopper() as person:
        yield person


@pytest.fixture
def merchant(world: World) -> Iterator[Merchant]:
    person = Merchant(world.keys)
    yield person
    person.close()


@pytest.fixture
def anybody(world: World) -> Iterator[httpx.Client]:
    """A client with only a publishable key."""
    headers = {"x-publishable-api-key": world.keys.publishable_key}
    with httpx.Client(base_url=world.shop.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def test_a_signed_in_customer_reads_the_same_as_from_dust_itself(world: World, shopper: Storefront) -> None:
    world.bridge.give(shopper.customer_id, 70)

    direct = httpx.get(
        f"{world.bridge.url}/store/dust/balance",
        headers={"Authorization": f"Bearer {shopper.token}"},
        trust_env=False,
    ).json()

    assert shopper.ask("GET", "/store/dust/balance") == direct
    assert shopper.ask("GET", "/store/dust") == {"points": 70}
    assert [row["amount"] for row in shopper.ask("GET", "/store/dust/transactions?limit=5")["transactions"]] == [70]


def test_a_customer_with_a_session_cookie_is_that_customer(
    world: World, shopper: Storefront, anybody: httpx.Client
) -> None:
    world.bridge.give(shopper.customer_id, 30)
    anybody.post("/auth/session", headers={"Authorization": f"Bearer {shopper.token}"}).raise_for_status()

    assert anybody.get("/store/dust").json() == {"points": 30}
    redeemed = anybody.post(
        "/store/dust/redemptions",
        json={"dust": 10, "currency_code": "eur"},
        headers={"Idempotency-Key": secrets.token_hex(8)},
    )
    assert redeemed.status_code == 202
    assert redeemed.json()["redemption"]["customer_id"] == shopper.customer_id


def test_naming_a_customer_in_a_header_gives_no_access(
    world: World, shopper: Storefront, anybody: httpx.Client
) -> None:
    world.bridge.give(shopper.customer_id, 30)
    named = {"X-Dust-Customer": shopper.customer_id, "X-Dust-Operator": "user_1"}

    for path in ("/store/dust", "/store/dust/balance", "/store/dust/redemptions", "/admin/dust/overview"):
        assert anybody.get(path, headers=named).status_code == 401, path
    # Also refused with the plugin's service token, which Medusa's own endpoints do not accept.
    token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    assert anybody.get("/store/dust", headers={**named, **token}).status_code == 401
    with world.shopper() as other:
        assert other.ask("GET", "/store/dust", **named) == {"points": 0}


def test_a_customer_is_no_operator(shopper: Storefront, anybody: httpx.Client) -> None:
    response = anybody.get("/admin/dust/overview", headers={"Authorization": f"Bearer {shopper.token}"})

    assert response.status_code == 401


def test_dust_prices_are_public_and_can_be_cached(world: World, anybody: httpx.Client) -> None:
    path = f"/store/dust/products?product_id={world.keys.hoodie.id}"
    world.bridge.ask("PUT", f"/admin/dust/products/{world.keys.hoodie.id}", {"dust_price": 900})

    first = anybody.get(path)
    again = anybody.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert first.json()["products"] == {world.keys.hoodie.id: {"dust_only": False, "dust_price": 900}}
    assert (again.status_code, again.content) == (304, b"")


def test_the_ledger_has_the_merchant_as_actor(world: World, shopper: Storefront, anybody: httpx.Client) -> None:
    login = {"email": world.shop.admin_email, "password": world.shop.admin_password}
    token = anybody.post("/auth/user/emailpass", json=login).json()["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    user_id = anybody.get("/admin/users/me", headers=bearer).json()["user"]["id"]

    rules = anybody.get("/admin/dust/programme", headers=bearer).json()
    written = anybody.put("/admin/dust/programme", json=rules, headers=bearer)

    assert written.json()["author"] == user_id


def test_an_error_comes_back_as_dust_gave_it_and_as_medusas_sdk_reads_it(anybody: httpx.Client, world: World) -> None:
    key = (world.keys.api_key, "")
    response = anybody.put("/admin/dust/programme", json={"earn": {"rates": {"eur": "-1"}}}, auth=key)

    assert response.status_code == 422
    assert response.headers["content-type"].startswith("application/problem+json")
    document: dict[str, Any] = response.json()
    assert [error["field"] for error in document["errors"]] == ["earn.rates.eur"]
    assert document["message"] == document["detail"]


_SDK_STORY = """
const { default: Medusa } = require("@medusajs/js-sdk")
const [, baseUrl, publishableKey, token] = process.argv
const sdk = new Medusa({ baseUrl, publishableKey })
const headers = { authorization: `Bearer ${token}` }
const fails = (error) => ({ status: error.status, message: error.message })
Promise.all([
  sdk.client.fetch("/store/dust/balance", { headers }),
  sdk.client.fetch("/store/dust/products", { query: { product_id: ["prod_1", "prod_2"] } }),
  sdk.client.fetch("/store/dust/redemptions", {
    method: "POST",
    headers: { ...headers, "Idempotency-Key": "once" },
    body: { dust: 500, currency_code: "eur" },
  }).catch(fails),
]).then((answers) => console.log(JSON.stringify(answers)))
"""


def test_medusas_sdk_for_javascript_reads_answers_and_errors(world: World, shopper: Storefront) -> None:
    world.bridge.give(shopper.customer_id, 30)
    folder = built_shop()
    arguments = (world.shop.url, world.keys.publishable_key, shopper.token)

    done = subprocess.run(["node", "-e", _SDK_STORY, *arguments], cwd=folder, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    balance, products, refused = json.loads(done.stdout)
    assert balance["available"] == 30
    assert products["products"] == {}
    assert refused["status"] == 409
    assert "30" in refused["message"]


def test_the_whole_admin_api_is_there(anybody: httpx.Client, world: World, shopper: Storefront) -> None:
    key, customer = (world.keys.api_key, ""), f"/admin/dust/customers/{shopper.customer_id}"
    once = {"Idempotency-Key": secrets.token_hex(8)}

    bonus = {"customer_id": shopper.customer_id, "amount": 40, "reason": "a birthday"}
    given = anybody.post("/admin/dust/bonuses", json=bonus, headers=once, auth=key)
    claimed = anybody.post(f"{customer}/claim", json={"email": "nobody@example.com", "dry_run": True}, auth=key)
    sheet = anybody.get("/admin/dust/reports/movements?by=month&format=csv", auth=key)
    # More than Medusa's default limit of 100 kB; the bridge refuses it for the number of products.
    batch = {"products": [{"product_id": f"prod_{number:026}", "dust_price": 5} for number in range(3000)]}

    assert (given.status_code, given.json()["customers"]) == (201, 1)
    assert (claimed.status_code, claimed.json()["dust"]) == (200, 0)
    assert anybody.get(f"{customer}/export", auth=key).json()["customer_id"] == shopper.customer_id
    assert anybody.get(f"{customer}/merges", auth=key).json() == {"merges": []}
    for path in ("escrow", "outgoing-webhooks", "reports/expiring", "reports/breakage", "reports/closes"):
        assert anybody.get(f"/admin/dust/{path}", auth=key).status_code == 200, path
    assert sheet.headers["content-type"].startswith("text/csv")
    assert sheet.headers["content-disposition"] == 'attachment; filename="dust-movements.csv"'
    assert sheet.text.startswith("start,")
    assert anybody.post("/admin/dust/events/retry", json={"code": "none"}, auth=key).json()["retried"] == 0
    assert anybody.post("/admin/dust/reconcile", json={"dry_run": True}, auth=key).json()["dry_run"] is True
    assert anybody.post("/admin/dust/products", json=batch, auth=key).status_code == 422


def test_paths_outside_the_plugins_routes_are_not_forwarded(anybody: httpx.Client, world: World) -> None:
    key = (world.keys.api_key, "")

    assert anybody.post("/admin/dust/overview", json={}, auth=key).status_code == 404
    assert anybody.get("/admin/dust/health/live", auth=key).status_code == 404
    assert anybody.get("/admin/dust/customers/cus_1%2Ftransactions", auth=key).status_code == 404


def test_while_dust_is_away_the_routes_say_so_at_once_and_the_shop_goes_on(
    world: World, shopper: Storefront, merchant: Merchant, anybody: httpx.Client
) -> None:
    with world.bridge.away():
        response = anybody.get("/store/dust/balance", headers={"Authorization": f"Bearer {shopper.token}"})
        order_id = shopper.buy((world.keys.shirt, 1))
        deliveries = merchant.get("/admin/dust/deliveries")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert response.json()["code"] == "bridge_unavailable"
    assert response.elapsed.total_seconds() < 5
    assert deliveries["waiting"] >= 1
    world.bridge.wait_for_balance(shopper.customer_id, 10)
    assert order_id
