"""What the stack raises."""


class StackError(Exception):
    """A server or process of the stack cannot run; the message says why, in words for whoever typed the command."""
