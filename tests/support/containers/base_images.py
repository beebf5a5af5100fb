"""Stand-ins for the base images, for machines that reach no image registry.

Each is a Debian made by debootstrap under the name of the real image, with what Dust uses of it. The versions are
those of Debian trixie: Python 3.13, Postgres 17 and Redis 8.
"""

import os
import shutil
import tempfile
from pathlib import Path

from tests.support.containers.engine import Engine

_PYTHON, _POSTGRES, _REDIS = (f"docker.io/library/{name}" for name in ("python:3.13-slim", "postgres:18", "redis:7"))
_PACKAGES = "ca-certificates,python3,python3-venv,python3-pip"
_FOLDER = Path(__file__).parent / "base_images"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def make_base_images(engine: Engine) -> None:
    """Make those that are not there yet."""
    if not _exists(engine, _PYTHON):
        _make_python(engine)
    for image, name in ((_POSTGRES, "postgres"), (_REDIS, "redis")):
        if not _exists(engine, image):
            engine.build(image, "--pull-never", "--file", _FOLDER / f"{name}.containerfile", _FOLDER)


def _exists(engine: Engine, image: str) -> bool:
    return engine.run("podman", "image", "exists", image).returncode == 0


def _make_python(engine: Engine) -> None:
    with tempfile.TemporaryDirectory(prefix="dust-debian-") as name:
        root, archive = Path(name) / "root", Path(name) / "root.tar"
        engine.output("debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "trixie", root)
        for program, target in (("python", "python3"), ("pip", "pip3")):
            (root / "usr/local/bin" / program).symlink_to(f"/usr/bin/{target}")
        # As in the real image, pip may install for all of it.
        for file in (*root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"), *root.glob("var/cache/apt/archives/*.deb")):
            file.unlink()
        # A machine whose way to PyPI has a certificate of its own names it in one of these.
        if own := os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE"):
            shutil.copy(own, f"{root}{_CERTIFICATES}")
        engine.output("tar", "--create", "--file", archive, "--directory", root, ".")
        changes = (f"ENV PIP_CERT={_CERTIFICATES}", f"ENV SSL_CERT_FILE={_CERTIFICATES}", 'CMD ["python3"]')
        engine.output("podman", "import", *(f"--change={change}" for change in changes), archive, _PYTHON)
