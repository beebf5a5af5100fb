"""`make bench`: measure, print and store the figures. Example: make bench ARGS="--only intake --quick" """

import sys
import time
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import report
from benchmarks.apart import measured_apart
from benchmarks.figures import FULL, QUICK, Outcome

MEASURES = (
    "intake",
    "drain",
    "latency",
    "reads",
    "hot",
    "growth",
    "soak",
    "redemption",
    "isolation",
    "reconcile",
    "outage",
    "memory",
)


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(MEASURES)}; may be repeated.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of everything: to see that it runs.")] = False,
    seconds: Annotated[float | None, typer.Option(min=3, help="How long the soak lasts.")] = None,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Put the figures into docs/explanation/performance.md.")
    ] = False,
) -> None:
    """Measure how fast Dust is on this machine, and print each figure next to its limit."""
    # What goes into a file is not cut to the width of a terminal that is not there.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    for name in only or ():
        if name not in MEASURES:
            raise typer.BadParameter(f"there is no measure {name!r}: one of {', '.join(MEASURES)}")
    around = report.circumstances()
    console.print(
        f"commit {around['commit']}, {around['cpu']}, {around['cores']} cores, load {around['load_before']}",
        style="dim",
    )
    scale = QUICK if quick else FULL
    if seconds is not None:
        scale = replace(scale, steady_seconds=seconds)
    outcomes: dict[str, Outcome] = {}
    for name in only or MEASURES:
        started = time.monotonic()
        with console.status(f"measuring {name}"):
            outcomes[name] = measured_apart(name, scale)
        console.print(f"{name}: {time.monotonic() - started:.0f} s", style="dim")
    scale_name = "quick" if quick else "full"
    before = report.Before(scale_name)
    report.show(console, outcomes, before)
    for file in report.keep(around, outcomes, scale_name):
        console.print(f"written: {file.relative_to(report.RESULTS.parent.parent)}", style="dim")
    if write_docs:
        report.write_page(around, outcomes, before)


if __name__ == "__main__":
    typer.run(main)
