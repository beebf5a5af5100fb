"""The command that runs scenarios."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.output import AsJson, console, print_result, say
from bridge.errors import InvalidInput
from bridge.ledger.queries import Balance


def scenario(
    files: Annotated[list[Path], typer.Argument(help="Scenarios in YAML.", exists=True, dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """Run scenarios with your rules on an empty database and check the results. Exit code 1 if one differs.

    Your installation is not touched. docs/how-to/test-rules.md says how to write one.
    Example: dust scenario double-week.yaml
    """
    from bridge.development.scenarios.document import read_scenario
    from bridge.development.scenarios.run import stage

    # Read all before the first runs, so that an error in a file is shown at once.
    stories = [(file, read_scenario(_read_text(file), str(file))) for file in files]
    results: list[dict[str, Any]] = []
    with stage() as play:
        for file, story in stories:
            if not as_json:
                console.print(story.name, style="bold", markup=False, highlight=False)
            failures = play(story, (lambda *_: None) if as_json else _show)
            results.append({"file": str(file), "name": story.name, "failures": [vars(failure) for failure in failures]})
            for failure in () if as_json else failures:
                say(f"✗ {file}:{failure.line}: {failure.words}")
    failed = [result for result in results if result["failures"]]
    sentence = f"✗ {len(failed)} of {len(results)} failed" if failed else f"✓ {len(results)} passed"
    print_result(results, sentence, as_json=as_json)
    raise typer.Exit(1 if failed else 0)


def _read_text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text.") from error


def _show(line: int, description: str, balances: list[Balance]) -> None:
    figures = "; ".join(map(_figures, balances))
    say(f"{line:5}  {description:<46} {figures}")


def _figures(balance: Balance) -> str:
    more = [f"{name} {value}" for name in ("held", "pending") if (value := getattr(balance, name))]
    return f"{balance.customer_id}: {', '.join([str(balance.balance), *more])}"
