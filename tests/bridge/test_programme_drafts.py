"""Drafts of the programme: saved, merged with what was changed meanwhile, published and deleted."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bridge.clock import now
from bridge.programme.drafts import MAX_DRAFTS
from tests.support import tokens
from tests.support.admin_api import call, fields
from tests.support.clock import advance, moved
from tests.support.medusa import FakeMedusa

PROGRAMME = "/admin/dust/programme"
DRAFTS = f"{PROGRAMME}/drafts"


@pytest.fixture(autouse=True)
def _shop(medusa: FakeMedusa) -> None:
    """Medusa answers, so that currencies are checked."""


def rules(api: TestClient) -> dict[str, Any]:
    document: dict[str, Any] = call(api, "GET", PROGRAMME).json()
    return document


def changed(document: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The document with other values; `earn__pending_days=3` changes `earn.pending_days`."""
    parts = {part: dict(inner) if isinstance(inner, dict) else inner for part, inner in document.items()}
    for field, value in values.items():
        part, name = field.split("__")
        parts[part][name] = value
    return parts


def put_rules(api: TestClient, **values: Any) -> int:
    response = call(api, "PUT", PROGRAMME, json=changed(rules(api), **values))
    assert response.status_code == 200, response.text
    return int(response.json()["version"])


def body_of(api: TestClient, values: dict[str, Any], **more: Any) -> dict[str, Any]:
    present = rules(api)
    return {"name": "Autumn", "document": changed(present, **values), "based_on": present["version"], **more}


def save(api: TestClient, starts_at: str | None = None, **values: Any) -> dict[str, Any]:
    response = call(api, "POST", DRAFTS, json=body_of(api, values, starts_at=starts_at))
    assert response.status_code == 201, response.text
    draft: dict[str, Any] = response.json()
    return draft


def listed(api: TestClient) -> list[dict[str, Any]]:
    drafts: list[dict[str, Any]] = call(api, "GET", DRAFTS).json()["drafts"]
    return drafts


def publish(api: TestClient, draft: dict[str, Any], **how: Any) -> Any:
    return call(api, "POST", f"{DRAFTS}/{draft['id']}/publish", **how)


def test_a_draft_is_saved_read_changed_and_deleted(api: TestClient) -> None:
    response = call(api, "POST", DRAFTS, json=body_of(api, {"earn__pending_days": 3}))
    draft = response.json()
    assert response.headers["location"] == f"{DRAFTS}/{draft['id']}"
    assert (draft["name"], draft["based_on"], draft["author"]) == ("Autumn", 0, "service")
    assert (draft["starts_at"], draft["reason"], draft["conflicts"], draft["version"]) == (None, None, [], 0)
    assert draft["document"]["earn"]["pending_days"] == 3
    assert draft["merged"] == draft["document"]
    assert call(api, "GET", f"{DRAFTS}/{draft['id']}").json() == draft
    assert listed(api) == [{name: draft[name] for name in listed(api)[0]}]
    with moved(timedelta(minutes=1)):
        body = body_of(api, {"earn__pending_days": 4}, name=" Winter ")
        put = call(api, "PUT", f"{DRAFTS}/{draft['id']}", json=body).json()
    assert (put["name"], put["document"]["earn"]["pending_days"]) == ("Winter", 4)
    assert put["created_at"] == draft["created_at"] < put["updated_at"]
    assert rules(api)["version"] == 0, "nothing is in force"
    deleted = call(api, "DELETE", f"{DRAFTS}/{draft['id']}")
    assert deleted.json() == {"id": draft["id"], "object": "programme_draft", "deleted": True}
    assert listed(api) == []


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("PUT", ""), ("POST", "/publish")])
def test_an_unknown_draft_is_not_found(api: TestClient, method: str, path: str) -> None:
    body = body_of(api, {}) if method == "PUT" else None
    response = call(api, method, f"{DRAFTS}/ddraft_1{path}", json=body)
    assert (response.status_code, response.json()["code"]) == (404, "unknown_draft")


