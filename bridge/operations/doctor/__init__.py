"""Doctor: checks an installation step by step. Each problem found comes with its fix.

A check that depends on a failed one (the tables of a database that does not answer) is skipped, so that a problem is
reported once.
"""

from collections.abc import Iterator

from bridge.errors import DustError
from bridge.operations.doctor.check import Check, Finding, Wrong
from bridge.operations.doctor.database import DATABASE_CHECKS
from bridge.operations.doctor.medusa import MEDUSA_CHECKS
from bridge.operations.doctor.processes import PROCESS_CHECKS, flower_check
from bridge.settings import Settings, SettingsError, load_settings


def examine(flower_url: str | None = None) -> Iterator[Finding]:
    """Run all checks and yield each finding at once. `flower_url` is the address of a Flower on another machine."""
    try:
        settings = load_settings()
    except SettingsError as error:
        for problem in error.problems:
            fix = "Change or unset the variable; the settings reference explains each."
            yield Finding(check="settings", ok=False, detail=problem, fix=fix)
        return
    well: set[str] = set()
    for check in (*_CHECKS, flower_check(flower_url)):
        finding = _find(check, settings, well)
        if finding.ok:
            well.add(check.name)
        yield finding


def _find(check: Check, settings: Settings, well: set[str]) -> Finding:
    if check.after and check.after not in well:
        return Finding(check=check.name, ok=None, detail=f"not checked: first fix what is said of {check.after}")
    try:
        return Finding(check=check.name, ok=True, detail=check.run(settings))
    except Wrong as wrong:
        return Finding(check=check.name, ok=False, detail=wrong.detail, fix=wrong.fix)
    except DustError as error:
        # The service answered the first check but not this one.
        return Finding(check=check.name, ok=False, detail=error.message, fix="Run `dust doctor` again.")


def _secrets(settings: Settings) -> str:
    missing = [name for name in ("webhook_secrets", "admin_token") if not getattr(settings, name)]
    if not settings.jwt_secret and not settings.jwt_public_key:
        missing.append("jwt_secret")
    if missing:
        raise Wrong(
            f"not set: {', '.join(f'DUST_{name.upper()}' for name in missing)}",
            fix="`dust secret` makes a webhook secret, which Medusa's plugin needs too; `openssl rand -hex 32` an "
            "admin token; DUST_JWT_SECRET is Medusa's jwtSecret (or set DUST_JWT_PUBLIC_KEY).",
        )
    if settings.jwt_secret:
        return (
            "all are set, and strong enough; recommended: let Medusa sign tokens with RS256 and set "
            "DUST_JWT_PUBLIC_KEY instead of DUST_JWT_SECRET, for with that secret one can sign administrators' tokens"
        )
    return "all are set, and strong enough"


_CHECKS = (Check("secrets", _secrets), *DATABASE_CHECKS, *PROCESS_CHECKS, *MEDUSA_CHECKS)
