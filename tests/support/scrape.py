"""Read /metrics as Prometheus would."""

from typing import Any

from prometheus_client.parser import text_string_to_metric_families


class Scraped:
    """One answer of /metrics."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of exactly this series; None when it is not there."""
        return self._values.get((name, frozenset(labels.items())))

    def labels(self, name: str, label: str) -> set[str]:
        """Every value that this label of the metric has."""
        return {dict(labels)[label] for sample, labels in self._values if sample == name}


def scrape(client: Any) -> Scraped:
    response = client.get("/metrics")
    assert response.status_code == 200
    return Scraped(response.text)
