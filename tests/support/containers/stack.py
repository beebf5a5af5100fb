"""The services of docker-compose.yml, started one by one by podman-compose."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from bridge.development.stack.processes import free_port, until
from tests.support.containers.engine import PROJECT, CommandFailed, Engine

# In the sequence of their dependencies.
SERVICES = ("postgres", "redis", "api", "worker", "redemptions-worker", "medusa-worker", "beat", "flower")
# The only one without a health check.
_UNCHECKED = "beat"
_PATIENCE_SECONDS = 120.0


class Stack:
    """A project of a random name, with the ports and secrets of its own `.env` file."""

    def __init__(self, engine: Engine, folder: Path, settings: Mapping[str, str]) -> None:
        self.engine = engine
        self.project = f"dust-test-{uuid4().hex[:8]}"
        self._file = folder / ".env"
        engine.output("docker/make-env.sh", self._file)
        api_port, flower_port = free_port(), free_port()
        # Podman before 4.7 does not know `host-gateway`: the network is made here, and its gateway is given.
        network = f"{self.project}_default"
        engine.output("podman", "network", "create", network)
        gateway = engine.output("podman", "network", "inspect", "--format={{(index .Subnets 0).Gateway}}", network)
        settings = {"HOST_GATEWAY": gateway.decode().strip(), **settings}
        filled_in = {"DUST_PORT": str(api_port), "DUST_FLOWER_PORT": str(flower_port), **settings}
        lines = dict(line.split("=", 1) for line in self._file.read_text().splitlines() if re.match("[A-Z_]+=", line))
        self.variables = lines | filled_in
        self._file.write_text("".join(f"{name}={value}\n" for name, value in self.variables.items()))
        self.url, self.flower_url = (f"http://127.0.0.1:{port}" for port in (api_port, flower_port))

    def compose(self, *arguments: str) -> None:
        files = ("--file", str(PROJECT / "docker-compose.yml"), "--env-file", str(self._file))
        self.engine.output("podman-compose", "--project-name", self.project, "--in-pod=false", *files, *arguments)

    def start(self, service: str) -> None:
        """Start one service, without those it depends on."""
        self.compose("up", "--detach", "--no-build", "--no-deps", service)

    def migrate(self) -> None:
        self.start("migrate")
        code = self.engine.output("podman", "wait", self.container("migrate")).decode().strip()
        assert code == "0", self.logs("migrate")

    def container(self, service: str) -> str:
        """The id of a service's container."""
        labels = (f"io.podman.compose.project={self.project}", f"com.docker.compose.service={service}")
        filters = [f"--filter=label={label}" for label in labels]
        (container_id,) = self.engine.output("podman", "ps", "--all", "--quiet", *filters).decode().split()
        return container_id

    def inspected(self, service: str) -> dict[str, object]:
        documents: list[dict[str, object]] = json.loads(
            self.engine.output("podman", "inspect", self.container(service))
        )
        return documents[0]

    def process_id(self, service: str) -> int:
        """The id of process 1 of a service as the machine sees it; 0 while its container does not run."""
        state = self.inspected(service)["State"]
        assert isinstance(state, dict)
        return int(state["Pid"])

    def logs(self, service: str) -> str:
        ended = self.engine.run("podman", "logs", "--tail", "60", self.container(service))
        return (ended.stdout + ended.stderr).decode(errors="replace")

    def run(self, service: str, *command: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command in a service's container, to its end."""
        return self.engine.run("podman", "exec", "--interactive", self.container(service), *command, data=data)

    def output(self, service: str, *command: str, data: bytes = b"") -> bytes:
        """What a command in a service's container prints. Raises `CommandFailed`."""
        ended = self.run(service, *command, data=data)
        if ended.returncode:
            output = (ended.stdout + ended.stderr).decode(errors="replace")
            raise CommandFailed(f"{' '.join(command)} in {service} ended with {ended.returncode}:\n{output}")
        return ended.stdout

    def python(self, service: str, code: str) -> subprocess.CompletedProcess[bytes]:
        return self.run(service, "python", "-c", code)

    def sql(self, statement: str, *, user: str = "postgres", database: str = "dust") -> str:
        """What a statement gives, as this user over TCP with the user's password. Raises `CommandFailed`."""
        passwords = {
            "postgres": "POSTGRES_PASSWORD",
            "dust": "POSTGRES_DUST_PASSWORD",
            "dust_serve": "POSTGRES_DUST_SERVE_PASSWORD",
        }
        url = f"postgresql://{user}:{self.variables[passwords[user]]}@127.0.0.1/{database}"
        quiet = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1")
        return self.output("postgres", "psql", *quiet, "--command", statement, url).decode().strip()

    def is_healthy(self, service: str) -> bool:
        """Run the service's own health check once; without one, whether its container runs."""
        if service == _UNCHECKED:
            return self.process_id(service) != 0
        return self.engine.run("podman", "healthcheck", "run", self.container(service)).returncode == 0

    def wait_until_healthy(self, service: str) -> None:
        assert until(lambda: self.is_healthy(service), _PATIENCE_SECONDS), f"{service}:\n{self.logs(service)}"
