"""A gateway in front of Medusa answers instead of it: its JSON does not count as an answer about orders or carts."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.ids import CustomerId, OrderId, ProductId
from bridge.medusa.client import get_medusa
from bridge.medusa.errors import MedusaAway, MedusaRefused, UnknownInMedusa
from bridge.products.mirror import mirror_product
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.inbox import drain, state_of
from tests.support.medusa import FakeMedusa
from tests.support.orders import event
from tests.support.store_api import delete, figures, redeemed

GATEWAYS: dict[str, tuple[int, Any]] = {
    "Kong without a route": (404, {"message": "no Route matched with those values"}),
    "an API gateway of AWS": (404, {"message": "Not Found"}),
    "another service": (404, {"error": "not found", "status": 404}),
    "an empty object": (404, {}),
    "a problem document": (404, {"type": "about:blank", "title": "Not Found", "status": 404}),
    "a firewall": (405, {"message": "Method not allowed"}),
    "a proxy that knows better": (400, {"error": "bad request"}),
    "a limit of the gateway": (413, {"error": "too large"}),
    "a page for everything": (200, {"status": "ok"}),
    "not found by another name": (400, {"type": "not_found", "message": "no"}),
}


@pytest.fixture(params=GATEWAYS)
def gateway(request: pytest.FixtureRequest) -> tuple[int, Any]:
    return GATEWAYS[request.param]


def test_refusals_of_a_gateway_are_not_those_of_medusa(medusa: FakeMedusa, gateway: tuple[int, Any]) -> None:
    medusa.before = lambda *_: gateway
    client = get_medusa()
    for call in (
        lambda: client.order(OrderId("order_1")),
        lambda: client.customer(CustomerId("cus_1")),
        lambda: client.cart("cart_1"),
        lambda: client.codes_in_cart("cart_1"),
        lambda: client.product_with_prices(ProductId("prod_1")),
        lambda: client.promotions_by_code(["CODE"]),
        lambda: client.delete_promotion("promo_1"),
        lambda: client.create_promotion({}),
    ):
        with pytest.raises(MedusaAway, match="is not Medusa"):
            call()


def test_refusals_of_medusa_are_recognised(medusa: FakeMedusa) -> None:
    with pytest.raises(UnknownInMedusa):
        get_medusa().order(OrderId("order_1"))
    medusa.before = lambda *_: (400, {"type": "invalid_data", "message": "no"})
    with pytest.raises(MedusaRefused):
        get_medusa().create_promotion({})


def test_a_promotion_that_could_not_be_deleted_frees_no_points(
    api: TestClient, medusa: FakeMedusa, gateway: tuple[int, Any]
) -> None:
    given = {"amount": 500, "reason": "gift"}
    api.post("/admin/dust/customers/cus_1/adjustments", json=given, headers={**tokens.admin(), "Idempotency-Key": "k"})
    redemption = redeemed(api, {"dust": 500, "currency_code": "eur"})
    medusa.before = lambda method, *_: gateway if method == "DELETE" else None
    assert delete(api, redemption["id"]).status_code == 503
    assert medusa.live_codes() == {redemption["code"]}
    assert figures(api) == (500, 500, 0)
    medusa.before = None
    assert delete(api, redemption["id"]).status_code == 200
    assert (medusa.live_codes(), figures(api)) == (set(), (500, 0, 500))


def test_an_event_waits_for_medusa(api: TestClient, medusa: FakeMedusa, gateway: tuple[int, Any]) -> None:
    medusa.before = lambda *_: gateway
    deliver(api, event("order.placed", {"id": "order_1"}), event_id="msg_1")
    drain()
    assert state_of("msg_1") == "pending"


def test_a_price_is_mirrored_later(api: TestClient, medusa: FakeMedusa, gateway: tuple[int, Any]) -> None:
    medusa.add_product("prod_1", 5.0)
    api.put("/admin/dust/products/prod_1", json={"dust_price": 5}, headers=tokens.admin())
    medusa.before = lambda *_: gateway
    with pytest.raises(MedusaAway):
        mirror_product(ProductId("prod_1"), get_medusa(), now=now())
    medusa.before = None
    assert mirror_product(ProductId("prod_1"), get_medusa(), now=now())
