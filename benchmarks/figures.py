"""The result of a benchmark."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number and its limit. Without `limit` it is only reported. With `at_most` it must not exceed the limit."""

    measure: str
    name: str
    value: float
    unit: str
    limit: float | None = None
    at_most: bool = False
    limit_is: str = ""
    """Where the limit comes from: empty for a goal, else what was measured beside it."""
    throughput: bool = False
    """Whether the figure is limited by the CPU, and so depends on its speed; see `pace.py`."""

    @property
    def holds(self) -> bool | None:
        if self.limit is None:
            return None
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    @property
    def ratio(self) -> float | None:
        return self.value / self.limit if self.limit else None

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "holds": self.holds, "ratio": self.ratio}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The size of a run: `full` for the documented figures, `quick` to check in seconds that it works."""

    seconds: float = 60.0
    """Of intake; other measures by rate take a third of it, comparisons a quarter."""
    backlog: int = 50_000
    ledger_rows: int = 10_000_000
    soak_events: int = 100_000
    steady_seconds: float = 75.0
    """Of the soak; `--seconds` makes hours of it."""

    @property
    def short_seconds(self) -> float:
        return self.seconds / 3

    @property
    def comparison_seconds(self) -> float:
        return self.seconds / 4


FULL = Scale()
QUICK = Scale(seconds=6, backlog=5_000, ledger_rows=200_000, soak_events=5_000, steady_seconds=15)


def cpu_figures(
    measure: str, ours: str, before: tuple[float, float], after: tuple[float, float], pieces: int
) -> list[Figure]:
    """Return the CPU microseconds per item, of our processes and of Postgres; see `Installation.cpu_seconds`."""
    return [
        Figure(measure=measure, name=f"CPU of {server}, each", value=(end - start) / pieces * 1e6, unit="µs")
        for server, start, end in zip((ours, "Postgres"), before, after, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The figures of one benchmark, with notes for the reader."""

    figures: list[Figure]
    notes: list[str] = field(default_factory=list)
    pace: float = 0.0
    """The speed of a core during the run, see `pace.py`."""


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
