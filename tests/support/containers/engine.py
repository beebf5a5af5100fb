"""Podman and Buildah for the container tests, with separate storage, and without a service or systemd."""

import fcntl
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).parents[3]
# Base images from docker.io, instead of stand-ins.
REAL_IMAGES = os.environ.get("BASE_IMAGES") == "real"
_NAME = "real" if REAL_IMAGES else "stand-ins"
# Images stay here for the next run.
_CACHE = (PROJECT / ".cache").resolve() / "containers" / _NAME
# Files that are deleted at the end of the run.
_RUN = Path("/run/dust-containers")
_LOCK = Path("/run/dust-containers.lock")
# Only a defect or a very slow machine takes this long.
_COMMAND_SECONDS = 900.0


class CommandFailed(AssertionError):
    """A command ended with an error; the message has its output."""


class Engine:
    """Runs commands with Podman's own storage and networks for these tests."""

    def __init__(self) -> None:
        networks = _CACHE / "networks"
        networks.mkdir(parents=True, exist_ok=True)
        files = {
            "CONTAINERS_CONF": "[containers]\n"
            # The defaults may be higher than this process may set.
            f'default_ulimits = ["nofile={_limit(resource.RLIMIT_NOFILE)}", "nproc={_limit(resource.RLIMIT_NPROC)}"]\n'
            # Debian 12's crun refuses machines with both versions of cgroups, and cgroupfs needs no systemd. The locks
            # are in files, because those in memory are shared with the machine's own containers.
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nlock_type = "file"\n'
            f'tmp_dir = "{_RUN / "libpod"}"\n'
            f'[network]\nnetwork_backend = "netavark"\nnetwork_config_dir = "{networks}"\n',
            "CONTAINERS_STORAGE_CONF": '[storage]\ndriver = "overlay"\n'
            f'graphroot = "{_CACHE / "storage"}"\nrunroot = "{_RUN / "storage"}"\n',
            "CONTAINERS_REGISTRIES_CONF": 'unqualified-search-registries = ["docker.io"]\n',
        }
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DUST_", "POSTGRES_"))},
            # Health checks are run by the tests; Podman would have systemd run them.
            "DISABLE_HC_SYSTEMD": "true",
            # Where podman-compose is.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        for variable, text in files.items():
            file = _CACHE / variable.lower().replace("_", ".")
            file.write_text(text)
            self.environment[variable] = str(file)

    def run(self, *command: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, whatever its exit code is."""
        return subprocess.run(
            [str(part) for part in command],
            input=data,
            capture_output=True,
            cwd=PROJECT,
            env=self.environment,
            timeout=_COMMAND_SECONDS,
        )

    def output(self, *command: str | Path, data: bytes = b"") -> bytes:
        """What a command prints. Raises `CommandFailed` when its exit code is not 0."""
        ended = self.run(*command, data=data)
        if ended.returncode:
            output = (ended.stdout + ended.stderr).decode(errors="replace")[-6000:]
            raise CommandFailed(f"{' '.join(map(str, command))} ended with {ended.returncode}:\n{output}")
        return ended.stdout

    def build(self, image: str, *arguments: str | Path) -> None:
        """Build an image. Without namespaces, which a machine that is itself a container may not make."""
        isolation = ("--isolation", "chroot", "--network", "host")
        self.output(
            "buildah", "--runtime", "runc", "bud", "--layers", "--force-rm", *isolation, "--tag", image, *arguments
        )

    def remove_all(self) -> None:
        """Remove containers, networks and volumes; images stay."""
        for command in (
            ("podman", "rm", "--all", "--force", "--time", "5", "--volumes"),
            ("podman", "pod", "rm", "--all", "--force"),
            ("podman", "network", "prune", "--force"),
            ("podman", "volume", "prune", "--force"),
            ("buildah", "rm", "--all"),
            ("podman", "image", "prune", "--force"),
            ("umount", _CACHE / "storage" / "overlay"),
        ):
            self.run(*command)
        shutil.rmtree(_RUN, ignore_errors=True)


@contextmanager
def locked_engine() -> Iterator[Engine]:
    """The engine, for one run of the tests at a time. What a run left that was killed is removed first."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = Engine()
        engine.remove_all()
        try:
            yield engine
        finally:
            engine.remove_all()


def _limit(kind: int) -> str:
    _soft, hard = resource.getrlimit(kind)
    limit = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    return f"{limit}:{limit}"
