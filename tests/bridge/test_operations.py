"""The alerts, the dashboard and the operators' pages: every metric in them exists."""

import re
from typing import Any

import promql_parser
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests.support.alerts import DASHBOARD, DOCS, PANELS, RULES, metrics_in, queries
from tests.support.databases import lost_database

SAMPLE_ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def headings() -> set[str]:
    return set(re.findall(r"^## (\w+)$", (DOCS / "how-to" / "runbook.md").read_text(), re.MULTILINE))


@pytest.mark.parametrize("query", queries())
def test_every_query_is_promql(query: str) -> None:
    promql_parser.parse(query)


def test_every_metric_that_is_asked_for_is_shown(api: TestClient) -> None:
    shown = {
        family.name + ending
        for family in text_string_to_metric_families(api.get("/metrics").text)
        for ending in SAMPLE_ENDINGS.get(family.type, ())
    }
    assert len(metrics_in(" ".join(queries()))) > 20
    assert metrics_in(" ".join(queries())) <= shown


def test_every_metric_that_is_shown_is_explained(api: TestClient) -> None:
    page = (DOCS / "how-to" / "monitoring.md").read_text()
    families = text_string_to_metric_families(api.get("/metrics").text)
    unexplained = {f.name for f in families if f.name.startswith("dust_") and f.name not in page}
    # Named there by their endings, to spare the reader three times the same.
    assert unexplained <= {"dust_events_rescheduled", "dust_events_failed", "dust_events_retried"}


def test_every_alert_has_an_entry_in_the_runbook_and_no_entry_is_without_one() -> None:
    assert {rule["alert"] for rule in RULES} == headings()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/how-to/runbook.md#{rule['alert'].lower()}"


def test_totals_are_never_summed_over_instances() -> None:
    """Every API process shows the same ones."""
    for query in queries():
        if "dust_" in query and "absent" not in query:
            assert "max" in query, query


def test_the_dashboard_is_one() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in PANELS:
        assert panel["title"]
        assert panel["targets"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_without_the_database_the_alert_about_it_has_its_metric(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge.api import health

    health._registry.cache_clear()
    with lost_database(monkeypatch):
        assert "dust_database_up 0.0" in api.get("/metrics").text
    health._registry.cache_clear()
