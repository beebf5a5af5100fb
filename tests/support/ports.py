"""Ports for servers that a test starts in other processes."""

import socket


def reserved_port(host: str = "127.0.0.1") -> int:
    """A port that no other process can get while this one lives: it is bound, but not listening.

    A server that sets SO_REUSEADDR, as all of ours do, can listen on it, also after a restart (seen on Linux 6.18).
    Until then connections are refused.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, 0))
    port: int = holder.getsockname()[1]
    # Open until this process ends.
    holder.detach()
    return port
