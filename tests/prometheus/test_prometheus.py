"""With the programs of Prometheus: each alert comes when it should and not before, and a real server reads Dust."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from bridge.development.stack.processes import spawn, stop
from tests.support.alerts import DOCS, RULES, metrics_in, queries
from tests.support.deliveries import OTHER_WEBHOOK_SECRET, deliver
from tests.support.orders import order, order_event
from tests.support.ports import reserved_port
from tests.support.processes import eventually, serving_dust

pytestmark = pytest.mark.servers

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
STORIES = Path(__file__).with_name("alerts.test.yml")

with_prometheus = pytest.mark.skipif(
    not (PROMETHEUS and PROMTOOL), reason="Prometheus is not installed (on Debian: apt-get install prometheus)"
)


class Prometheus:
    """It scrapes one Dust every second, and judges by the rules of the documents as often."""

    def __init__(self, folder: Path, target: str) -> None:
        port = reserved_port()
        self._url = f"http://127.0.0.1:{port}"
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(DOCS / "reference" / "alerts.yml")],
            "scrape_configs": [{"job_name": "dust", "static_configs": [{"targets": [target]}]}],
        }
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(configuration))
        self._log = folder / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = spawn(
                [
                    str(PROMETHEUS),
                    f"--config.file={file}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                death_signal=signal.SIGKILL,
                stdout=log,
            )

    def ask(self, path: str, **query: str) -> Any:
        answer = httpx.get(f"{self._url}/api/v1/{path}", params=query, timeout=30, trust_env=False)
        return answer.raise_for_status().json()["data"]

    def up(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        try:
            return [target["health"] for target in self.ask("targets")["activeTargets"]] == ["up"]
        except httpx.HTTPError:
            # Nobody listens yet, or says that it is not ready.
            return False

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]

    def firing(self) -> set[str]:
        return {rule["name"] for rule in self.rules() if rule["state"] == "firing"}

    def value(self, query: str) -> float | None:
        samples = self.ask("query", query=query)["result"]
        return float(samples[0]["value"][1]) if samples else None

    def end(self) -> None:
        stop(self._process)


@pytest.fixture
def watched(settings: dict[str, str], tmp_path: Path) -> Iterator[tuple[Prometheus, httpx.Client]]:
    """A Prometheus, and the API that it scrapes. Nobody works, and there is no broker: figures come without."""
    environment = {**settings, "DUST_BROKER_URL": "redis://127.0.0.1:9/0"}
    with serving_dust(environment) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as api:
        prometheus = Prometheus(tmp_path, url.removeprefix("http://"))
        try:
            yield prometheus, api
        finally:
            prometheus.end()


@with_prometheus
@pytest.mark.parametrize(
    "arguments", [("check", "rules", DOCS / "reference" / "alerts.yml"), ("test", "rules", STORIES)]
)
def test_promtool_accepts_the_rules(arguments: tuple[str | Path, ...]) -> None:
    result = subprocess.run([str(PROMTOOL), *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_is_tested_with_and_without_its_cause() -> None:
    good_day, *stories = yaml.safe_load(STORIES.read_text())["tests"]
    alerts = sorted(rule["alert"] for rule in RULES)
    assert sorted(test["alertname"] for test in good_day["alert_rule_test"]) == alerts
    assert not any(test["exp_alerts"] for test in good_day["alert_rule_test"])
    for alert in alerts:
        (reported,) = [
            story["alert_rule_test"] for story in stories if story["alert_rule_test"][0]["alertname"] == alert
        ]
        assert {bool(test["exp_alerts"]) for test in reported} == {False, True}


@with_prometheus
def test_a_real_prometheus_reads_every_metric_and_raises_an_alert(
    watched: tuple[Prometheus, httpx.Client],
) -> None:
    prometheus, api = watched
    eventually(prometheus.up)
    assert deliver(api, order_event(order())).status_code == 202
    eventually(lambda: prometheus.value("dust_events_oldest_waiting_seconds > 0") is not None)

    eventually(lambda: {rule["health"] for rule in prometheus.rules()} == {"ok"})
    assert len(prometheus.rules()) == len(RULES)
    for query in queries():
        prometheus.ask("query", query=query)
    families = {family["metric"]: family["type"] for family in prometheus.ask("targets/metadata")}
    endings = {"histogram": ("_bucket", "_count", "_sum")}
    shown = {name + ending for name, kind in families.items() for ending in endings.get(kind, ("",))}
    assert metrics_in(" ".join(queries())) <= shown

    assert "DustWebhooksRefused" not in prometheus.firing()
    for _ in range(8):
        assert deliver(api, order_event(order()), secret=OTHER_WEBHOOK_SECRET).status_code == 401
    eventually(lambda: "DustWebhooksRefused" in prometheus.firing())
