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
    """What the first customer has, by the name of the parameter that takes it."""
    orders = [order(f"order_{number}", customer_id=VICTIM, lines=[line(price=500)]) for number in range(3)]
    for number, known in enumerate(orders):
        deliver(api, order_event(known), event_id=f"msg_{number}")
    process_batch()
    medusa.add_cart("cart_1", customer_id=VICTIM, lines=[cart_line()])
    mine = tokens.customer(VICTIM)
    for key in (KEY, "another"):
        requested = {"dust": 100, "currency_code": "eur"}
        answer = api.post("/store/dust/redemptions", json=requested, headers={**mine, "idempotency-key": key})
        redemption = answer.json()["redemption"]
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
    """Everything that the store side shows a customer."""
    paths = ("/store/dust", "/store/dust/balance", "/store/dust/transactions", "/store/dust/redemptions")
    return [api.get(path, headers=tokens.customer(customer_id)).json() for path in paths]


def attempts(api: TestClient, victims: dict[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every call of the store side, with the other's ids wherever something is asked for."""
    bodies: list[dict[str, Any]] = [
        {"cart_id": victims["cart_id"]},
        {"cart_id": victims["cart_id"], "dust": 100},
        {"cart_id": victims["cart_id"], "dust": "max"},
        {"dust": 100, "currency_code": "eur", "customer_id": VICTIM, "order_id": victims["order_id"]},
        {"dust": 100, "currency_code": "eur"},
        {"code": victims["code"]},
    ]
    found = []
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        if not path.startswith("/store"):
            continue
        for method, operation in operations.items():
            names = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
            url = path.replace("{redemption_id}", victims["redemption_id"]).replace("{order_id}", victims["order_id"])
            assert "{" not in url, "say here whose id this new parameter is"
            for cursor in ("cursor", "cursor of redemptions"):
                query = {"customer_id": VICTIM, **({"cursor": victims[cursor]} if "cursor" in names else {})}
                found += [
                    (method, url, {"params": query, **({"json": body} if "requestBody" in operation else {})})
                    for body in (bodies if "requestBody" in operation else [{}])
                ]
    return found


def test_with_anothers_ids_nothing_is_learnt_and_nothing_moved(
    api: TestClient, medusa: FakeMedusa, victims: dict[str, str]
) -> None:
    before, codes = whole_view(api, VICTIM), set(medusa.live_codes())
    headers = {**tokens.customer(STRANGER), "idempotency-key": victims["Idempotency-Key"]}
    tried = attempts(api, victims)
    assert len(tried) > 20
    theirs = {victims[name] for name in ("redemption_id", "code", "order_id", "customer_id")}
    for method, url, more in tried:
        answer = api.request(method, url, headers=headers, **more)
        assert answer.status_code < 500
        # A refusal may repeat what it was asked for, nothing more.
        asked = "" if answer.is_success else f"{url} {more}"
        assert not [secret for secret in theirs if secret in answer.text and secret not in asked], (method, url, more)
    assert whole_view(api, VICTIM) == before
    assert set(medusa.live_codes()) == codes
    assert [view.get("balance", 0) for view in whole_view(api, STRANGER)[1:2]] == [0]


def test_nobody_elses_is_answered_as_what_does_not_exist(api: TestClient, victims: dict[str, str]) -> None:
    """An answer that differs would tell that it is there."""
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
            answer = api.post(f"/store/dust/{path}", json=body, headers={**headers, **key})
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_cart"), (path, answer.text)
