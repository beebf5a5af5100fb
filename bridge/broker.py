"""Is the broker there? Health and doctor ask; everything else lets a hint fail and goes on."""

from kombu.connection import Connection
from kombu.exceptions import OperationalError

_TIMEOUT_SECONDS = 1.0


def broker_problem(url: str) -> str | None:
    """Why the broker cannot be used, in the words of its client; None when it can."""
    is_redis = url.startswith("redis")
    # Without it a Redis that hangs keeps whoever asks for ever.
    options = {"socket_timeout": _TIMEOUT_SECONDS, "socket_connect_timeout": _TIMEOUT_SECONDS} if is_redis else {}
    try:
        broker = Connection(url, connect_timeout=_TIMEOUT_SECONDS, transport_options=options)  # type: ignore[no-untyped-call]
        with broker as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=_TIMEOUT_SECONDS)
    except OperationalError as error:
        return str(error)
    except Exception as error:
        # Clients have errors of their own for a wrong password, an unknown host, a virtual host that is not there.
        return f"{type(error).__name__}: {error}"
    return None
