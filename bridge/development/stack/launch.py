"""Run another program that dies with its parent: `python -I -S launch.py PARENT SIGNAL UID:GID COMMAND…`

A separate script, not a `preexec_fn`, because Python code between fork and exec can deadlock in a process with threads.
It imports only the standard library, before the user changes, because the new user may not be able to read Python's
files.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, death_signal: str, account: str, *command: str) -> None:
    """Without UID:GID the user does not change."""
    # Only Linux has such a signal. Elsewhere the servers end with their parent unless it gets SIGKILL.
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if account:
        uid, gid = map(int, account.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of user, which clears it. exec keeps it.
    if libc and libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    # A parent that died before the line above sends no signal.
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