@pytest.mark.parametrize(
    "document",
    [{"earn": {"rates": {"eur": "-1"}, "pending_days": "soon"}}, {"burn": 1}, {"earn": {"rates": {"xyz": "1"}}}],
)
def test_an_invalid_document_is_refused_as_a_put_refuses_it(api: TestClient, document: dict[str, Any]) -> None:
    put = call(api, "PUT", PROGRAMME, json=document)
    draft = save(api)
    for method, path in (("POST", DRAFTS), ("PUT", f"{DRAFTS}/{draft['id']}")):
        response = call(api, method, path, json={"name": "x", "document": document, "based_on": 0})
        assert (response.status_code, response.json()["errors"]) == (422, put.json()["errors"])
    assert [draft["updated_at"] for draft in listed(api)] == [draft["updated_at"]]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"based_on": 1}, "based_on"),
        ({"based_on": -1}, "based_on"),
        ({"based_on": "0"}, "based_on"),
        ({"starts_at": "2027-01-01T00:00:00"}, "starts_at"),
        ({"starts_at": "9999-12-31T23:59:59-14:00"}, "starts_at"),
        ({"starts": None}, "starts"),
    ],
)
def test_a_wrong_field_is_named(api: TestClient, wrong: dict[str, Any], field: str) -> None:
    assert fields(call(api, "POST", DRAFTS, json=body_of(api, {}, **wrong))) == {field}
    assert listed(api) == []


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(days=400)])
def test_a_start_date_must_be_in_the_future(api: TestClient, late: timedelta) -> None:
    assert fields(call(api, "POST", DRAFTS, json=body_of(api, {}, starts_at=str(now() - late)))) == {"starts_at"}
    assert fields(call(api, "POST", DRAFTS, json=body_of(api, {}, starts_at=str(now() + timedelta(days=367))))) == {
        "starts_at"
    }


def test_there_are_at_most_fifty_drafts(api: TestClient) -> None:
    drafts = [save(api) for _ in range(MAX_DRAFTS)]
    response = call(api, "POST", DRAFTS, json=body_of(api, {}))
    assert (response.status_code, response.json()["code"]) == (409, "too_many_drafts")
    call(api, "DELETE", f"{DRAFTS}/{drafts[0]['id']}")
    save(api)
    assert len(listed(api)) == MAX_DRAFTS


def test_only_operators_see_drafts(api: TestClient) -> None:
    assert api.get(DRAFTS, headers=tokens.customer()).status_code == 401


def test_a_published_draft_is_a_version_by_its_author_and_is_gone(api: TestClient) -> None:
    headers = {"X-Dust-Operator": "user_ann"}
    draft = call(api, "POST", DRAFTS, json=body_of(api, {"earn__pending_days": 3}), headers=headers).json()
    response = publish(api, draft, headers={"X-Dust-Operator": "user_ben"})
    assert (response.status_code, response.headers["etag"]) == (200, '"1"')
    version = response.json()
    assert (version["version"], version["author"], version["earn"]["pending_days"]) == (1, "user_ann", 3)
    assert rules(api) == version
    assert listed(api) == []
    assert publish(api, draft).status_code == 404


def test_publishing_keeps_what_was_changed_meanwhile(api: TestClient) -> None:
    put_rules(api, earn__pending_days=1)
    draft = save(api, earn__rates={"eur": "2"})
    put_rules(api, earn__pending_days=9, earn__rates={"eur": "1", "usd": "1"})
    read = call(api, "GET", f"{DRAFTS}/{draft['id']}").json()
    assert (read["based_on"], read["version"], read["conflicts"]) == (1, 2, [])
    assert read["document"]["earn"]["pending_days"] == 1
    assert read["merged"]["earn"]["pending_days"] == 9
    version = publish(api, draft).json()
    assert (version["version"], version["earn"]["pending_days"]) == (3, 9)
    assert version["earn"]["rates"] == {"eur": "2", "usd": "1"}


