"""Free TCP ports on loopback, and how to keep one until its server is up."""

import contextlib
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from wallet_project.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"
_TRIES = 100


def is_free(port: int) -> bool:
    """Whether a server may have `port`: nobody listens on it, and nobody has reserved it."""
    with contextlib.ExitStack() as stack:
        return _hold(port, stack) is not None


def answers(port: int) -> bool:
    """Whether somebody listens on `port`."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def free_ports(preferred: int) -> Iterator[int]:
    """`preferred` if it is free, then those above it that are. Raises EmbeddedError when none of a hundred is."""
    found = False
    for port in range(preferred, min(preferred + _TRIES, 65536)):
        if is_free(port):
            found = True
            yield port
    if not found:
        raise EmbeddedError(f"No free port from {preferred} to {preferred + _TRIES - 1} on {LOOPBACK}.")


@contextmanager
def reserved(preferred: int | None = None) -> Iterator[int]:
    """`preferred` or the next free port (None: any), which nobody else is given until the block ends.

    A server that sets SO_REUSEADDR, as nearly all do, can listen on it all the same. Raises EmbeddedError."""
    candidates = range(preferred, min(preferred + _TRIES, 65536)) if preferred else [0] * _TRIES
    for candidate in candidates:
        with contextlib.ExitStack() as stack:
            port = _hold(candidate, stack)
            if port is not None:
                yield port
                return
    raise EmbeddedError(f"No free port from {candidates[0]} to {candidates[-1]} on {LOOPBACK}.")


def is_well(url: str) -> bool:
    """Whether what is at `url` answers with 200."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # Whatever http_proxy says.
    try:
        with direct.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _hold(port: int, stack: contextlib.ExitStack) -> int | None:
    """Take `port`, 0 for any, until the stack is closed; None if somebody else has it."""
    holder = stack.enter_context(socket.socket())
    # Bound, so that nobody is given it by chance; with this option Linux lets others that have it share the port until
    # one of them listens, and gets past old connections that are still closing.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((LOOPBACK, port))
        port = holder.getsockname()[1]
        # So others of our kind could share it too. This name is one's alone, goes with its process, and is known just
        # where the port is: in the same network namespace.
        stack.enter_context(socket.socket(socket.AF_UNIX)).bind(f"\0wallet-port-{port}")
    except OSError:
        stack.close()
        return None
    return port
