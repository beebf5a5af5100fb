"""Drafts start at their date: once, however late the job is and however many workers run it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from typer.testing import CliRunner

from bridge.cli import app, clock
from bridge.clock import now, reread_clock
from bridge.db import transaction
from bridge.programme import drafts
from bridge.programme.drafts import DraftContent, change_draft
from bridge.programme.rules import Programme
from bridge.queue.enqueue import PROGRAMME_PUBLISH_DRAFTS
from bridge.settings import get_settings
from tests.support.admin_api import call
from tests.support.clock import moved
from tests.support.medusa import FakeMedusa
from workers.programme import publish_drafts

PROGRAMME = "/admin/dust/programme"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _shop(medusa: FakeMedusa) -> None:
    """Medusa answers, so that currencies are checked."""


def rules(api: TestClient) -> dict[str, Any]:
    document: dict[str, Any] = call(api, "GET", PROGRAMME).json()
    return document


def save(api: TestClient, starts_at: datetime | None, **parts: Any) -> str:
    present = rules(api)
    body = {"name": "Autumn", "document": {**present, **parts}, "based_on": present["version"]}
    answer = call(
        api,
        "POST",
        f"{PROGRAMME}/drafts",
        json={**body, "starts_at": starts_at and starts_at.isoformat()},
        headers={"X-Dust-Operator": "user_ann"},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def signup(points: int) -> dict[str, Any]:
    return {"bonuses": {"signup": points}}


def reasons(api: TestClient) -> dict[str, str | None]:
    return {draft["id"]: draft["reason"] for draft in call(api, "GET", f"{PROGRAMME}/drafts").json()["drafts"]}


def test_a_draft_starts_at_its_date_and_not_before(api: TestClient) -> None:
    never = save(api, None, **signup(1))
    save(api, now() + HOUR, **signup(7))
    assert publish_drafts() == 0
    with moved(HOUR - timedelta(seconds=1)):
        assert publish_drafts() == 0
    with moved(HOUR):
        moment = now()
        assert (publish_drafts(), publish_drafts()) == (1, 0)
    version = rules(api)
    assert (version["version"], version["author"], version["bonuses"]["signup"]) == (1, "user_ann", 7)
    assert datetime.fromisoformat(version["created_at"]) == moment
    assert list(reasons(api)) == [never]


def test_a_draft_that_cannot_be_read_keeps_no_other_from_starting(api: TestClient) -> None:
    broken = save(api, now() + HOUR, **signup(1))
    save(api, now() + 2 * HOUR, **signup(7))
    with transaction() as connection:
        change = text("UPDATE programme_draft SET document = :document WHERE id = :id")
        connection.execute(change, {"id": broken, "document": '{"earn": 7}'})
    with moved(3 * HOUR):
        assert publish_drafts() == 1
    assert rules(api)["bonuses"]["signup"] == 7
    assert "internal error" in str(reasons(api)[broken])


def test_a_late_job_publishes_in_the_order_of_the_dates_and_from_its_own_time(api: TestClient) -> None:
    save(api, now() + 2 * HOUR, earn={"pending_days": 2})
    save(api, now() + HOUR, **signup(7))
    with moved(3 * HOUR):
        assert publish_drafts() == 2
        late = now()
    versions = call(api, "GET", f"{PROGRAMME}/versions").json()["versions"]
    assert [(version["bonuses"]["signup"], version["earn"]["pending_days"]) for version in versions] == [(7, 2), (7, 0)]
    assert {datetime.fromisoformat(version["created_at"]) for version in versions} == {late}


def test_a_conflict_keeps_the_draft_with_the_reason(api: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    draft = save(api, now() + HOUR, **signup(7))
    call(api, "PUT", PROGRAMME, json=signup(8))
    other = save(api, now() + HOUR, earn={"pending_days": 2})
    with moved(HOUR):
        assert publish_drafts() == 1
        assert "has changed the same rules" in str(reasons(api)[draft])
        assert other not in reasons(api)
        assert "draft_not_started" in caplog.text
        assert draft in caplog.text
        assert "bonuses.signup" in caplog.text
    # It does not start days later, when nobody expects it.
    call(api, "PUT", PROGRAMME, json=signup(0))
    with moved(3 * HOUR):
        assert publish_drafts() == 0
    assert rules(api)["bonuses"]["signup"] == 0


def test_a_draft_that_became_invalid_keeps_the_reason_until_it_is_saved_again(
    api: TestClient, medusa: FakeMedusa
) -> None:
    draft = save(api, now() + HOUR, earn={"rates": {"usd": "1"}})
    del medusa.currencies["usd"]
    with moved(HOUR):
        assert publish_drafts() == 0
        assert "currency" in str(reasons(api)[draft])
        body = {"name": "Autumn", "document": signup(7), "based_on": 0, "starts_at": (now() + HOUR).isoformat()}
        assert call(api, "PUT", f"{PROGRAMME}/drafts/{draft}", json=body).status_code == 200
        assert reasons(api) == {draft: None}
    with moved(2 * HOUR):
        assert publish_drafts() == 1
    assert rules(api)["bonuses"]["signup"] == 7


def test_two_workers_publish_a_draft_once(api: TestClient) -> None:
    save(api, now() + HOUR, **signup(7))
    start = Barrier(2)

    def publish_at_once(_: int) -> int:
        start.wait(30)
        return int(publish_drafts())

    with moved(HOUR), ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(publish_at_once, range(2))) == [0, 1]
    assert rules(api)["version"] == 1
    assert reasons(api) == {}


def test_a_draft_that_is_saved_while_it_starts_is_not_published_as_it_was(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft, check = save(api, now() + HOUR, **signup(7)), drafts.rebase

    def saved_meanwhile(connection: Any, found: Any) -> Any:
        document = Programme.model_validate(signup(9)).document()
        content = DraftContent(name="Later", document=document, based_on=0, starts_at=now() + 5 * HOUR)
        with transaction() as another:
            change_draft(another, draft, content, author="user_ben", now=now())
        return check(connection, found)

    with moved(HOUR), monkeypatch.context() as patch:
        patch.setattr(drafts, "rebase", saved_meanwhile)
        assert publish_drafts() == 0
    assert (rules(api)["version"], reasons(api)) == (0, {draft: None})


def test_a_version_that_is_saved_while_a_draft_starts_only_delays_it(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(api, now() + HOUR, **signup(7))
    rebase = drafts.rebase

    def changed_meanwhile(connection: Any, draft: Any) -> Any:
        rebased = rebase(connection, draft)
        assert call(api, "PUT", PROGRAMME, json={"earn": {"pending_days": 2}}).status_code == 200
        return rebased

    with moved(HOUR):
        with monkeypatch.context() as patch:
            patch.setattr(drafts, "rebase", changed_meanwhile)
            assert publish_drafts() == 0
        assert list(reasons(api).values()) == [None]
        assert publish_drafts() == 1
    assert (rules(api)["bonuses"]["signup"], rules(api)["earn"]["pending_days"]) == (7, 2)


def test_a_draft_starts_by_the_clock_of_a_test_installation(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUST_TEST_CLOCK", "true")
    get_settings.cache_clear()
    reread_clock()
    save(api, now() + 48 * HOUR, **signup(7))
    published: list[str] = []
    monkeypatch.setattr(clock, "publish", lambda task, **_: published.append(task))
    assert publish_drafts() == 0
    assert CliRunner().invoke(app, ["clock", "+2d"]).exit_code == 0
    assert PROGRAMME_PUBLISH_DRAFTS in published
    assert publish_drafts() == 1


def test_no_call_to_medusa_without_a_draft_that_is_due(api: TestClient, medusa: FakeMedusa) -> None:
    save(api, now() + HOUR)
    medusa.calls.clear()
    assert publish_drafts() == 0
    assert medusa.calls == []
    with transaction() as connection:
        assert connection.scalar(text("SELECT count(*) FROM programme_draft")) == 1
