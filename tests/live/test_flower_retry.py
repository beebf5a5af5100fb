"""An operator in a real browser, with real Flower, broker, worker and Postgres. A stand-in for Medusa is away."""

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect
from rich.console import Console

from bridge.development.stack.processes import until
from bridge.development.stack.up import StackUrls, running_stack
from bridge.ids import new_id
from bridge.settings import Settings
from tests.support.brokers import ON_RABBITMQ, broker_for_a_stack
from tests.support.child_processes import data_folder
from tests.support.deliveries import WEBHOOK_SECRET, deliver
from tests.support.live_worlds import PATIENCE_SECONDS, SCREENSHOTS
from tests.support.medusa import API_KEY, FakeMedusa, serving
from tests.support.orders import event, order
from tests.support.ports import reserved_port
from tests.support.processes import answers

pytestmark = pytest.mark.live
wants_kept_results = pytest.mark.skipif(ON_RABBITMQ, reason="RabbitMQ keeps no results: Flower shows what it has heard")

LOGIN = ("operator", "a-long-password")


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A running Dust, and the port of its Medusa."""

    urls: StackUrls
    medusa: FakeMedusa
    medusa_port: int

    def place_order(self, customer_id: str) -> str:
        """Place an order of 10 points and deliver its webhook. Returns the event's id."""
        document = order(new_id("order"), customer_id=customer_id)
        self.medusa.orders[document["id"]] = document
        event_id = new_id("msg")
        with httpx.Client(base_url=self.urls.api, trust_env=False) as client:
            response = deliver(client, event("order.placed", {"id": document["id"]}), event_id=event_id)
        assert response.status_code == httpx.codes.ACCEPTED
        return event_id

    def fetch(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.urls.database) as connection:
            return connection.execute(query, values).fetchall()

    def states(self, event_ids: list[str]) -> dict[str, int]:
        query = "SELECT state, count(*) FROM webhook_event WHERE id = ANY(%s) GROUP BY state"
        return dict(self.fetch(query, event_ids))

    def wait_until_failed(self, event_ids: list[str]) -> None:
        """Wait until this many events have failed, and Flower has their tasks."""

        def shown() -> int:
            if ON_RABBITMQ:
                # Flower knows the tasks whose events it has received.
                heard = f"{self.urls.flower}/api/tasks?state=FAILURE&taskname=inbox.handle"
                tasks = httpx.get(heard, auth=LOGIN, trust_env=False).raise_for_status().json().values()
                return sum(any(event_id in task["args"] for event_id in event_ids) for task in tasks)
            response = httpx.get(f"{self.urls.flower}/api/task/failed", auth=LOGIN, trust_env=False).raise_for_status()
            return len(response.json()["kinds"].get("inbox.handle", []))

        def everywhere() -> bool:
            return self.states(event_ids) == {"failed": len(event_ids)} and shown() == len(event_ids)

        assert until(everywhere, PATIENCE_SECONDS), self.states(event_ids)

    def balance(self, customer_id: str) -> int:
        headers = {"Authorization": f"Bearer {self.urls.environment['DUST_ADMIN_TOKEN']}"}
        response = httpx.get(f"{self.urls.api}/admin/dust/customers/{customer_id}", headers=headers, trust_env=False)
        return int(response.json()["balance"])

    def audit(self) -> str:
        """Run `dust audit`, which must find no violation."""
        environment = {"PATH": os.environ["PATH"], **self.urls.environment}
        command = [sys.executable, "-m", "bridge.cli", "audit"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def flower_process(self) -> psutil.Process:
        """The Flower process of this installation; other tests of the session may run their own."""
        (flower,) = filter(self._is_flower, psutil.Process().children(recursive=True))
        return flower

    def _is_flower(self, process: psutil.Process) -> bool:
        port = self.urls.environment["DUST_FLOWER_PORT"]
        try:
            named = {"bridge.cli", "flower"} <= set(process.cmdline())
            return named and process.environ().get("DUST_FLOWER_PORT") == port
        except psutil.Error:
            # It has ended meanwhile.
            return False

    def flower_answers(self) -> bool:
        return answers(f"{self.urls.flower}/tasks", auth=LOGIN)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    port = reserved_port()
    with data_folder() as folder, io.StringIO() as output, broker_for_a_stack() as broker_url:
        settings = Settings(
            data_dir=folder,
            broker_url=broker_url,
            port=0,
            flower_port=0,
            medusa_url=f"http://127.0.0.1:{port}",
            medusa_api_key=API_KEY,
            webhook_secrets=WEBHOOK_SECRET,
            flower_basic_auth=":".join(LOGIN),
            retry_attempts=1,
            # The poll must not find the orders before the retry.
            reconcile_seconds=3600,
        )
        with running_stack(settings, console=Console(file=output)) as urls:
            installation = Installation(urls=urls, medusa=FakeMedusa(), medusa_port=port)
            assert until(installation.flower_answers, PATIENCE_SECONDS)
            yield installation
        shutil.copyfileobj(io.StringIO(output.getvalue()), sys.stderr)


@pytest.fixture
def page(browser: Browser, installation: Installation) -> Iterator[Page]:
    """Flower, logged in."""
    context = browser.new_context(
        base_url=installation.urls.flower,
        http_credentials={"username": LOGIN[0], "password": LOGIN[1]},
        viewport={"width": 1280, "height": 900},
    )
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"a script broke: {error}"))
    yield page
    context.close()


def screenshot(page: Page, name: str) -> None:
    """Save a screenshot for inspection, with animations finished."""
    page.screenshot(path=SCREENSHOTS / f"flower_{name}.png", animations="disabled")


