"""Rate limits on public requests and on those that call Medusa."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from bridge.app import create_app
from bridge.http.rate_limits import LIMITED
from bridge.settings import SettingsError, get_settings, load_settings
from tests.support import tokens
from tests.support.clock import moved
from tests.support.medusa import FakeMedusa, cart_line

QUOTE = {"amount": "10.00", "currency_code": "eur"}


@pytest.fixture
def api(settings: dict[str, str], medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """An API with low limits."""
    monkeypatch.setenv("DUST_RATE_LIMIT_PUBLIC", "3/minute")
    monkeypatch.setenv("DUST_RATE_LIMIT_GUESTS", "2/minute")
    monkeypatch.setenv("DUST_RATE_LIMIT_CUSTOMERS", "2/minute")
    get_settings.cache_clear()
    with TestClient(create_app(), raise_server_exceptions=False) as client:
        yield client


def test_answers_say_how_many_requests_are_left(api: TestClient) -> None:
    answers = [api.get("/store/dust/products") for _ in range(4)]
    assert [response.status_code for response in answers] == [200, 200, 200, 429]
    assert [response.headers["RateLimit-Remaining"] for response in answers] == ["2", "1", "0", "0"]
    assert {response.headers["RateLimit-Limit"] for response in answers} == {"3"}
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "too_many_requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"]
    # Another kind of request has its own count.
    assert api.get("/store/dust/rewards").status_code == 200


def test_the_count_starts_again_after_its_time(api: TestClient) -> None:
    for _ in range(4):
        last = api.get("/store/dust/products")
    assert last.status_code == 429
    with moved(timedelta(seconds=61)):
        assert api.get("/store/dust/products").status_code == 200


def test_a_clock_that_is_set_back_refuses_no_request(api: TestClient) -> None:
    with moved(timedelta(days=1)):
        for _ in range(4):
            last = api.get("/store/dust/products")
    assert last.status_code == 429
    answers = [api.get("/store/dust/products") for _ in range(4)]
    assert [response.status_code for response in answers] == [200, 200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) <= 60


def test_customers_are_counted_apart(api: TestClient) -> None:
    def quote(customer_id: str) -> int:
        return api.post("/store/dust/quote", json=QUOTE, headers=tokens.customer(customer_id)).status_code

    assert [quote("cus_1"), quote("cus_1"), quote("cus_1"), quote("cus_2")] == [200, 200, 429, 200]


def test_a_wrong_token_does_not_avoid_the_limit(api: TestClient) -> None:
    def quote(number: int) -> int:
        headers = {"Authorization": f"Bearer not-a-token-{number}"}
        return api.post("/store/dust/quote", json=QUOTE, headers=headers).status_code

    assert [quote(number) for number in range(4)] == [401, 401, 429, 429]


def test_guests_are_counted_by_address(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.add_cart(lines=[cart_line()], customer_id=None)
    answers = [api.post("/store/dust/quote/guest", json={"cart_id": "cart_1"}) for _ in range(3)]
    assert [response.status_code for response in answers] == [200, 200, 429]


def test_an_ipv6_network_counts_as_one_address(api: TestClient) -> None:
    def read(address: str) -> int:
        client = TestClient(api.app, client=(address, 50000))
        return client.get("/store/dust/products").status_code

    of_one_network = [read(f"2001:db8:1:2::{number}") for number in range(4)]
    assert of_one_network == [200, 200, 200, 429]
    assert read("2001:db8:1:3::1") == 200


def test_ipv4_addresses_that_are_written_as_ipv6_are_counted_apart(api: TestClient) -> None:
    def read(address: str) -> int:
        client = TestClient(api.app, client=(address, 50000))
        return client.get("/store/dust/products").status_code

    assert [read("::ffff:192.0.2.1") for _ in range(4)] == [200, 200, 200, 429]
    assert read("192.0.2.1") == 429
    assert read("::ffff:192.0.2.2") == 200


def test_releases_of_different_redemptions_count_together(api: TestClient) -> None:
    def release(number: int) -> int:
        path = f"/store/dust/redemptions/dred_{number}"
        return api.delete(path, headers=tokens.customer()).status_code

    assert [release(number) for number in range(3)] == [404, 404, 429]


def test_what_is_neither_public_nor_calls_medusa_has_no_limit(api: TestClient) -> None:
    for path in ("/store/dust", "/store/dust/balance", "/health/live"):
        answers = [api.get(path, headers=tokens.customer()) for _ in range(10)]
        assert {response.status_code for response in answers} == {200}
        assert "RateLimit-Limit" not in answers[0].headers


def test_a_limit_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUST_RATE_LIMIT_GUESTS", "a few")
    with pytest.raises(SettingsError, match="DUST_RATE_LIMIT_GUESTS: must be a number and a time"):
        load_settings(join_running=False)


def test_all_public_requests_and_all_that_change_something_are_limited(api: TestClient) -> None:
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/store/dust") and (method != "get" or operation["security"] == []):
                key = (method.upper(), path.removesuffix("{redemption_id}"))
                assert key in LIMITED, f"{method} {path} has no limit in bridge/http/rate_limits.py"
                assert "429" in operation["responses"], f"{method} {path} does not document 429"
