"""The API conforms to its OpenAPI schema, tested with Schemathesis: valid calls and invalid ones."""

import re
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support import tokens
from tests.support.deliveries import deliver, signed_headers
from tests.support.medusa import FakeMedusa, cart_line
from tests.support.orders import event, line, order, order_event

# For each operation and mode; all together stay under a minute.
EXAMPLES = 20
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


@pytest.fixture
def stocked_api(api: TestClient, medusa: FakeMedusa) -> TestClient:
    """An API with rows in every table, so that lists are not empty."""
    medusa.add_cart(lines=[cart_line("prod_mug"), cart_line()])
    deliver(api, order_event(order(lines=[line(price=1000)])), event_id="msg_1")
    deliver(api, event("cart.updated", {"id": "cart_1"}), event_id="msg_2")
    give = {"amount": 100_000, "reason": "gift"}
    admin = {**tokens.admin(), "Idempotency-Key": "k"}
    api.post("/admin/dust/customers/cus_1/adjustments", json=give, headers=admin)
    api.put("/admin/dust/products/prod_mug", json={"dust_only": True, "dust_price": 5}, headers=admin)
    api.put("/admin/dust/programme", json={}, headers=admin)
    requested = {"dust": 500, "currency_code": "eur"}
    api.post("/store/dust/redemptions", json=requested, headers={**tokens.customer(), "Idempotency-Key": "k"})
    return api


def headers_for(case: Any) -> dict[str, str]:
    """Credentials that the path requires. Half of the webhooks have a valid signature."""
    if case.path.startswith("/admin"):
        return tokens.admin()
    if case.path.startswith("/webhooks"):
        return signed_headers(b"") if case.body is None else {}
    return tokens.customer()


@pytest.mark.system
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_response_conforms_to_the_schema(stocked_api: TestClient, mode: GenerationMode) -> None:
    app = stocked_api.app
    assert isinstance(app, FastAPI)
    load_all_checks()
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) >= 25
    answered = sum(_try(operation, mode) for operation in operations)
    assert answered > 20 * EXAMPLES / 2


def _try(operation: Any, mode: GenerationMode) -> int:
    """The number of calls whose response conforms to the schema."""
    answered = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis_settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def calls(case: Any) -> None:
        nonlocal answered
        answer = case.call(headers=headers_for(case))
        case.validate_response(answer, checks=CHECKS)
        answered += 1

    # An operation without parameters has no invalid calls.
    with suppress(Unsatisfiable):
        calls()
    return answered


def test_every_error_of_the_schema_is_a_problem_document(api: TestClient) -> None:
    document = api.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
                    schema = answer["content"]["application/problem+json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Problem"}, (method, path, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_operation_has_a_stable_name_and_says_who_may_call_it(api: TestClient) -> None:
    schema = api.get("/openapi.json").json()
    assert schema["servers"][0]["url"] == "/"
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    names = [operation["operationId"] for _, operation in operations]
    assert sorted(names) == sorted(set(names))
    assert {"redeem", "quote", "read_own_balance", "retry_event", "retry_outgoing_webhook"} <= set(names)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
    assert {name for name, operation in operations if not operation["security"]} == {
        "POST /webhooks/medusa", "GET /store/dust/programme", "GET /store/dust/rewards", "GET /store/dust/products",
        "POST /store/dust/quote/guest", "GET /health/live", "GET /health/ready",
    }  # fmt: skip


def test_an_idempotency_key_is_required_where_the_schema_says_so(api: TestClient, medusa: FakeMedusa) -> None:
    keys = 0
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", []):
                if parameter["name"].lower() == "idempotency-key":
                    keys += 1
                    assert parameter["required"], path
                    assert parameter["schema"]["maxLength"] == 255
                    headers = tokens.admin() if path.startswith("/admin") else tokens.customer()
                    bodies = {
                        "adjust": {"amount": 1, "reason": "gift"},
                        "give": {"customer_id": "cus_1", "amount": 1, "reason": "gift"},
                        "redeem": {"dust": 5, "currency_code": "eur"},
                    }
                    path_of_one = path.format(customer_id="cus_1")
                    response = api.request(method, path_of_one, json=bodies[operation["operationId"]], headers=headers)
                    assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_missing")
    assert keys == 3


def test_a_head_is_answered_as_the_get_without_its_body(api: TestClient, medusa: FakeMedusa) -> None:
    """It was a 405 everywhere but at the health checks. Medusa and its plugin answer it."""
    for path in api.get("/openapi.json").json()["paths"]:
        headers = tokens.admin() if path.startswith("/admin") else tokens.customer()
        get, head = (api.request(method, path, headers=headers) for method in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (get.status_code, b""), path
        for header in ("content-length", "content-type", "cache-control", "etag"):
            assert head.headers.get(header) == get.headers.get(header), (path, header)


def test_a_path_with_a_slash_at_its_end_is_not_redirected(api: TestClient) -> None:
    """It was redirected to the host and scheme of the request: a token could go out in clear, or to another host."""
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        for method in operations:
            response = api.request(method, f"{path}/", headers={"host": "other.example"}, follow_redirects=False)
            # An event's id may have slashes in it, so below `/admin/dust/events/` any path is an event's.
            expected = {401, 405} if path.startswith("/admin/dust/events") else {404}
            assert response.status_code in expected, (method, path)
            assert "location" not in response.headers
            assert response.headers["content-type"] == "application/problem+json"
