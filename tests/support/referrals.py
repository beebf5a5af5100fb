"""Referral codes: a customer `cus_old` refers a customer `cus_new`."""

from datetime import timedelta
from typing import Any

import httpx
from fastapi.testclient import TestClient

from tests.support import tokens
from tests.support.orders import PLACED, order
from tests.support.settling import history, set_rules

REFERRAL = "/store/dust/referral"


def set_referral_bonus(**more: Any) -> None:
    set_rules(bonuses={"referral": {"referrer": 200, "referred": 50, **more}})


def referral_of(api: TestClient, customer_id: str) -> dict[str, Any]:
    response = api.get(REFERRAL, headers=tokens.customer(customer_id))
    assert response.status_code == 200, response.text
    referral: dict[str, Any] = response.json()
    return referral


def state_referral(api: TestClient, customer_id: str, code: str) -> httpx.Response:
    return api.post(REFERRAL, json={"code": code}, headers=tokens.customer(customer_id))


def refer(api: TestClient, new: str = "cus_new", by: str = "cus_old") -> None:
    """The new customer enters the old one's code."""
    response = state_referral(api, new, referral_of(api, by)["code"])
    assert response.status_code == 201, response.text


def bought(number: int = 1, *, by: str = "cus_new", paid: bool = True, **more: Any) -> dict[str, Any]:
    """An order of the referred customer, an hour later for each number."""
    placed = PLACED + timedelta(hours=number)
    status = "captured" if paid else "authorized"
    return order(f"order_{number}_{by}", customer_id=by, placed=placed, payment_status=status, **more)


def bonuses() -> tuple[int, int]:
    """Points of the old and the new customer that are not from orders."""
    return tuple(  # type: ignore[return-value]
        sum(amount for kind, amount in history(customer_id) if kind != "earn") for customer_id in ("cus_old", "cus_new")
    )
