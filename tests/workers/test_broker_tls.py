"""A broker with TLS: the name in its certificate and the signature are checked, for RabbitMQ and Redis."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from kombu.transport.pyamqp import SSLTransport

from bridge.development.stack.redis import embedded_redis
from bridge.queue.broker import broker_problem, broker_tls
from tests.support.child_processes import data_folder
from tests.support.clock import machine_now
from tests.support.deliveries import deliver
from tests.support.orders import order, order_event
from tests.support.ports import reserved_port
from tests.support.processes import eventually, serving_dust
from tests.support.rabbitmq import MISSING, running_rabbitmq

pytestmark = pytest.mark.servers

# A host name in the certificate, and one of the same server that is not in it.
NAMED, UNNAMED = "127.0.0.1", "127.0.0.2"


class Authority:
    """A new authority that signs certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "ca.pem"
        certificate = self._sign("A test's own", self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.file.write_bytes(certificate)

    def sign_server(self) -> tuple[Path, Path]:
        """Files of a certificate for `NAMED` and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = self._folder / "server.pem", self._folder / "server.key"
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(NAMED))])
        certificate.write_bytes(self._sign("A broker", key, names))
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, secret

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        def named(common: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])

        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("A test's own"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(machine_now() - timedelta(hours=1))
            .not_valid_after(machine_now() + timedelta(hours=1))
            .add_extension(extension, critical=True)
        )
        return builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def authority() -> Iterator[Authority]:
    with data_folder() as folder:
        yield Authority(folder)


@pytest.fixture(scope="module", params=["amqps", "rediss"])
def broker(request: pytest.FixtureRequest, authority: Authority) -> Iterator[str]:
    """The address of a broker that speaks TLS only."""
    if request.param == "amqps" and MISSING:
        pytest.skip(MISSING)
    with (rabbitmq_behind_tls if request.param == "amqps" else redis_behind_tls)(*authority.sign_server()) as url:
        yield url


@contextmanager
def rabbitmq_behind_tls(certificate: Path, key: Path) -> Iterator[str]:
    port = reserved_port()
    more = (
        f"listeners.ssl.1 = {NAMED}:{port}\nlisteners.ssl.2 = {UNNAMED}:{port}\n"
        f"ssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n"
    )
    with running_rabbitmq(more):
        yield f"amqps://guest:guest@{NAMED}:{port}/%2F"


@contextmanager
def redis_behind_tls(certificate: Path, key: Path) -> Iterator[str]:
    """The wheel's server has no TLS, so a proxy in front of it has it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with data_folder() as folder, embedded_redis(folder) as plain:
        parts = urlsplit(plain)
        with unwrapping(context, parts.port) as port:
            yield f"rediss://:{parts.password}@{NAMED}:{port}/0"


@contextmanager
def unwrapping(context: ssl.SSLContext, behind: int | None) -> Iterator[int]:
    """A port that terminates TLS and forwards to another port."""
    port, loop = reserved_port(), asyncio.new_event_loop()
    opened, leaving = threading.Event(), asyncio.Event()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError), closing(writer):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside = await asyncio.open_connection(NAMED, behind)
        await asyncio.gather(pass_on(reader, inside[1]), pass_on(inside[0], writer))

    async def stand() -> None:
        async with await asyncio.start_server(serve, [NAMED, UNNAMED], port, ssl=context):
            opened.set()
            await leaving.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(stand())

    thread = threading.Thread(target=run)
    thread.start()
    assert opened.wait(60)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(leaving.set)
        thread.join()


def test_a_broker_needs_a_certificate_with_its_name_and_a_known_authority(broker: str, authority: Authority) -> None:
    assert broker_problem(broker, authority.file) is None
    assert "CERTIFICATE_VERIFY_FAILED" in str(broker_problem(broker, None))
    elsewhere = broker.replace(NAMED, UNNAMED)
    assert "IP address mismatch" in str(broker_problem(elsewhere, authority.file))


def test_dust_works_over_tls(broker: str, authority: Authority, settings: dict[str, str]) -> None:
    environment = {
        **settings,
        "DUST_BROKER_URL": broker,
        "DUST_BROKER_CA_FILE": str(authority.file),
        "DUST_SWEEP_SECONDS": "86400",
    }
    handled = "SELECT count(*) FROM webhook_event WHERE state = 'handled'"
    with (
        psycopg.connect(settings["DUST_DATABASE_URL"], autocommit=True) as owner,
        serving_dust(environment, worker="worker --concurrency 1") as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
    ):
        assert deliver(client, order_event(order())).status_code == 202
        eventually(lambda: owner.execute(handled).fetchone() == (1,))
        assert client.get("/health/ready").json()["degraded"] == []


def test_each_node_of_a_cluster_needs_a_certificate_with_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "amqps://one/dust;amqps://two/dust;amqps://three/dust"
    held: list[tuple[str, str]] = []

    def connect(*, host: str, ssl: dict[str, Any], **_: Any) -> None:
        # In the form in which the client parses it.
        held.append((host, {**ssl}["server_hostname"]))
        raise ConnectionRefusedError

    monkeypatch.setattr(SSLTransport, "Connection", staticmethod(connect))
    connection = Connection(url, ssl=broker_tls(url, None))
    with suppress(ConnectionRefusedError, OperationalError):
        connection.ensure_connection(max_retries=3, interval_start=0, interval_step=0)
    assert held == [(f"{name}:5671", name) for name in ("one", "two", "three", "one")]
