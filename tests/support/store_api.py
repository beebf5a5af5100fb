"""Calls of a customer to the store API."""

from typing import Any

import httpx
from fastapi.testclient import TestClient

from bridge.ids import new_id
from bridge.medusa.client import get_medusa
from bridge.redemptions.medusa_sync import advance
from tests.support import tokens

FIVE_EUR = {"dust": 500, "currency_code": "eur"}


def redeem(
    api: TestClient, request: dict[str, Any], *, key: str | None = None, customer_id: str = "cus_1"
) -> httpx.Response:
    headers = {**tokens.customer(customer_id), "Idempotency-Key": key or new_id("key")}
    return api.post("/store/dust/redemptions", json=request, headers=headers)


def redeemed(api: TestClient, request: dict[str, Any], **how: Any) -> dict[str, Any]:
    """Redeem, and advance the redemption until Medusa has its promotion."""
    response = redeem(api, request, **how)
    assert response.status_code == 202, response.text
    advance(response.json()["redemption"]["id"], get_medusa())
    return show(api, response.json()["redemption"]["id"])


def show(api: TestClient, redemption_id: str) -> dict[str, Any]:
    response = api.get(f"/store/dust/redemptions/{redemption_id}", headers=tokens.customer())
    redemption: dict[str, Any] = response.json()["redemption"]
    return redemption


def delete(api: TestClient, redemption_id: str) -> httpx.Response:
    return api.delete(f"/store/dust/redemptions/{redemption_id}", headers=tokens.customer())


def figures(api: TestClient) -> tuple[int, int, int]:
    """Balance, held and available points."""
    balance = api.get("/store/dust/balance", headers=tokens.customer()).json()
    return balance["balance"], balance["held"], balance["available"]


def quote(api: TestClient, cart_id: str = "cart_1") -> dict[str, Any]:
    response = api.post("/store/dust/quote", json={"cart_id": cart_id}, headers=tokens.customer())
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body
