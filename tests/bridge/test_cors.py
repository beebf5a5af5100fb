"""A storefront in a browser that calls Dust directly, from an origin of `DUST_CORS_ORIGINS`."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from bridge.app import create_app
from bridge.settings import get_settings
from tests.support import tokens

SHOP = "https://shop.example"
PUBLIC, CUSTOMER = set[str](), {"authorization"}
CALLS = [
    ("GET", "/store/dust/products", {"if-none-match"}),
    ("HEAD", "/store/dust/products", PUBLIC),
    ("POST", "/store/dust/quote/guest", {"content-type"}),
    ("GET", "/store/dust/balance", CUSTOMER),
    ("POST", "/store/dust/redemptions", {*CUSTOMER, "content-type", "idempotency-key"}),
    ("DELETE", "/store/dust/redemptions/dred_1", CUSTOMER),
]


@pytest.fixture
def browser(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("DUST_CORS_ORIGINS", f"{SHOP}/,http://localhost:8000")
    get_settings.cache_clear()
    with TestClient(create_app(), headers={"origin": SHOP}) as client:
        yield client


@pytest.mark.parametrize(("method", "path", "headers"), CALLS)
def test_a_browser_may_make_every_call_of_a_storefront(
    browser: TestClient, method: str, path: str, headers: set[str]
) -> None:
    asked = {"access-control-request-method": method}
    if headers:
        asked["access-control-request-headers"] = ",".join(sorted(headers))
    preflight = browser.options(path, headers=asked)
    assert preflight.status_code == 200, preflight.text
    assert preflight.headers["access-control-allow-origin"] == SHOP
    assert method in preflight.headers["access-control-allow-methods"]


def test_a_browser_may_read_answers_and_errors(browser: TestClient) -> None:
    answers = {
        200: browser.get("/store/dust/balance", headers=tokens.customer()),
        401: browser.get("/store/dust/balance"),
        404: browser.get("/store/dust/redemptions/dred_1", headers=tokens.customer()),
        413: browser.post("/store/dust/quote", content=b" " * 2_000_000, headers=tokens.customer()),
        422: browser.get("/store/dust/products?limit=0"),
    }
    for status, response in answers.items():
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == SHOP, status
        assert {"etag", "retry-after"} <= set(response.headers["access-control-expose-headers"].split(", ")), status


def test_another_origin_gets_no_permission(browser: TestClient) -> None:
    other = {"origin": "https://other.example"}
    response = browser.get("/store/dust/balance", headers={**tokens.customer(), **other})
    assert "access-control-allow-origin" not in response.headers
    refused = browser.options("/store/dust/balance", headers={**other, "access-control-request-method": "GET"})
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
