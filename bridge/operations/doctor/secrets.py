"""Checks of secrets: whether all are set."""

from bridge.operations.doctor.finding import Check, Wrong
from bridge.settings import Settings


def _secrets(settings: Settings) -> str:
    missing = settings.missing("webhook_secrets", "admin_token")
    if not settings.jwt_public_key:
        missing += settings.missing("jwt_secret")
    if missing:
        raise Wrong(
            f"not set: {', '.join(missing)}",
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
