"""A database of its own for each test: a copy of the run's migrated template, taken away afterwards.

Commits are real, so hooks on commit run and other threads and processes see them. Nothing is ever flushed or
truncated: the triggers refuse that, and the rows that migrations made would be lost.
"""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from django.db import connections
from psycopg import sql

from tests.support.servers import TestServers
from wallet_project.embedded import roles
from wallet_project.embedded.postgres import ADMIN

#: Where Django's connections lead while no test has a database: nowhere.
NO_DATABASE = "outside_a_test"
_CLOSE_SECONDS = 1.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """One test's own; the URLs work for psycopg, Django and PostgreSQL's programs."""

    name: str
    app_dsn: str
    owner_dsn: str
    admin_dsn: str


class Databases:
    """Makes and removes them, by one connection of the superuser's."""

    def __init__(self, servers: TestServers) -> None:
        servers.wait_until_migrated()
        self._servers = servers
        self._admin = psycopg.connect(servers.database_url(ADMIN, "postgres"), autocommit=True)
        self._prefix = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"

    def close(self) -> None:
        self._admin.close()

    @contextmanager
    def copy(self, template: str | None = roles.DATABASE) -> Iterator[Database]:
        """A copy of the migrated template; with None an empty database with its roles."""
        database = self._named(f"{self._prefix}_{next(_numbers)}")
        roles.create_database(self._admin, database.name, template=template)
        try:
            if template is None:
                with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
                    roles.close_schema(connection)
            yield database
        finally:
            self._drop(database.name)

    def _named(self, name: str) -> Database:
        return Database(
            name=name,
            app_dsn=self._servers.database_url(roles.APPLICATION, name),
            owner_dsn=self._servers.database_url(roles.OWNER, name),
            admin_dsn=self._servers.database_url(ADMIN, name),
        )

    def _drop(self, name: str) -> None:
        # Sessions that have just been closed take a moment to end, and FORCE waits 100 ms for the first it finds.
        deadline = time.monotonic() + _CLOSE_SECONDS
        while time.monotonic() < deadline and self._sessions(name):
            time.sleep(0.002)
        self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _sessions(self, name: str) -> int:
        row = self._admin.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [name]).fetchone()
        return int(row[0]) if row else 0


@contextmanager
def connected_to(database: Database) -> Iterator[None]:
    """Django's connections, in this thread and in those started meanwhile, and the processes started meanwhile, use
    `database`."""
    _lead_to(database.name)
    try:
        yield
    finally:
        _lead_to(NO_DATABASE)


def _lead_to(name: str) -> None:
    # The wrappers of every thread hold these same dictionaries.
    for alias in connections:
        connections.settings[alias]["NAME"] = name
    connections.close_all()
    for variable in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        os.environ[variable] = urlsplit(os.environ[variable])._replace(path=f"/{name}").geturl()
