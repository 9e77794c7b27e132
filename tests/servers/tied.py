"""Become another program that ends when its parent does.

`tied.py SIGNAL UID GID PROGRAM [ARGUMENT ...]`, where `-` keeps the account. A program of its own and not a
`preexec_fn`, which may deadlock once the parent has threads. It needs nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    signal_number, uid, gid, *command = sys.argv[1:]
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform.startswith("linux"):
        # After the change of account, which forgets it. Elsewhere a killed run leaves its servers behind.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    os.execv(command[0], command)  # noqa: S606  # no shell is the point


main()
