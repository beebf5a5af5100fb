"""The running services, for all tests of this folder."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import pytest

from tests.support.containers.base_images import make_base_images
from tests.support.containers.engine import PROJECT, REAL_IMAGES, Engine, locked_engine
from tests.support.containers.stack import SERVICES, Stack


class _MedusaThatIsDown(BaseHTTPRequestHandler):
    """Answers /health, and 503 to everything else: orders earn without Medusa."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _medusa() -> Iterator[int]:
    """The port of a stand-in Medusa on this machine, for the containers to reach as host.docker.internal."""
    with ThreadingHTTPServer(("0.0.0.0", 0), _MedusaThatIsDown) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with locked_engine() as ours:
        yield ours


@pytest.fixture(scope="session")
def image(engine: Engine) -> None:
    """The image `dust`, from the Dockerfile."""
    if REAL_IMAGES:
        print("\nBase images: the real ones, from docker.io", flush=True)
        pull = []
    else:
        print(
            "\nBase images: STAND-INS made of Debian packages (BASE_IMAGES=real takes those of docker.io)", flush=True
        )
        make_base_images(engine)
        pull = ["--pull-never"]
    print("Building the image", flush=True)
    engine.build("dust", *pull, PROJECT)


@pytest.fixture(scope="session")
def stack(engine: Engine, image: None) -> Iterator[Stack]:
    """Every service of docker-compose.yml, healthy."""
    with _medusa() as port, TemporaryDirectory() as folder:
        settings = {
            "DUST_MEDUSA_URL": f"http://host.docker.internal:{port}",
            "DUST_MEDUSA_API_KEY": f"sk_{token_hex(16)}",
            "DUST_JWT_SECRET": token_hex(32),
        }
        running = Stack(engine, Path(folder), settings)
        for service in SERVICES:
            print(f"Starting {service}", flush=True)
            running.start(service)
            running.wait_until_healthy(service)
            if service == "postgres":
                print("Starting migrate", flush=True)
                running.migrate()
        yield running
