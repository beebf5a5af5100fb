"""A customer who knows another's ids, codes, keys and cursors learns and moves nothing, whatever route takes them.

The routes are read from the OpenAPI document, so one that is added later is tried too.
"""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.inbox.process_batch import process_batch
from bridge.medusa.client import get_medusa
from bridge.redemptions.medusa_sync import advance
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import line, order, order_event

VICTIM, STRANGER = "cus_1", "cus_2"
KEY = "the-victims-key"


@pytest.fixture
def victims(api: TestClient, medusa: FakeMedusa) -> dict[str, str]:
    """Ids and codes of the first customer, by the name of the parameter that takes them."""
    orders = [order(f"order_{number}", customer_id=VICTIM, lines=[line(price=500)]) for number in range(3)]
    for number, known in enumerate(orders):
        deliver(api, order_event(known), event_id=f"msg_{number}")
    process_batch()
    medusa.add_cart("cart_1", customer_id=VICTIM, lines=[cart_line()])
    mine = tokens.customer(VICTIM)
    for key in (KEY, "another"):
        requested = {"dust": 100, "currency_code": "eur"}
        response = api.post("/store/dust/redemptions", json=requested, headers={**mine, "idempotency-key": key})
        redemption = response.json()["redemption"]
        advance(redemption["id"], get_medusa())
    (code, *_) = medusa.live_codes()
    return {
        "redemption_id": redemption["id"],
        "code": code,
        "cart_id": "cart_1",
        "order_id": "order_0",
        "customer_id": VICTIM,
        "Idempotency-Key": KEY,
        "cursor": api.get("/store/dust/transactions?limit=1", headers=mine).json()["next_cursor"],
        "cursor of redemptions": api.get("/store/dust/redemptions?limit=1", headers=mine).json()["next_cursor"],
    }


def whole_view(api: TestClient, customer_id: str) -> list[Any]:
    """Everything that the Store API shows a customer."""
    paths = ("/store/dust", "/store/dust/balance", "/store/dust/transactions", "/store/dust/redemptions")
    return [api.get(path, headers=tokens.customer(customer_id)).json() for path in paths]


def attempts(api: TestClient, victims: dict[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every call of the Store API, with ids of the other customer in each parameter."""
    bodies: list[dict[str, Any]] = [
        {"cart_id": victims["cart_id"]},
        {"cart_id": victims["cart_id"], "dust": 100},
        {"cart_id": victims["cart_id"], "dust": "max"},
        {"dust": 100, "currency_code": "eur", "customer_id": VICTIM, "order_id": victims["order_id"]},
        {"dust": 100, "currency_code": "eur"},
        {"code": victims["code"]},
    ]
    requests = []
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        if not path.startswith("/store"):
            continue
        for method, operation in operations.items():
            names = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
            url = path.replace("{redemption_id}", victims["redemption_id"]).replace("{order_id}", victims["order_id"])
            assert "{" not in url, "say here whose id this new parameter is"
            for cursor in ("cursor", "cursor of redemptions"):
                query = {"customer_id": VICTIM, **({"cursor": victims[cursor]} if "cursor" in names else {})}
                requests += [
                    (method, url, {"params": query, **({"json": body} if "requestBody" in operation else {})})
                    for body in (bodies if "requestBody" in operation else [{}])
                ]
    return requests


def test_requests_with_the_ids_of_another_customer_reveal_and_change_nothing(
    api: TestClient, medusa: FakeMedusa, victims: dict[str, str]
) -> None:
    before, codes = whole_view(api, VICTIM), set(medusa.live_codes())
    headers = {**tokens.customer(STRANGER), "idempotency-key": victims["Idempotency-Key"]}
    tried = attempts(api, victims)
    assert len(tried) > 20
    theirs = {victims[name] for name in ("redemption_id", "code", "order_id", "customer_id")}
    for method, url, more in tried:
        response = api.request(method, url, headers=headers, **more)
        assert response.status_code < 500
        # An error response may repeat the parameters of its request, but nothing else.
        asked = "" if response.is_success else f"{url} {more}"
        assert not [secret for secret in theirs if secret in response.text and secret not in asked], (method, url, more)
    assert whole_view(api, VICTIM) == before
    assert set(medusa.live_codes()) == codes
    assert [view.get("balance", 0) for view in whole_view(api, STRANGER)[1:2]] == [0]


def test_an_object_of_another_customer_gets_the_response_of_one_that_does_not_exist(
    api: TestClient, victims: dict[str, str]
) -> None:
    """A different response would reveal that the object exists."""
    headers = tokens.customer(STRANGER)
    for method in ("GET", "DELETE"):
        theirs = api.request(method, f"/store/dust/redemptions/{victims['redemption_id']}", headers=headers)
        nobodys = api.request(method, "/store/dust/redemptions/red_0000000000000000000000000A", headers=headers)
        assert (theirs.status_code, theirs.json()["code"]) == (nobodys.status_code, nobodys.json()["code"])
    theirs = api.get(f"/store/dust/orders/{victims['order_id']}", headers=headers)
    nobodys = api.get("/store/dust/orders/order_0000000000000000000000000A", headers=headers)
    assert (theirs.status_code, theirs.json()) == (nobodys.status_code, nobodys.json())
    assert theirs.status_code == 404
    for path, more in (("quote", {}), ("redemptions", {"dust": 100}), ("quote/guest", {})):
        for cart_id in (victims["cart_id"], "cart_9"):
            body, key = {"cart_id": cart_id, **more}, {"idempotency-key": cart_id}
            response = api.post(f"/store/dust/{path}", json=body, headers={**headers, **key})
            assert (response.status_code, response.json()["code"]) == (404, "unknown_cart"), (path, response.text)
