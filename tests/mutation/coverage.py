"""Which functions of the money core each test runs, in the database and in Python: the others can't notice a change."""

import ast
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql

from tests.mutation.mutants import Mutant
from tests.mutation.python_patch import install
from tests.support.database import Database, Databases
from tests.support.servers import TestServers
from wallet_project.embedded import roles
from wallet_project.embedded.postgres import ADMIN

_ENDS_SECONDS = 2.0
_COUNTED = "SELECT funcname FROM pg_stat_user_functions WHERE calls > 0"
#: What has run since the last test: functions of the database, and `file:function` of Python.
seen: set[str] = set()


def count_calls(admin: psycopg.Connection) -> None:
    """PostgreSQL counts calls of every function from now on."""
    for role in (roles.APPLICATION, roles.OWNER):
        admin.execute(sql.SQL("ALTER ROLE {} SET track_functions = 'all'").format(sql.Identifier(role)))


def watch_databases(servers: TestServers) -> None:
    """Read the counts of each test's database after the test: before it is dropped, or before the next test has it."""
    drop, lent = Databases._drop, Databases.lent

    def read(databases: Databases, name: str, own: list[int]) -> None:
        # A session reports what it has counted when it ends.
        deadline = time.monotonic() + _ENDS_SECONDS
        while time.monotonic() < deadline and databases._sessions(name, own):
            time.sleep(0.005)
        with psycopg.connect(servers.database_url(ADMIN, name), autocommit=True) as connection:
            seen.update(row[0] for row in connection.execute(_COUNTED))
            connection.execute("SELECT pg_stat_reset()")

    def read_and_drop(self: Databases, name: str) -> None:
        read(self, name, [])
        drop(self, name)

    @contextmanager
    def lend_and_read(self: Databases) -> Iterator[Database]:
        with lent(self) as database:
            yield database
        if self._kept is not None:
            # The sessions that stay for the next test are told to report.
            for session in self._kept.sessions.values():
                session.execute("SELECT pg_stat_force_next_flush()")
            read(self, database.name, self._own(self._kept))

    Databases._drop = read_and_drop  # type: ignore[method-assign]
    Databases.lent = lend_and_read  # type: ignore[method-assign]


def watch_functions(mutants: Iterable[Mutant], sources: dict[str, str]) -> None:
    """Have each Python function that has mutants say that it runs."""
    for file, place in sorted({(m.file, m.place) for m in mutants if m.area == "python"}):
        tree = ast.parse(sources[file])
        found: Any = tree
        for part in place.split("."):
            found = next(n for n in found.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == part)
        say = f"__import__({__name__!r}, fromlist=['seen']).seen.add({f'{file}:{place}'!r})"
        found.body.insert(0, ast.parse(say).body[0])
        text = ast.unparse(ast.fix_missing_locations(tree))
        install(replace(_any(file, place), source=text))


def _any(file: str, place: str) -> Mutant:
    return Mutant("python", file, place, "", 0, "", "", "")


def take() -> list[str]:
    """What ran in the test that has just ended."""
    found = sorted(seen)
    seen.clear()
    return found
