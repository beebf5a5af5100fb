"""TLS options for the broker's address, and a check whether the broker answers.

Only the health check and `dust doctor` check the broker. All other code drops a message that it cannot send.
"""

import ssl
from pathlib import Path
from typing import Any

from kombu.connection import Connection
from kombu.exceptions import OperationalError

_TIMEOUT_SECONDS = 1.0
_KEPT_SECONDS = 60


class _NameOfEachNode(dict[str, Any]):
    """TLS options in which `server_hostname` always reads as None.

    kombu replaces a None by the name of the node that it connects to, in a dict that all connections share. The next
    node of a cluster would then be rejected, because its certificate does not have the first node's name.
    """

    def __getitem__(self, key: str) -> Any:
        return None if key == "server_hostname" else super().__getitem__(key)


def broker_tls(url: str, ca_file: Path | None) -> dict[str, Any] | None:
    """TLS options for the broker's client; None without TLS.

    By default Redis' client checks no certificate, and RabbitMQ's client does not check the host name in it. Without
    `ca_file` the certificate must be signed by an authority that the machine trusts.
    """
    authority = str(ca_file) if ca_file else None
    if url.startswith("amqps://"):
        return _NameOfEachNode(cert_reqs=ssl.CERT_REQUIRED, ca_certs=authority, server_hostname=None)
    if url.startswith("rediss://"):
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": authority}
    return None


def broker_problem(url: str, ca_file: Path | None) -> str | None:
    """The error of the broker's client if the broker cannot be used; None if it can.

    Redis must accept a write.
    """
    is_redis = url.startswith("redis")
    # Without a timeout a Redis that hangs would block the caller without limit.
    options = {"socket_timeout": _TIMEOUT_SECONDS, "socket_connect_timeout": _TIMEOUT_SECONDS} if is_redis else {}
    try:
        broker = Connection(  # type: ignore[no-untyped-call]
            url, connect_timeout=_TIMEOUT_SECONDS, transport_options=options, ssl=broker_tls(url, ca_file)
        )
        with broker as connection:
            # Any node of a cluster is enough.
            nodes = len(url.split(";"))
            connection.ensure_connection(
                max_retries=nodes, interval_start=0, interval_step=0, timeout=nodes * _TIMEOUT_SECONDS
            )
            if is_redis:
                # A full Redis, or a replica after a failover, answers but takes no messages.
                connection.default_channel.client.setex("dust:health", _KEPT_SECONDS, 1)
    except OperationalError as error:
        return str(error)
    except Exception as error:
        # Clients raise their own errors for a wrong password, an unknown host or an unknown virtual host.
        return f"{type(error).__name__}: {error}"
    return None
