"""`dust doctor`: checks the installation and says how to fix what is wrong."""

from typing import Annotated

import typer

from bridge.cli.output import AsJson, console, print_json, say
from bridge.operations.doctor import examine
from bridge.operations.doctor.finding import Finding

_MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: "–"}


def doctor(
    flower: Annotated[str | None, typer.Option(help="Flower's address, if it is not on this machine.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the installation. Each ✗ says how to fix it, and the exit code is 1. Example: dust doctor"""
    findings = []
    for finding in examine(flower):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        print_json([vars(finding) for finding in findings])
    raise typer.Exit(1 if any(finding.ok is False for finding in findings) else 0)


def _show(finding: Finding) -> None:
    console.print(_MARKS[finding.ok], end=" ", markup=True)
    say(f"{finding.check}: {finding.detail}")
    if finding.ok is False:
        say(f"  → {finding.fix}")