def test_a_conflict_is_refused_until_it_is_decided(api: TestClient) -> None:
    draft = save(api, earn__pending_days=3, bonuses__signup=5)
    put_rules(api, earn__pending_days=4)
    response = publish(api, draft)
    assert (response.status_code, response.json()["code"]) == (409, "draft_conflicts")
    assert (response.json()["fields"], response.json()["version"]) == (["earn.pending_days"], 1)
    assert rules(api)["version"] == 1
    read = call(api, "GET", f"{DRAFTS}/{draft['id']}").json()
    assert (read["conflicts"], read["merged"]["earn"]["pending_days"]) == (["earn.pending_days"], 3)
    decided = {"name": "Autumn", "document": read["merged"], "based_on": read["version"]}
    saved = call(api, "PUT", f"{DRAFTS}/{draft['id']}", json=decided).json()
    assert saved["conflicts"] == []
    assert publish(api, draft).json()["earn"]["pending_days"] == 3


def test_a_draft_that_became_invalid_is_refused(api: TestClient) -> None:
    """Each of the two is valid, and both together are not."""
    draft = save(api, redeem__min_dust=50)
    put_rules(api, redeem__max_dust=40)
    assert fields(publish(api, draft)) == {"redeem.max_dust"}
    assert [draft["id"] for draft in listed(api)] == [draft["id"]]


def test_if_match_refuses_another_version_than_the_one_that_was_read(api: TestClient) -> None:
    draft = save(api, earn__pending_days=3)
    put_rules(api, bonuses__signup=5)
    response = publish(api, draft, headers={"If-Match": '"0"'})
    assert (response.status_code, response.json()["code"]) == (412, "programme_changed")
    assert publish(api, draft, headers={"If-Match": '"1"'}).status_code == 200
    assert fields(publish(api, save(api), headers={"If-Match": "abc"})) == {"If-Match"}


def test_a_draft_that_two_publish_at_once_is_one_version(api: TestClient) -> None:
    draft, start = save(api, earn__pending_days=3), Barrier(2)

    def publish_at_once(_: int) -> int:
        start.wait(30)
        return int(publish(api, draft).status_code)

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(publish_at_once, range(2)))
    assert answers in ([200, 404], [200, 412])
    assert rules(api)["version"] == 1


def test_medusa_need_not_answer_to_save_and_publish(api: TestClient, medusa: FakeMedusa) -> None:
    medusa.away = True
    assert publish(api, save(api, earn__pending_days=3)).status_code == 200


def test_a_draft_that_somebody_else_has_saved_is_not_overwritten(api: TestClient) -> None:
    draft = save(api, earn__pending_days=3)
    path, seen = f"{DRAFTS}/{draft['id']}", {"if-match": f'"{draft["updated_at"]}"'}
    advance(timedelta(minutes=1))
    theirs = call(api, "PUT", path, json=body_of(api, {"earn__pending_days": 4}, name="Theirs"), headers=seen)
    assert theirs.status_code == 200, theirs.text
    mine = body_of(api, {"earn__pending_days": 5}, name="Mine")
    response = call(api, "PUT", path, json=mine, headers=seen)
    assert (response.status_code, response.json()["code"]) == (412, "draft_replaced")
    assert call(api, "GET", path).json()["name"] == "Theirs"
    assert (
        call(api, "PUT", path, json=mine, headers={"if-match": f'"{theirs.json()["updated_at"]}"'}).status_code == 200
    )
    assert call(api, "PUT", path, json=mine, headers={"if-match": "*"}).status_code == 200


def test_if_match_of_a_draft_is_a_time(api: TestClient) -> None:
    draft = save(api, earn__pending_days=3)
    answer = call(api, "PUT", f"{DRAFTS}/{draft['id']}", json=body_of(api, {}), headers={"if-match": '"3"x'})
    assert fields(answer) == {"If-Match"}


def test_if_match_does_not_find_a_draft_that_is_gone(api: TestClient) -> None:
    seen = {"if-match": '"2026-11-27T12:00:00Z"'}
    response = call(api, "PUT", f"{DRAFTS}/ddraft_0", json=body_of(api, {}), headers=seen)
    assert (response.status_code, response.json()["code"]) == (404, "unknown_draft")
