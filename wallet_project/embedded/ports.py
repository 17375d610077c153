"""Free TCP ports on loopback."""

import socket
from collections.abc import Iterator

from wallet_project.embedded.errors import EmbeddedError

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def free_ports(preferred: int, *, tries: int = 100) -> Iterator[int]:
    """`preferred` if it is free, then those above it that are. Raises EmbeddedError when none of `tries` is."""
    found = False
    for port in range(preferred, min(preferred + tries, 65536)):
        if is_free(port):
            found = True
            yield port
    if not found:
        raise EmbeddedError(f"No free port from {preferred} to {preferred + tries - 1} on {LOOPBACK}.")


def reserve() -> tuple[int, socket.socket]:
    """A port that nobody else will be given while the socket is kept open, and that a server which sets SO_REUSEADDR
    (PostgreSQL and Valkey do) can listen on all the same: Linux lets two such sockets share it until one listens."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((LOOPBACK, 0))
    return holder.getsockname()[1], holder
