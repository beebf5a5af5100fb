"""Points prices are copied into Medusa's products, independently of each other."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.support import tokens
from tests.support.clock import advance
from tests.support.medusa import Answer, FakeMedusa
from workers.products import mirror

PRODUCTS = "/admin/dust/products"
COUNT = 8


def set_price(api: TestClient, product_id: str, price: int) -> None:
    api.put(f"{PRODUCTS}/{product_id}", json={"dust_price": price}, headers=tokens.admin()).raise_for_status()


def read(api: TestClient, product_id: str) -> dict[str, Any]:
    return dict(api.get(f"{PRODUCTS}/{product_id}", headers=tokens.admin()).json())


@pytest.fixture
def products(api: TestClient, medusa: FakeMedusa) -> list[str]:
    ids = [f"prod_{number}" for number in range(COUNT)]
    for product_id in ids:
        medusa.products[product_id] = {"id": product_id, "metadata": {}}
        set_price(api, product_id, 300)
    return ids


def fail(medusa: FakeMedusa, how: int | Exception, *product_ids: str) -> None:
    def before(method: str, path: str, query: dict[str, Any]) -> Answer | None:
        if path.rpartition("/")[2] not in product_ids:
            return None
        if isinstance(how, Exception):
            raise how
        return how, {"type": "unknown_error", "message": "An unknown error occurred."}

    medusa.before = before


FAILURES = [500, 502, 503, 429, httpx.ReadTimeout("slow"), httpx.ConnectError("no"), httpx.RemoteProtocolError("cut")]


@pytest.mark.parametrize("how", FAILURES, ids=str)
def test_products_that_fail_have_a_reason_and_do_not_stop_the_others(
    api: TestClient, medusa: FakeMedusa, products: list[str], how: int | Exception
) -> None:
    bad = products[:2] + products[4:6]
    fail(medusa, how, *bad)
    # The second sweep begins with those that did not fail.
    assert mirror() + mirror() == COUNT - len(bad)
    assert [read(api, product)["mirrored"] for product in products] == [product not in bad for product in products]
    for product_id in bad:
        assert "Medusa" in read(api, product_id)["mirror_error"]
    medusa.before = None
    advance(timedelta(minutes=1))
    assert mirror() == len(bad)
    assert {read(api, product)["mirror_error"] for product in products} == {None}


def test_a_product_that_keeps_failing_is_tried_less_often(
    api: TestClient, medusa: FakeMedusa, products: list[str]
) -> None:
    fail(medusa, 500, products[0])
    minutes = 60
    for _ in range(2 * minutes):
        mirror()
        advance(timedelta(seconds=30))
    # Of 120 sweeps: five while the wait grows to ten minutes, and then each ten minutes or so.
    assert 8 <= medusa.calls.count(("POST", f"/admin/products/{products[0]}")) <= 16
    set_price(api, products[0], 301)
    calls = len(medusa.calls)
    mirror()
    assert len(medusa.calls) == calls + 1, "a new price is tried at once"


def test_a_medusa_that_is_away_is_not_asked_for_each_product(medusa: FakeMedusa, products: list[str]) -> None:
    medusa.away = True
    medusa.calls.clear()
    mirror()
    assert len(medusa.calls) < COUNT
    medusa.away = False
    assert mirror() == COUNT
