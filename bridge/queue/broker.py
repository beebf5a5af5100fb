"""The broker's address: how it is reached safely, and whether it is there.

Health and doctor ask for it; everywhere else a message that cannot be sent is given up.
"""

import ssl
from pathlib import Path
from typing import Any

from kombu.connection import Connection
from kombu.exceptions import OperationalError

_TIMEOUT_SECONDS = 1.0


class _NameOfEachNode(dict[str, Any]):
    """kombu writes the name of the node that it connects to where there is None, into what all connections share: asked
    again it must find None, or the next node of a cluster is refused because it has not the name of the first."""

    def __getitem__(self, key: str) -> Any:
        return None if key == "server_hostname" else super().__getitem__(key)


def broker_tls(url: str, ca_file: Path | None) -> dict[str, Any] | None:
    """What the broker's client is told to check; None without TLS.

    Unsaid, Redis' client would check nothing, and that of RabbitMQ not whose certificate it is. Without a file, an
    authority must be one that the machine knows.
    """
    authority = str(ca_file) if ca_file else None
    if url.startswith("amqps://"):
        return _NameOfEachNode(cert_reqs=ssl.CERT_REQUIRED, ca_certs=authority, server_hostname=None)
    if url.startswith("rediss://"):
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": authority}
    return None


def broker_problem(url: str, ca_file: Path | None) -> str | None:
    """Why the broker cannot be used, in the words of its client; None when it can."""
    is_redis = url.startswith("redis")
    # Without it a Redis that hangs keeps whoever asks for ever.
    options = {"socket_timeout": _TIMEOUT_SECONDS, "socket_connect_timeout": _TIMEOUT_SECONDS} if is_redis else {}
    try:
        broker = Connection(  # type: ignore[no-untyped-call]
            url, connect_timeout=_TIMEOUT_SECONDS, transport_options=options, ssl=broker_tls(url, ca_file)
        )
        with broker as connection:
            # Of a cluster any node will do.
            nodes = len(url.split(";"))
            connection.ensure_connection(
                max_retries=nodes, interval_start=0, interval_step=0, timeout=nodes * _TIMEOUT_SECONDS
            )
    except OperationalError as error:
        return str(error)
    except Exception as error:
        # Clients have errors of their own for a wrong password, an unknown host, a virtual host that is not there.
        return f"{type(error).__name__}: {error}"
    return None
