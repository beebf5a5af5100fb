"""Secrets that an installation on one machine makes for itself, once, and keeps."""

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path


def secrets_folder(data_dir: Path) -> Path:
    return data_dir / "secrets"


def kept_secret(data_dir: Path, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
    """The secret of that name, made when there is none yet. The file has mode 600 in a folder of mode 700."""
    folder = secrets_folder(data_dir)
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / name
    if not file.exists():
        descriptor, written = tempfile.mkstemp(dir=folder)
        with os.fdopen(descriptor, "w") as whole:
            whole.write(make())
        try:
            # A link, not a rename: of two processes that start at once the first wins, and both read its secret.
            os.link(written, file)
        except FileExistsError:
            pass
        finally:
            os.unlink(written)
    return file.read_text()
