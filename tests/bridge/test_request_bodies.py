"""Bodies that are no JSON object, or too large: the error says what to send instead, and is short."""

import json
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from bridge.http.body_limits import MAX_BYTES, TooSlow
from tests.support import tokens
from tests.support.ledger import give

CALLS = {
    "PUT /admin/dust/programme": tokens.admin,
    "POST /admin/dust/events/retry": tokens.admin,
    "POST /store/dust/quote": tokens.customer,
    "POST /store/dust/quote/guest": dict,
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> tuple[str, str, dict[str, str]]:
    method, path = request.param.split()
    return method, path, CALLS[request.param]()


def test_a_body_of_unknown_length_is_413_once_it_is_too_long(
    api: TestClient, call: tuple[str, str, dict[str, str]]
) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 65_536

    method, path, headers = call
    headers = {**headers, "content-type": "application/json"}
    response = api.request(method, path, content=chunks(), headers=headers)
    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert response.json()["max_bytes"] == MAX_BYTES


def test_a_body_that_takes_too_long_is_408(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(_: object) -> bytes:
        raise TooSlow

    monkeypatch.setattr("starlette.requests.Request.body", body)
    response = api.post("/store/dust/quote", json={}, headers=tokens.customer())
    assert (response.status_code, response.json()["code"]) == (408, "too_slow")


def test_the_limits_of_a_body_are_documented_wherever_one_is_taken(api: TestClient) -> None:
    operations = [
        operation for path in api.get("/openapi.json").json()["paths"].values() for operation in path.values()
    ]
    with_body = [operation for operation in operations if "requestBody" in operation]
    assert len(with_body) > 15
    assert [
        operation["operationId"]
        for operation in with_body
        if not {"400", "408", "413"} <= operation["responses"].keys()
    ] == []


@pytest.mark.parametrize(
    "given", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ";;"]
)
def test_another_content_type_is_named(
    api: TestClient, call: tuple[str, str, dict[str, str]], given: str | None
) -> None:
    method, path, headers = call
    response = api.request(
        method, path, content=b"{}", headers=headers if given is None else {**headers, "content-type": given}
    )
    assert response.status_code == 422
    assert response.json()["errors"] == [{"field": "Content-Type", "message": "must be application/json"}]


@pytest.mark.parametrize(
    "given", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"]
)
def test_json_by_any_of_its_names_is_fine(api: TestClient, given: str) -> None:
    headers = {**tokens.admin(), "content-type": given}
    assert api.put("/admin/dust/programme", content=b"{}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("quote", {"amount": "10"}),
        ("forecast", {"items": [{"product_id": "prod_1", "amount": "10"}]}),
        ("redemptions", {"dust": 5}),
    ],
)
def test_a_shoppers_currency_may_be_in_upper_case(api: TestClient, path: str, body: dict[str, object]) -> None:
    give(10)
    headers = {**tokens.customer(), "Idempotency-Key": "once"}
    lower, upper = (
        api.post(f"/store/dust/{path}", json=body | {"currency_code": code}, headers=headers) for code in ("eur", "EUR")
    )
    assert lower.status_code < 300, lower.text
    assert (upper.status_code, upper.json()) == (lower.status_code, lower.json())


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"a": 1,}', "at character 8"),
        (b"{'a': 1}", "at character 1"),
        (b'{"a": "line\nbreak"}', "at character 11"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
        (b"[" * 100_000, "brackets"),
    ],
)
def test_what_is_no_json_is_400_and_says_where(
    api: TestClient, call: tuple[str, str, dict[str, str]], body: bytes, detail: str
) -> None:
    method, path, headers = call
    response = api.request(method, path, content=body, headers={**headers, "content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (400, "invalid_json")
    assert detail in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/store/dust/quote", {"amount": "5", "currency_code": "x" * 900_000}),
        ("PUT", "/admin/dust/programme", {"tiers": {"currency_code": "x" * 900_000}}),
        ("PUT", "/admin/dust/programme", {"earn": {"rates": {"x" * 900_000: "1"}}}),
        ("PUT", "/admin/dust/programme", {"redeem": {"rewards": [{"currency_codes": ["x" * 900_000]}]}}),
    ],
)
def test_a_wrong_value_of_a_megabyte_is_not_sent_back(api: TestClient, method: str, path: str, body: object) -> None:
    headers = tokens.customer() if path.startswith("/store") else tokens.admin()
    response = api.request(
        method, path, content=json.dumps(body), headers={**headers, "content-type": "application/json"}
    )
    assert response.status_code == 422
    assert len(response.content) < 5_000


def test_an_unknown_parameter_of_sixty_thousand_characters_is_not_sent_back(api: TestClient) -> None:
    response = api.get(f"/store/dust/products?{'x' * 60_000}=1")
    assert response.status_code == 422
    assert len(response.content) < 5_000
