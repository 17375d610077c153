"""A database for each test with nothing in it but what migrations made: a copy of the run's migrated template, which is
put back after each test (tests/support/pristine.py) for as long as none changes its tables.

Commits are real, so hooks on commit run and other threads and processes see them.
"""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psycopg
from django.db import connections
from psycopg import sql
from psycopg.pq import TransactionStatus

from tests.support.pristine import Pristine
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


#: Of the database that a test of this process has now.
_lent: list[Pristine] = []


def superuser() -> Pristine | None:
    """Who may write rows as they are; None where nobody has a database that is put back."""
    return _lent[-1] if _lent and connections.settings["default"]["NAME"] == _lent[-1].name else None


class Databases:
    """Makes and removes them, by one connection of the superuser's."""

    #: What is copied.
    template = roles.DATABASE
    #: How many tests use a copy: what they remove stays in its files.
    uses = 60

    def __init__(self, servers: TestServers) -> None:
        servers.wait_until_migrated()
        self._servers = servers
        self._kept: _Kept | None = None
        self._admin = psycopg.connect(servers.database_url(ADMIN, "postgres"), autocommit=True)
        self._prefix = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"

    def close(self) -> None:
        self._give_up()
        self._admin.close()

    @contextmanager
    def copy(self, template: str | None = None) -> Iterator[Database]:
        """A copy of the migrated template, or of another."""
        database = self._made(template or self.template)
        try:
            yield database
        finally:
            self._drop(database.name)

    @contextmanager
    def own(self) -> Iterator[Database]:
        """A copy of the migrated template that Django's connections lead to."""
        with self.copy() as database, connected_to(database):
            yield database

    @contextmanager
    def empty(self) -> Iterator[Database]:
        """A database with its roles and nothing in it."""
        database = self._made(None)
        try:
            with psycopg.connect(database.admin_dsn, autocommit=True) as connection:
                roles.close_schema(connection)
            yield database
        finally:
            self._drop(database.name)

    @contextmanager
    def lent(self) -> Iterator[Database]:
        """A copy of the migrated template that other tests have had before; Django's connections stay for the next."""
        if self._kept is not None and not self._put_back(self._kept):
            self._give_up()
        if self._kept is None:
            database = self._made(self.template)
            self._kept = _Kept(database, Pristine(database.admin_dsn))
        self._kept.uses += 1
        _lead_to(self._kept.database.name)
        _use(self._kept.sessions)
        _lent.append(self._kept.pristine)
        try:
            yield self._kept.database
        finally:
            _lent.pop()
            self._kept.sessions = _keep()
            _lead_to(NO_DATABASE)
            if self._kept.uses >= self.uses:
                self._give_up()

    def _put_back(self, kept: "_Kept") -> bool:
        return self._alone(kept.database.name, self._own(kept)) and kept.pristine.restored()

    @staticmethod
    def _own(kept: "_Kept") -> list[int]:
        """The sessions that stay in it between tests."""
        return [kept.pristine.pid, *(session.info.backend_pid for session in kept.sessions.values())]

    def _give_up(self) -> None:
        if self._kept is not None:
            for session in self._kept.sessions.values():
                session.close()
            self._kept.pristine.close()
            self._drop(self._kept.database.name)
            self._kept = None

    def _made(self, template: str | None) -> Database:
        database = self._named(f"{self._prefix}_{next(_numbers)}")
        roles.create_database(self._admin, database.name, template=template)
        return database

    def _named(self, name: str) -> Database:
        return Database(
            name=name,
            app_dsn=self._servers.database_url(roles.APPLICATION, name),
            owner_dsn=self._servers.database_url(roles.OWNER, name),
            admin_dsn=self._servers.database_url(ADMIN, name),
        )

    def _drop(self, name: str) -> None:
        self._alone(name, [])
        self._admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _alone(self, name: str, own: list[int]) -> bool:
        """Whether all sessions but our own have ended. What has just been closed takes a moment; what a test has left
        open, in a thread perhaps, is ended."""
        began = time.monotonic()
        while others := self._sessions(name, own):
            if time.monotonic() > began + _CLOSE_SECONDS:
                return False
            if time.monotonic() > began + _CLOSE_SECONDS / 4:
                self._admin.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", [others])
            time.sleep(0.002)
        return True

    def _sessions(self, name: str, own: list[int]) -> list[int]:
        found = self._admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> ALL (%s::int[])", [name, own]
        )
        return [pid for (pid,) in found.fetchall()]


@dataclass
class _Kept:
    database: Database
    pristine: Pristine
    uses: int = 0
    #: Django's, by alias, while no test has them.
    sessions: dict[str, psycopg.Connection] = field(default_factory=dict)


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
    connections.close_all()
    # The wrappers of every thread hold these same dictionaries.
    for alias in connections:
        connections.settings[alias]["NAME"] = name
    for variable in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        os.environ[variable] = urlsplit(os.environ[variable])._replace(path=f"/{name}").geturl()


def _keep() -> dict[str, psycopg.Connection]:
    """Take Django's sessions away from it, by alias, with the settings that they began with; for who is next."""
    kept = {}
    for wrapper in connections.all(initialized_only=True):
        session = wrapper.connection
        idle = session is not None and session.info.transaction_status == TransactionStatus.IDLE
        if idle and session.autocommit and not wrapper.in_atomic_block:
            session.execute("RESET ALL")
            kept[wrapper.alias] = session
            wrapper.connection = None
    return kept


def _use(sessions: dict[str, psycopg.Connection]) -> None:
    for alias, session in sessions.items():
        connections[alias].connection = session
