"""Doctor: checks an installation step by step. Each problem found comes with its fix.

A check that depends on a failed one (the tables of a database that does not answer) is skipped, so that a problem is
reported once.
"""

from collections.abc import Iterator

from bridge.errors import DustError
from bridge.observability.logs import redact
from bridge.operations.doctor.database import DATABASE_CHECKS
from bridge.operations.doctor.finding import Check, Finding, Wrong
from bridge.operations.doctor.medusa import MEDUSA_CHECKS
from bridge.operations.doctor.processes import PROCESS_CHECKS, flower_check
from bridge.operations.doctor.secrets import SECRET_CHECKS
from bridge.settings import Settings, SettingsError, load_settings, misspelt_variables


def examine(flower_url: str | None = None) -> Iterator[Finding]:
    """Run all checks and yield each finding at once. `flower_url` is the address of a Flower on another machine."""
    try:
        settings = load_settings()
    except SettingsError as error:
        for problem in error.problems:
            fix = "Change or unset the variable; the settings reference explains each."
            yield Finding(check="settings", ok=False, detail=problem, fix=fix)
        return
    for line in misspelt_variables():
        yield Finding(check="settings", ok=False, detail=line, fix="Rename the variable, or unset it.")
    passed: set[str] = set()
    for check in (*_CHECKS, flower_check(flower_url)):
        finding = _find(check, settings, passed)
        if finding.ok:
            passed.add(check.name)
        yield finding


def _find(check: Check, settings: Settings, passed: set[str]) -> Finding:
    if check.after and check.after not in passed:
        return Finding(check=check.name, ok=None, detail=f"not checked: first fix what is said of {check.after}")
    try:
        return Finding(check=check.name, ok=True, detail=check.run(settings))
    except Wrong as wrong:
        return Finding(check=check.name, ok=False, detail=wrong.detail, fix=wrong.fix)
    except DustError as error:
        # The service answered the first check but not this one.
        return Finding(check=check.name, ok=False, detail=error.message, fix="Run `dust doctor` again.")
    except Exception as error:
        # A service that answers in an unexpected way must not hide what the other checks find.
        detail = redact(f"could not be checked ({type(error).__name__}: {error})")
        return Finding(check=check.name, ok=False, detail=detail, fix="Does the right program answer there?")


_CHECKS = (*SECRET_CHECKS, *DATABASE_CHECKS, *PROCESS_CHECKS, *MEDUSA_CHECKS)
