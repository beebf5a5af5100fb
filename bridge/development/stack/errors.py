"""Errors of the embedded servers and processes."""

import errno


class StackError(Exception):
    """A server or process cannot run. The message says why, for the user of the command."""


def cannot_listen(host: str, port: int, variable: str, error: OSError) -> StackError:
    """The error for a socket that cannot be bound. `variable` sets the port."""
    fix = variable if error.errno in (errno.EADDRINUSE, errno.EACCES) else "DUST_HOST"
    return StackError(f"cannot listen on {host}:{port} ({error.strerror}): set {fix}")
