"""Bonuses given by hand."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.support.admin_api import call, fields
from tests.support.clock import moved
from tests.support.settling import balance, history, set_rules
from workers.upkeep import mature_and_expire

BONUSES = "/admin/dust/bonuses"


def give(api: TestClient, *, key: str = "k", **requested: Any) -> httpx.Response:
    body = {"customer_id": "cus_1", "amount": 100, "reason": "birthday", **requested}
    wanted = {name: value for name, value in body.items() if value != "left out"}
    return call(api, "POST", BONUSES, json=wanted, headers={"Idempotency-Key": key})


def give_many(api: TestClient, *customers: str, **requested: Any) -> httpx.Response:
    return give(api, customer_id="left out", customer_ids=list(customers), **requested)


def test_a_bonus_is_a_credit_with_a_lot_and_the_same_key_gives_it_again(api: TestClient) -> None:
    first = give(api, description="Happy birthday!", expires_after_days=30)
    assert first.status_code == 201
    (row,) = first.json()["transactions"]
    assert (row["customer_id"], row["amount"], row["kind"], row["balance_after"]) == ("cus_1", 100, "bonus", 100)
    assert (row["description"], row["reference_id"]) == ("Happy birthday!", first.json()["id"])
    again = give(api, description="Happy birthday!", expires_after_days=30)
    assert (again.status_code, again.json()) == (201, first.json())
    assert balance().expiring[0].amount == 100


def test_a_bonus_for_many_customers_is_given_once_to_each(api: TestClient) -> None:
    answer = give_many(api, "cus_2", "cus_1", "cus_2").json()
    assert [row["customer_id"] for row in answer["transactions"]] == ["cus_1", "cus_2"]
    assert (balance("cus_1").balance, balance("cus_2").balance) == (100, 100)


def test_merged_accounts_get_it_once(api: TestClient) -> None:
    call(api, "POST", "/admin/dust/customers/cus_1/merge", json={"into": "cus_2"}).raise_for_status()
    answer = give_many(api, "cus_1", "cus_2", "cus_3").json()
    assert [row["customer_id"] for row in answer["transactions"]] == ["cus_2", "cus_3"]
    give(api, key="other")
    assert (balance("cus_1").balance, balance("cus_2").balance, balance("cus_3").balance) == (0, 200, 100)


def test_it_expires_as_earned_dust_does_unless_requested_otherwise(api: TestClient) -> None:
    set_rules(earn={"expires_after_days": 10})
    give(api)
    give(api, key="other", expires_after_days=20)
    with moved(timedelta(days=11)):
        mature_and_expire()
        assert balance().balance == 100
    with moved(timedelta(days=21)):
        mature_and_expire()
        assert balance().balance == 0


def test_it_can_be_pending_at_first(api: TestClient) -> None:
    first = give(api, matures_after_days=3).json()
    assert (balance().balance, balance().pending) == (0, 100)
    with moved(timedelta(days=4)):
        mature_and_expire()
        assert (balance().balance, balance().pending) == (100, 0)
    assert give(api, matures_after_days=3).json() == first


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 101},
        {"reason": "else"},
        {"description": "else"},
        {"expires_after_days": 5},
        {"matures_after_days": 5},
        {"customer_id": "cus_2"},
        {"customer_id": "left out", "customer_ids": ["cus_1", "cus_2"]},
    ],
)
def test_the_same_key_with_another_body_is_409(api: TestClient, other: dict[str, Any]) -> None:
    give(api)
    response = give(api, **other)
    assert (response.status_code, response.json()["code"]) == (409, "idempotency_key_reused")
    assert (balance("cus_1").balance, balance("cus_2").balance) == (100, 0)


def test_ten_clicks_at_once_are_one_bonus(api: TestClient) -> None:
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: give_many(api, "cus_1", "cus_2"), range(10)))
    assert {response.status_code for response in answers} == {201}
    assert len({response.text for response in answers}) == 1
    assert history() == [("bonus", 100)]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": -5}, "amount"),
        ({"amount": 1.0}, "amount"),
        ({"reason": " "}, "reason"),
        ({"expires_after_days": 0}, "expires_after_days"),
        ({"expires_after_days": 5, "matures_after_days": 5}, "expires_after_days"),
        ({"customer_id": "left out"}, "body"),
        ({"customer_ids": ["cus_2"]}, "body"),
        ({"customer_id": "left out", "customer_ids": []}, "customer_ids"),
        ({"customer_id": "not one"}, "customer_id"),
        ({"dust": 5}, "dust"),
    ],
)
def test_an_invalid_value_is_refused_with_its_field(api: TestClient, wrong: dict[str, Any], field: str) -> None:
    assert fields(give(api, **wrong)) == {field}


def test_it_may_not_expire_by_the_programme_before_it_matures(api: TestClient) -> None:
    set_rules(earn={"expires_after_days": 30})
    response = give(api, matures_after_days=30)
    assert fields(response) == {"matures_after_days"}
    assert "expires_after_days" in response.text
    assert give(api, matures_after_days=29).status_code == 201
    assert give(api, key="own", matures_after_days=30, expires_after_days=31).status_code == 201


def test_a_repeated_request_gets_the_first_answer_also_when_the_programme_would_refuse_it_now(api: TestClient) -> None:
    first = give(api, matures_after_days=30)
    set_rules(earn={"expires_after_days": 30})
    again = give(api, matures_after_days=30)
    assert (again.status_code, again.json()) == (201, first.json())
    other = give(api, matures_after_days=30, amount=101)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert fields(give(api, key="other", matures_after_days=30)) == {"matures_after_days"}
    assert (balance().balance, balance().pending) == (0, 100)


def test_without_an_idempotency_key_a_bonus_is_refused(api: TestClient) -> None:
    response = call(api, "POST", BONUSES, json={"customer_id": "cus_1", "amount": 5, "reason": "r"})
    assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_missing")


def test_giving_a_bonus_requires_authentication(api: TestClient) -> None:
    assert api.post(BONUSES, json={"customer_id": "cus_1", "amount": 5, "reason": "r"}).status_code == 401
