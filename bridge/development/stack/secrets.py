"""Secrets that `dust up` creates once and stores in the data folder."""

import base64
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bridge.settings import Settings


@dataclass(frozen=True, kw_only=True)
class OwnSecrets:
    """Created secrets: environment variables with their values, and the file of each. Print only the files."""

    environment: dict[str, str]
    files: dict[str, Path]


def own_secrets(settings: Settings, data_dir: Path) -> OwnSecrets:
    """Create the required secrets that the settings do not have, or read those of an earlier run."""
    makers: dict[str, Callable[[], str]] = {}
    if not settings.webhook_secrets:
        makers["DUST_WEBHOOK_SECRETS"] = new_webhook_secret
    if not settings.jwt_secret and not settings.jwt_public_key:
        makers["DUST_JWT_SECRET"] = _token
    if not settings.admin_token:
        makers["DUST_ADMIN_TOKEN"] = _token
    if not settings.flower_cookie_secret:
        makers["DUST_FLOWER_COOKIE_SECRET"] = _token
    return OwnSecrets(
        environment={name: kept_secret(data_dir, name, make) for name, make in makers.items()},
        files={name: data_dir / "secrets" / name for name in makers},
    )


def kept_secret(data_dir: Path, name: str, make: Callable[[], str] | None = None) -> str:
    """Read the secret, or create it. The file has mode 600 in a folder of mode 700."""
    folder = data_dir / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / name
    if not file.exists():
        descriptor, written = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(descriptor, "w") as complete:
                complete.write((make or _token)())
            # A link, not a rename: if two processes start at once, the first wins, and both read its secret.
            os.link(written, file)
        except FileExistsError:
            pass
        finally:
            Path(written).unlink()
    return file.read_text()


def _token() -> str:
    return secrets.token_urlsafe(32)


def new_webhook_secret() -> str:
    """A secret in the format of Standard Webhooks."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
