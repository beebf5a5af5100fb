"""A RabbitMQ of one's own: the programs of Debian's package, with folder, ports and cookie of ours, and no service."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from bridge.stack.processes import free_port, spawn, stop, until
from tests.stack.conftest import data_folder

# What Debian puts on the PATH instead changes to a user and a folder of the service's own.
_FOLDERS = os.pathsep.join(["/usr/lib/rabbitmq/bin", "/usr/sbin", os.environ["PATH"]])
_PROGRAM = shutil.which("rabbitmq-server", path=_FOLDERS)
MISSING = None if _PROGRAM else "RabbitMQ is not installed (on Debian: apt-get install rabbitmq-server)"
# Erlang starts a good hundred applications; with both cores taken by others that was seen to take a minute.
_START_SECONDS = 180.0
_LOGIN = ("guest", "guest")


class RabbitMQ:
    """One server. It can be killed and started again, with its data and at the same address."""

    def __init__(self, folder: Path) -> None:
        self.port, self._http_port = free_port(), free_port()
        self._folder = folder
        self._epmd_port = free_port()
        self._environment = self._settings()
        # Erlang's directory of nodes. The server would start one that outlives it.
        epmd = ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
        self._epmd = spawn(epmd, death_signal=signal.SIGKILL, env=self._environment)
        self._server = self._start()

    def _settings(self) -> dict[str, str]:
        configuration = self._folder / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.default = 127.0.0.1:{self.port}\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self._http_port}\n"
            # A full disk of the machine is not what is tested.
            "disk_free_limit.absolute = 1MB\nvm_memory_high_watermark.absolute = 1GB\nlog.console = true\n"
        )
        plugins = self._folder / "enabled_plugins"
        plugins.write_text("[rabbitmq_management].")
        return {
            "PATH": _FOLDERS,
            "LANG": "C.UTF-8",
            # The cookie is made here.
            "HOME": str(self._folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "dust@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder),
            "RABBITMQ_LOGS": "-",
            # Two schedulers that do not spin while they wait: the cores are for the tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
            # Its script then becomes the server instead of standing in front of it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _start(self) -> Any:
        with (self._folder / "rabbitmq.log").open("ab") as log:
            assert _PROGRAM, MISSING
            return spawn([_PROGRAM], death_signal=signal.SIGKILL, env=self._environment, stdout=log)

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        self._server = self._start()
        self.wait()

    def wait(self) -> None:
        came_up = until(lambda: self._server.poll() is not None or self.answers(), _START_SECONDS)
        if not came_up or not self.answers():
            tail = (self._folder / "rabbitmq.log").read_text(errors="replace")[-3000:]
            raise AssertionError(f"RabbitMQ does not start:\n{tail}")

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/api/health/checks/port-listener/" + str(self.port)).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """SIGKILL, to the server and the little programs that it has started."""
        stop(self._server)

    def pause(self) -> None:
        """It keeps its connections and says nothing more, until `resume`."""
        self._server.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._server.send_signal(signal.SIGCONT)

    def end(self) -> None:
        # Its data goes with its folder: nobody waits for it to write anything down.
        stop(self._server)
        stop(self._epmd)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The management plug-in's API."""
        url = f"http://127.0.0.1:{self._http_port}{path}"
        return httpx.request(method, url, auth=_LOGIN, timeout=30, trust_env=False, **more)

    @contextmanager
    def apart(self, name: str) -> Iterator[str]:
        """A virtual host that nobody else uses; its URL."""
        self.ask("PUT", f"/api/vhosts/{name}").raise_for_status()
        try:
            yield f"amqp://{':'.join(_LOGIN)}@127.0.0.1:{self.port}/{name}"
        finally:
            if self.answers():
                self.ask("DELETE", f"/api/vhosts/{name}")


@contextmanager
def running_rabbitmq() -> Iterator[RabbitMQ]:
    """A server of one's own, that answers."""
    with data_folder() as folder:
        server = RabbitMQ(folder)
        try:
            server.wait()
            yield server
        finally:
            server.end()


_kept = ExitStack()


@cache
def shared_rabbitmq() -> RabbitMQ:
    """The one of this test process, for those who need only a virtual host; started when somebody first asks."""
    return _kept.enter_context(running_rabbitmq())


def end_shared_rabbitmq() -> None:
    _kept.close()
    shared_rabbitmq.cache_clear()
