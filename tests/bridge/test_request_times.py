"""Times in requests are ISO 8601 with a zone. A number is refused: it was read as seconds since 1970."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.admin_api import call, fields
from tests.support.deliveries import deliver
from tests.support.medusa import FakeMedusa

RIGHT = "must be a time with its zone, such as 2026-12-01T12:00:00Z"
# The first two were days in 1970, so that a report was of that day and a multiplier never applied.
WRONG = ["20261201", "1764547200", "1764547200000", "+17.5", "2026-12-01", "2026-12-01T12:00:00", "soon", "١٢"]
WRONG_IN_JSON = [*WRONG, "", 20261201, 1764547200.5, True, [], {}]

QUERIES = [
    ("/admin/dust/reports/liability", "at"),
    ("/admin/dust/reports/forecasts", "since"),
    ("/admin/dust/events", "since"),
    ("/admin/dust/events", "until"),
    ("/admin/dust/customers", "active_since"),
    ("/admin/dust/customers", "active_until"),
]
BODIES: list[tuple[str, str, str, Any]] = [
    ("POST", "/admin/dust/reconcile", "since", lambda time: {"since": time}),
    ("POST", "/admin/dust/events/retry", "until", lambda time: {"until": time}),
    ("POST", "/admin/dust/outgoing-webhooks/replay", "since", lambda time: {"since": time, "dry_run": True}),
    ("POST", "/admin/dust/programme/simulate", "since", lambda time: {"since": time, "document": {}}),
    (
        "POST",
        "/admin/dust/programme/drafts",
        "starts_at",
        lambda time: {"name": "a", "document": {}, "based_on": 0, "starts_at": time},
    ),
    (
        "PUT",
        "/admin/dust/programme",
        "earn.multipliers.0.starts_at",
        lambda time: {"earn": {"multipliers": [{"name": "a", "factor": "2", "starts_at": time}]}},
    ),
]
# The first and the last that Python has, in the zones in which they are out of its range in UTC.
EXTREMES = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]


@pytest.mark.parametrize(("path", "field"), QUERIES)
def test_a_time_in_a_query_is_read_or_refused_by_name(api: TestClient, path: str, field: str) -> None:
    for wrong in WRONG:
        answer = call(api, "GET", path, params={field: wrong})
        assert (fields(answer), answer.json()["errors"][0]["message"]) == ({field}, RIGHT), wrong
    for right in ("2027-05-12T10:00:00Z", "2027-05-12T10:00:00.123+02:00", "2027-05-12 10:00Z"):
        assert call(api, "GET", path, params={field: right}).status_code == 200, right
    for extreme in EXTREMES:
        assert call(api, "GET", path, params={field: extreme}).status_code in {200, 422}, extreme


@pytest.mark.parametrize(("method", "path", "field", "body"), BODIES, ids=[path for _, path, *_ in BODIES])
def test_a_time_in_a_body_is_read_or_refused_by_name(
    api: TestClient, medusa: FakeMedusa, method: str, path: str, field: str, body: Any
) -> None:
    for wrong in WRONG_IN_JSON:
        answer = call(api, method, path, json=body(wrong))
        assert (fields(answer), answer.json()["errors"][0]["message"]) == ({field}, RIGHT), wrong
    assert call(api, method, path, json=body("2027-05-12T23:00:00+02:00")).status_code < 500
    for extreme in EXTREMES:
        assert call(api, method, path, json=body(extreme)).status_code < 500, extreme


@pytest.mark.parametrize("wrong", [1764547200, 1764547200.5, "1764547200", "20261201", None, True, "2027-05-12"])
def test_an_event_whose_timestamp_is_not_iso_8601_is_refused(api: TestClient, wrong: Any) -> None:
    body = json.dumps({"type": "order.placed", "timestamp": wrong, "data": {"id": "order_1"}}).encode()
    answer = deliver(api, body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (400, "malformed_event", "timestamp")
    assert RIGHT in answer.json()["detail"]