def open_task_of(page: Page, event_id: str) -> None:
    """Open the page of this event's failed task, as an operator does."""
    page.goto("/tasks?state=FAILURE")
    page.fill(".dataTables_filter input", f"state:FAILURE args:{event_id}")
    expect(page.locator("#tasks-table_info")).to_contain_text("of 1 tasks")
    page.locator("#tasks-table tbody tr a[href*='/task/']").first.click()
    expect(page.locator("#dust-notes")).to_contain_text("Why it failed")


def test_an_operator_reads_the_reason_retries_and_the_points_are_booked(installation: Installation, page: Page) -> None:
    event_id = installation.place_order("cus_one")
    installation.wait_until_failed([event_id])
    page.goto("/tasks?state=FAILURE")
    expect(page.locator(".dust-retry")).to_have_count(1)
    screenshot(page, "1_list")
    open_task_of(page, event_id)
    expect(page.locator("#dust-notes")).to_contain_text(re.compile(r"Why it failed: .*order\.placed order_"))
    screenshot(page, "2_failed")
    old = page.url
    with serving(installation.medusa, installation.medusa_port):
        page.click("#dust-retry")
        expect(page.locator("#dust-notes")).to_contain_text("Retried by operator")
        expect(page.locator(".dust-state")).to_have_text("SUCCESS")
    screenshot(page, "3_retried")
    assert installation.balance("cus_one") == 10
    page.locator("#dust-notes a").click()
    expect(page.locator("#dust-notes")).to_contain_text("A retry of")
    expect(page.locator("#task-page")).to_contain_text("earned 10 points")
    screenshot(page, "4_the_retry")
    page.goto(old)
    expect(page.locator("#dust-notes")).to_contain_text("Retried by operator")
    expect(page.locator("#dust-retry")).to_have_count(0)


@wants_kept_results
def test_two_hundred_are_retried_at_once_with_progress(installation: Installation, page: Page) -> None:
    event_ids = [installation.place_order(f"cus_{number % 20}") for number in range(200)]
    installation.wait_until_failed(event_ids)
    with serving(installation.medusa, installation.medusa_port):
        page.goto("/tasks?state=FAILURE")
        page.click("#dust-retry-kinds")
        kind = page.locator("[data-kind='inbox.handle']")
        expect(kind).to_have_text("inbox.handle (200)")
        screenshot(page, "5_kinds")
        kind.click()
        expect(page.locator(".dust-counts")).to_have_text(re.compile(r"^1\d\d of 200 sent · .* under way$"))
        screenshot(page, "6_progress")
        expect(page.locator("#dust-progress[data-finished]")).to_be_visible()
        screenshot(page, "7_done")
        expect(page.locator(".dust-counts")).to_have_text("200 of 200 sent · 200 succeeded · 0 failed")
        page.click(".dust-close")
        expect(page.locator(".dust-retried").first).to_be_visible()
        screenshot(page, "8_list_after")
    assert installation.states(event_ids) == {"handled": 200}
    assert [installation.balance(f"cus_{number}") for number in range(20)] == [100] * 20
    installation.audit()


@wants_kept_results
def test_a_failed_task_outlives_a_killed_flower_and_retries_with_one_effect(
    installation: Installation, page: Page
) -> None:
    event_id = installation.place_order("cus_two")
    installation.wait_until_failed([event_id])
    open_task_of(page, event_id)
    killed = installation.flower_process()
    killed.kill()
    assert until(lambda: not killed.is_running(), PATIENCE_SECONDS)
    assert until(installation.flower_answers, PATIENCE_SECONDS)
    open_task_of(page, event_id)
    screenshot(page, "9_after_a_kill")
    with serving(installation.medusa, installation.medusa_port):
        task_id = page.url.rpartition("/")[2]
        answers = page.evaluate(
            "path => Promise.all([1, 2].map(() => $.ajax({type: 'POST', url: path})))", f"/api/task/retry/{task_id}"
        )
        assert sorted(answer["already"] for answer in answers) == [False, True]
        assert answers[0]["task-id"] == answers[1]["task-id"]
        page.reload()
        expect(page.locator(".dust-state")).to_have_text("SUCCESS")
        expect(page.locator("#dust-retry")).to_have_count(0)
    assert installation.balance("cus_two") == 10
    assert len(installation.fetch("SELECT 1 FROM task_retry WHERE task_id = %s", task_id)) == 1


def test_selected_tasks_are_retried_together(installation: Installation, page: Page) -> None:
    installation.wait_until_failed([installation.place_order("cus_three") for _ in range(3)])
    with serving(installation.medusa, installation.medusa_port):
        page.goto("/tasks?state=FAILURE")
        expect(page.locator(".dust-select")).to_have_count(3)
        page.locator(".dust-select").nth(0).check()
        page.locator(".dust-select").nth(1).check()
        expect(page.locator("#dust-retry-selected")).to_have_text("Retry selected (2)")
        screenshot(page, "10_selected")
        page.click("#dust-retry-selected")
        # Nothing fades: a dialog that does ignores Close until it is all there.
        assert "fade" not in str(page.locator("#dust-progress").get_attribute("class")).split()
        expect(page.locator(".dust-counts")).to_have_text("2 of 2 sent · 2 succeeded · 0 failed")
        page.click(".dust-close")
        expect(page.locator("#dust-progress")).to_have_count(0)
        assert installation.balance("cus_three") == 20
        page.locator(".dust-retry").click()
        expect(page.locator(".dust-counts")).to_have_text("1 of 1 sent · 1 succeeded · 0 failed")
    assert installation.balance("cus_three") == 30
    installation.audit()
