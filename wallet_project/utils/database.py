"""Django's connection, where connections may be shared by the threads of a process (settings.DATABASES)."""

from typing import Any

from django.db import connection


def connect_anew() -> None:
    """After the server has gone away: drop this thread's connection, and those of the pool that went with it, so that
    whoever asks next is not given another dead one."""
    connection.close()
    pool: Any = getattr(connection, "pool", None)
    if pool is not None:
        pool.check()
