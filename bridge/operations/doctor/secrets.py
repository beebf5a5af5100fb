"""Checks of secrets: whether all are set."""

from bridge.operations.doctor.finding import Check, Wrong
from bridge.settings import Settings


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


SECRET_CHECKS = (Check("secrets", _secrets),)
