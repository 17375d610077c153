"""Which database the bench asks: the wallet's, or another on the same server."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from wallet_project.embedded import roles

FORK = "fork"


@contextmanager
def inside(database: str) -> Iterator[None]:
    """Whatever Django asks within the block, here and in processes that are forked, it asks this database."""
    from django.db import connection

    connection.close()
    own = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = own


@contextmanager
def forked(admin_url: str, *, of: str = roles.DATABASE) -> Iterator[None]:
    """A copy of the wallet's database, FORK, as it is now: people, history, functions, grants and statistics. Whatever
    is asked for in it and waits there is gone with it when the block ends."""
    from django.db import connections

    connections.close_all()
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(FORK))
    with psycopg.connect(admin_url, autocommit=True) as admin:
        roles.create_database(admin, FORK, template=of)
    try:
        yield
    finally:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute(drop)
