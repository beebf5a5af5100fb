"""Errors of the embedded servers and processes."""


class StackError(Exception):
    """A server or process cannot run. The message says why, for the user of the command."""
