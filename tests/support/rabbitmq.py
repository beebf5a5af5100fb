"""Start RabbitMQ servers for tests: the programs of Debian's package with their own folder, ports and cookie."""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx

from bridge.development.stack.processes import spawn, stop, until
from tests.support.child_processes import data_folder
from tests.support.ports import reserved_port

# What Debian puts on the PATH instead changes to a user and a folder of the service's own.
_FOLDERS = os.pathsep.join(["/usr/lib/rabbitmq/bin", "/usr/sbin", os.environ["PATH"]])
_PROGRAM = shutil.which("rabbitmq-server", path=_FOLDERS)
MISSING = None if _PROGRAM else "RabbitMQ is not installed (on Debian: apt-get install rabbitmq-server)"
# Erlang starts a good hundred applications; with both cores taken by others that was seen to take a minute.
_START_SECONDS = 180.0
_STOP_SECONDS = 60.0
_LOGIN = ("guest", "guest")


class _Neighbourhood:
    """What the nodes of a cluster share: a home, with the cookie they know each other by, and a directory of nodes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        cookie = folder / ".erlang.cookie"
        cookie.write_text(token_hex(16))
        cookie.chmod(0o400)
        self.environment = {
            "PATH": _FOLDERS,
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(reserved_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        # A server would start one that outlives it.
        epmd = ["epmd", "-port", self.environment["ERL_EPMD_PORT"], "-address", "127.0.0.1"]
        self._epmd = spawn(epmd, death_signal=signal.SIGKILL, env=self.environment)

    def end(self) -> None:
        stop(self._epmd)


class RabbitMQ:
    """One server. It can be killed and started again, with its data and at the same address.

    `all_nodes` are the names of the cluster that it is to be one of; `more` is added to its configuration.
    """

    def __init__(
        self, around: _Neighbourhood, node: str = "dust@localhost", *, all_nodes: Sequence[str] = (), more: str = ""
    ) -> None:
        self.port, self._http_port = reserved_port(), reserved_port()
        self.node = node
        self._folder = around.folder / node
        self._folder.mkdir(mode=0o711)
        self._environment = around.environment | self._settings(all_nodes, more)
        self._server = self._start()

    def _settings(self, all_nodes: Sequence[str], more: str) -> dict[str, str]:
        configuration = self._folder / "rabbitmq.conf"
        cluster = [f"cluster_formation.classic_config.nodes.{n} = {name}\n" for n, name in enumerate(all_nodes, 1)]
        configuration.write_text(
            f"listeners.tcp.default = 127.0.0.1:{self.port}\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self._http_port}\n"
            # A full disk of the machine is not what is tested.
            "disk_free_limit.absolute = 1MB\nvm_memory_high_watermark.absolute = 1GB\nlog.console = true\n"
            + "".join(cluster)
            + more
        )
        plugins = self._folder / "enabled_plugins"
        plugins.write_text("[rabbitmq_management].")
        return {
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(reserved_port()),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder),
            "RABBITMQ_LOGS": "-",
            # Two schedulers that do not spin while they wait: the cores are for the tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
            # The script then becomes the server process, instead of its parent.
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
        """Stop all of its threads until `resume`. It keeps its connections and answers nothing.

        Each thread stops when it is scheduled next: on a busy machine the last one was seen to go on for half a second.
        """
        self._server.send_signal(signal.SIGSTOP)
        assert until(lambda: _is_stopped(self._server.pid), _STOP_SECONDS)

    def resume(self) -> None:
        self._server.send_signal(signal.SIGCONT)

    def end(self) -> None:
        # Its folder is deleted, so it need not save its data.
        stop(self._server)

    def members(self) -> set[str]:
        """The nodes of its cluster that run, as it sees them."""
        nodes = self.ask("GET", "/api/nodes").raise_for_status().json()
        return {node["name"] for node in nodes if node["running"]}

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The management plug-in's API."""
        url = f"http://127.0.0.1:{self._http_port}{path}"
        return httpx.request(method, url, auth=_LOGIN, timeout=30, trust_env=False, **more)

    @contextmanager
    def apart(self, name: str) -> Iterator[str]:
        """The URL of a new virtual host."""
        self.ask("PUT", f"/api/vhosts/{name}").raise_for_status()
        try:
            yield f"amqp://{':'.join(_LOGIN)}@127.0.0.1:{self.port}/{name}"
        finally:
            if self.answers():
                self.ask("DELETE", f"/api/vhosts/{name}")


def _is_stopped(pid: int) -> bool:
    """Whether every thread of the process is stopped. `State` is the third field, after the name in parentheses."""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)


@contextmanager
def _neighbourhood() -> Iterator[tuple[_Neighbourhood, ExitStack]]:
    """With a stack that ends its servers."""
    with data_folder() as folder, ExitStack() as stack:
        around = _Neighbourhood(folder)
        stack.callback(around.end)
        yield around, stack


@contextmanager
def running_rabbitmq(more: str = "") -> Iterator[RabbitMQ]:
    """Start a server during the block. `more` is added to its configuration."""
    with _neighbourhood() as (around, stack):
        server = RabbitMQ(around, more=more)
        stack.callback(server.end)
        server.wait()
        yield server


@contextmanager
def running_cluster(size: int = 3) -> Iterator[list[RabbitMQ]]:
    """Start a cluster of this many servers."""
    names = [f"dust{number}@localhost" for number in range(size)]
    with _neighbourhood() as (around, stack):
        servers = []
        for name in names:
            server = RabbitMQ(around, name, all_nodes=names)
            stack.callback(server.end)
            servers.append(server)
        for server in servers:
            server.wait()
        assert until(lambda: all(len(server.members()) == size for server in servers), _START_SECONDS)
        yield servers


_kept = ExitStack()


@cache
def shared_rabbitmq() -> RabbitMQ:
    """The one of this test process, for tests that need only a virtual host; started at the first use."""
    return _kept.enter_context(running_rabbitmq())


def end_shared_rabbitmq() -> None:
    _kept.close()
    shared_rabbitmq.cache_clear()
