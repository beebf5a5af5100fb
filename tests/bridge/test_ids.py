"""Ids cannot lead to another path of Medusa: an invalid id is refused at once and never sent."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.ids import CustomerId, OrderId, ProductId
from bridge.medusa.client import get_medusa
from bridge.medusa.errors import UnknownInMedusa
from tests.support import tokens
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa
from tests.support.orders import event

NOT_IDS = [
    "../regions",
    "../../admin/users",
    "..",
    ".",
    "cart_1/promotions",
    "cart_1?fields=*",
    "cart_1#",
    "cart_1%2F..",
    "cart\\1",
    "cart_1\n",
    "a" * 256,
    "",
]


@pytest.mark.parametrize("not_an_id", NOT_IDS)
def test_the_store_api_refuses_an_invalid_id_without_calling_medusa(
    api: TestClient, medusa: FakeMedusa, not_an_id: str
) -> None:
    headers = {**tokens.customer(), "Idempotency-Key": "key"}
    requests: list[tuple[str, dict[str, Any], str]] = [
        ("/store/dust/quote", {"cart_id": not_an_id}, "cart_id"),
        ("/store/dust/redemptions", {"cart_id": not_an_id, "dust": 100}, "cart_id"),
        ("/store/dust/redemptions", {"cart_id": not_an_id, "pay": "dust_only"}, "cart_id"),
        ("/store/dust/redemptions", {"items": [{"product_id": not_an_id, "quantity": 1}]}, "items.0.product_id"),
    ]
    for path, requested, field in requests:
        response = api.post(path, json=requested, headers=headers)
        assert response.status_code == 422, (path, requested)
        assert field in {error["field"] for error in response.json()["errors"]}
    assert medusa.calls == []


@pytest.mark.parametrize("not_an_id", NOT_IDS)
@pytest.mark.parametrize("type_", ["order.updated", "payment.captured", "customer.updated", "product.deleted"])
def test_the_inbox_refuses_an_invalid_id_with_its_field(
    api: TestClient, medusa: FakeMedusa, type_: str, not_an_id: str
) -> None:
    response = deliver(api, event(type_, {"id": not_an_id}))
    assert (response.status_code, response.json()["field"]) == (400, "data.id")
    assert medusa.calls == []


@pytest.mark.parametrize("not_an_id", NOT_IDS)
def test_the_client_never_sends_an_invalid_id(medusa: FakeMedusa, not_an_id: str) -> None:
    client = get_medusa()
    for call in (
        lambda: client.order(OrderId(not_an_id)),
        lambda: client.customer(CustomerId(not_an_id)),
        lambda: client.order_id_of_payment(not_an_id),
        lambda: client.cart(not_an_id),
        lambda: client.add_codes_to_cart(not_an_id, ["CODE"]),
        lambda: client.remove_codes_from_cart(not_an_id, ["CODE"]),
        lambda: client.product_with_prices(ProductId(not_an_id)),
        lambda: client.set_product_metadata(ProductId(not_an_id), {}),
    ):
        with pytest.raises(UnknownInMedusa):
            call()
    client.delete_promotion(not_an_id)
    assert medusa.calls == []
