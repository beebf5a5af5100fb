"""Calls of a merchant to the admin API, and rewards for a programme."""

from typing import Any

import httpx
from fastapi.testclient import TestClient

from tests.support import tokens

FIFTH = {"id": "fifth", "name": "A fifth off", "kind": "percentage", "dust": 400, "percent": "20"}
PARCEL = {"id": "parcel", "name": "Free shipping", "kind": "free_shipping", "dust": 300}
SHIRTS = {
    "id": "shirts",
    "name": "Two shirts",
    "kind": "free_product",
    "dust": 600,
    "product_id": "prod_shirt",
    "quantity": 2,
}


def reason_for_the_shop(api: TestClient, redemption_id: str) -> str:
    """Why the redemption failed or was released, as the merchant reads it."""
    listed = api.get("/admin/dust/redemptions", headers=tokens.admin()).json()["redemptions"]
    return next(str(redemption["reason"]) for redemption in listed if redemption["id"] == redemption_id)


def offer_rewards(api: TestClient, *rewards: dict[str, Any], **redeem_rules: Any) -> httpx.Response:
    """Save a programme with these rewards."""
    rules = {"redeem": {"rewards": list(rewards), **redeem_rules}}
    return api.put("/admin/dust/programme", json=rules, headers=tokens.admin())


def set_dust_only(api: TestClient, product_id: str = "prod_mug", price: int = 300) -> None:
    settings = {"dust_only": True, "dust_price": price}
    response = api.put(f"/admin/dust/products/{product_id}", json=settings, headers=tokens.admin())
    assert response.status_code == 200, response.text


def call(api: TestClient, method: str, path: str, **how: Any) -> httpx.Response:
    headers = {**tokens.admin(), **how.pop("headers", {})}
    return api.request(method, path, headers=headers, **how)


def fields(response: httpx.Response) -> set[str]:
    """The fields that a 422 names."""
    assert (response.status_code, response.json()["code"]) == (422, "invalid_fields"), response.text
    assert response.headers["content-type"] == "application/problem+json"
    return {error["field"] for error in response.json()["errors"]}
