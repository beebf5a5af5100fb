"""The queries of the alert rules and the Grafana dashboard in docs/reference."""

import json
import re
from pathlib import Path

import yaml

DOCS = Path(__file__).parents[2] / "docs"
GROUPS = yaml.safe_load((DOCS / "reference" / "alerts.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
DASHBOARD = json.loads((DOCS / "reference" / "grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
# Grafana fills these in before Prometheus sees the query.
VARIABLES = {"$__rate_interval": "5m"}


def queries() -> list[str]:
    expressions = [rule["expr"] for rule in RULES]
    expressions += [target["expr"] for panel in PANELS for target in panel["targets"]]
    for name, value in VARIABLES.items():
        expressions = [query.replace(name, value) for query in expressions]
    return expressions


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:dust|process)_[a-z_]+", text))
