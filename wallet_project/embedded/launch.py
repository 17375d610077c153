"""Become what a command must run as, then run it: `launch.py [--map UID:GID] [--die-with PID] COMMAND...`

--map: enter a user namespace in which our own user is called UID:GID. PostgreSQL refuses uid 0, and this gives it
another number without giving up access to folders that only root may enter.
--die-with: ask the kernel for a SIGTERM when the process PID, our parent, is gone, however it went.

A script of its own, run with `python -I`, because both are properties of a process that has to be alone and
single-threaded when it asks for them.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1


def _map_user(uid: int, gid: int) -> None:
    our_uid, our_gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")
    # user_namespaces(7): a gid map may be written only after setgroups has been denied.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {our_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {our_gid} 1")


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # It was gone before we asked.
        sys.exit(1)


def main(arguments: list[str]) -> None:
    while arguments and arguments[0].startswith("--"):
        option, value, *arguments = arguments
        if option == "--map":
            uid, gid = value.split(":")
            _map_user(int(uid), int(gid))
        elif option == "--die-with":
            _die_with(int(value))
        else:
            sys.exit(f"launch.py: unknown option {option}")
    os.execvp(arguments[0], arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
