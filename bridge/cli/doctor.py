"""`dust doctor`: is everything as it should be, and what to do where it is not."""

from typing import Annotated

import typer

from bridge.cli.output import AsJson, console, print_json
from bridge.operations.doctor import Finding, examine

_MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: "–"}


def add_commands(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    flower: Annotated[str | None, typer.Option(help="Where Flower is, when not on this machine.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the installation; each ✗ says how to fix it. Exit code 1 on any. Example: dust doctor"""
    findings = []
    for finding in examine(flower):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        print_json([vars(finding) for finding in findings])
    raise typer.Exit(1 if any(finding.ok is False for finding in findings) else 0)


def _show(finding: Finding) -> None:
    console.print(_MARKS[finding.ok], end=" ")
    console.print(f"{finding.check}: {finding.detail}", markup=False, highlight=False, soft_wrap=True)
    if finding.ok is False:
        console.print(f"  → {finding.fix}", markup=False, highlight=False, soft_wrap=True)
