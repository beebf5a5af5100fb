"""Simulations that a merchant requests: their states, their result, and a Medusa or worker that is away."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from bridge.clock import now
from bridge.db import transaction
from bridge.simulation import requests
from bridge.simulation.requests import KEPT_FOR, MAX_ATTEMPTS, MAX_OPEN, MAX_SECONDS
from tests.support import tokens
from tests.support.clock import moved
from tests.support.medusa import FakeMedusa
from tests.support.orders import line, order
from tests.support.settling import balance, set_rules, settle
from workers.simulations import run

DOUBLE = {"earn": {"rates": {"eur": "2"}}}


def request(api: TestClient, document: Any = None, **how: Any) -> Any:
    body = {"document": DOUBLE if document is None else document, "since": str(now() - timedelta(days=90)), **how}
    return api.post("/admin/dust/programme/simulate", json=body, headers=tokens.admin())


def requested(api: TestClient, **how: Any) -> str:
    response = request(api, **how)
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


def show(api: TestClient, simulation_id: str) -> dict[str, Any]:
    response = api.get(f"/admin/dust/programme/simulations/{simulation_id}", headers=tokens.admin())
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def have_orders(medusa: FakeMedusa, count: int = 3) -> None:
    for number in range(count):
        placed = now() - timedelta(days=number + 1)
        document = order(f"order_{number}", placed=placed, customer_id=f"cus_{number}", lines=[line(price=10)])
        medusa.orders[document["id"]] = document


def test_a_simulation_is_requested_run_and_read(api: TestClient, medusa: FakeMedusa) -> None:
    set_rules(earn={"rates": {"eur": "1"}})
    have_orders(medusa)
    response = request(api)
    assert response.status_code == 202
    first = response.json()
    assert (first["state"], first["result"], first["reason"]) == ("pending", None, None)
    assert response.headers["location"] == f"/admin/dust/programme/simulations/{first['id']}"
    assert show(api, first["id"]) == first
    assert run() == 1
    simulation = show(api, first["id"])
    assert (simulation["state"], simulation["reason"]) == ("done", None)
    result = simulation["result"]
    assert (result["orders"], result["now"], result["then"], result["difference"]) == (3, 30, 60, 30)
    assert (result["changed"], result["customers"], result["present_version"]) == (3, 3, 1)
    assert [(amount["name"], amount["then"]) for amount in result["by_currency"]] == [("eur", 60)]
    assert len(result["most_affected"]) == 3
    assert run() == 0


def test_a_simulation_books_nothing(api: TestClient, medusa: FakeMedusa) -> None:
    settle(order(placed=now() - timedelta(days=1)))
    have_orders(medusa)
    before = balance()
    requested(api)
    run()
    assert balance() == before
    assert api.get("/admin/dust/programme", headers=tokens.admin()).json()["version"] == 0


def test_a_wrong_document_is_refused_as_a_put_refuses_it(api: TestClient) -> None:
    wrong = {"earn": {"rates": {"eur": "-1"}, "pending_days": "soon"}}
    put = api.put("/admin/dust/programme", json=wrong, headers=tokens.admin())
    response = request(api, wrong)
    assert (response.status_code, response.json()["errors"]) == (put.status_code, put.json()["errors"])
    assert response.status_code == 422


def test_a_currency_that_the_shop_does_not_have_is_refused(api: TestClient, medusa: FakeMedusa) -> None:
    assert request(api, {"earn": {"rates": {"xyz": "1"}}}).status_code == 422


@pytest.mark.parametrize("how", [{"since": "2999-01-01T00:00:00Z"}, {"since": "2026-01-01T00:00:00"}, {"until": "x"}])
def test_wrong_times_are_refused(api: TestClient, how: dict[str, str]) -> None:
    response = request(api, **how)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] in how


def test_an_unknown_simulation_is_not_found(api: TestClient) -> None:
    response = api.get("/admin/dust/programme/simulations/dsim_1", headers=tokens.admin())
    assert (response.status_code, response.json()["code"]) == (404, "unknown_simulation")


def test_only_operators_may_simulate(api: TestClient) -> None:
    response = api.post("/admin/dust/programme/simulate", json={}, headers=tokens.customer())
    assert response.status_code == 401


def test_few_simulations_wait_at_a_time(api: TestClient, medusa: FakeMedusa) -> None:
    for _ in range(MAX_OPEN):
        requested(api)
    response = request(api)
    assert (response.status_code, response.json()["code"]) == (409, "too_many_simulations")
    assert run() == MAX_OPEN
    requested(api)


def test_a_simulation_waits_while_medusa_is_away_and_then_fails(api: TestClient, medusa: FakeMedusa) -> None:
    have_orders(medusa)
    simulation_id = requested(api)
    medusa.away = True
    for _ in range(MAX_ATTEMPTS):
        assert show(api, simulation_id)["state"] == "pending"
        assert run() == 0
    simulation = show(api, simulation_id)
    assert (simulation["state"], simulation["result"]) == ("failed", None)
    assert "503" in simulation["reason"]


def test_a_simulation_that_waited_is_done_when_medusa_is_back(api: TestClient, medusa: FakeMedusa) -> None:
    have_orders(medusa)
    simulation_id = requested(api)
    calls = 0

    def away_at_first(method: str, path: str, body: dict[str, Any]) -> Any:
        nonlocal calls
        calls += path == "/admin/orders"
        return (503, {"message": "away"}) if path == "/admin/orders" and calls == 1 else None

    medusa.before = away_at_first
    assert run() == 0
    assert "503" in show(api, simulation_id)["reason"]
    assert run() == 1
    simulation = show(api, simulation_id)
    assert (simulation["state"], simulation["reason"]) == ("done", None)


def test_a_simulation_whose_worker_died_starts_again(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_orders(medusa)
    simulation_id = requested(api)

    def die(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(requests, "_run", die)
        with pytest.raises(SystemExit):
            run()
    assert show(api, simulation_id)["state"] == "running"
    assert run() == 0
    with moved(timedelta(seconds=MAX_SECONDS + 1)):
        assert run() == 1
    assert show(api, simulation_id)["state"] == "done"


def test_a_simulation_that_kills_its_workers_fails(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation_id = requested(api)

    def die(*_: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(requests, "_run", die)
    for attempt in range(MAX_ATTEMPTS):
        with moved(timedelta(seconds=attempt * (MAX_SECONDS + 1))), pytest.raises(SystemExit):
            run()
    with moved(timedelta(seconds=MAX_ATTEMPTS * (MAX_SECONDS + 1))):
        assert run() == 0
    simulation = show(api, simulation_id)
    assert (simulation["state"], simulation["result"]) == ("failed", None)
    assert simulation["reason"].startswith(f"It was started {MAX_ATTEMPTS} times")


def test_a_bug_ends_a_simulation_and_is_reported(
    api: TestClient, medusa: FakeMedusa, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation_id = requested(api)

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(requests, "_run", broken)
    with pytest.raises(ZeroDivisionError):
        run()
    assert show(api, simulation_id)["state"] == "failed"


def test_old_simulations_are_deleted(api: TestClient, medusa: FakeMedusa) -> None:
    old = requested(api)
    run()
    with moved(KEPT_FOR + timedelta(seconds=1)):
        requested(api)
        response = api.get(f"/admin/dust/programme/simulations/{old}", headers=tokens.admin())
        assert response.status_code == 404
        with transaction() as connection:
            assert connection.scalar(text("SELECT count(*) FROM programme_simulation")) == 1


def test_no_call_to_medusa_without_a_simulation(settings: dict[str, str], medusa: FakeMedusa) -> None:
    assert run() == 0
    assert medusa.calls == []


@pytest.mark.parametrize(
    ("field", "moment"),
    [
        ("since", "0001-01-01T00:00:00+14:00"),
        ("since", "1999-12-31T23:59:59Z"),
        ("until", "9999-12-31T23:59:59-14:00"),
    ],
)
def test_a_simulation_of_years_without_medusa_is_refused(api: TestClient, field: str, moment: str) -> None:
    body = {"document": {"earn": {"rates": {"eur": "1"}}}, "since": "2026-01-01T00:00:00Z", field: moment}
    response = api.post("/admin/dust/programme/simulate", json=body, headers=tokens.admin())
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, field)


def test_one_simulation_runs_at_a_time(api: TestClient, medusa: FakeMedusa) -> None:
    first, second = requested(api), requested(api)
    with transaction() as connection:
        started = requests._start(connection, now=now())
    assert started is not None
    assert started.id == first
    with transaction() as connection:
        assert requests._start(connection, now=now()) is None
    assert show(api, second)["state"] == "pending"
