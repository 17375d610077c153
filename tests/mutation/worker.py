"""A pytest plugin that runs the collected tests not once but against each mutant of its share.

pytest collects and Django is set up once; each mutant is a forked child, whose databases are copies of a template that
the mutant is installed in.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

from tests.mutation import catalogue, python_files, python_patch, results, sql_files
from tests.mutation.baseline import Baseline
from tests.mutation.children import Failure, FirstError, run_in_child
from tests.mutation.mutants import Mutant
from tests.mutation.order import Experience
from tests.mutation.selection import Selection
from tests.support.database import Databases
from tests.support.servers import TestServers
from wallet_project.embedded import roles
from wallet_project.embedded.postgres import ADMIN

_COMPARES_TEXTS = "wallet_project.guards.checks"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutate", help="the selection, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--mutate"):
        errors = FirstError()
        config.pluginmanager.register(errors)
        config.pluginmanager.register(Loop(Selection.read(config.getoption("--mutate")), errors))


class Loop:
    def __init__(self, selection: Selection, errors: FirstError) -> None:
        self._selection = selection
        self._errors = errors

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from tests import conftest

        servers = conftest._servers
        assert servers is not None
        servers.wait_until_migrated()
        with psycopg.connect(servers.database_url(ADMIN, "postgres"), autocommit=True) as admin:
            run = Run(self._selection, self._errors, servers, admin, {item.nodeid: item for item in session.items})
            run.all()
        return True


@dataclass(slots=True)
class Run:
    selection: Selection
    errors: FirstError
    servers: TestServers
    admin: psycopg.Connection
    items: dict[str, pytest.Item]

    def all(self) -> None:
        folder = self.selection.folder
        folder.mkdir(parents=True, exist_ok=True)
        everything = self._everything()
        results.write_list(folder / "mutants.jsonl", everything)
        baseline = Baseline(folder, self.items, self.errors, self.servers, self.admin, self.selection.say)
        if self.selection.only_baseline:
            baseline.measure(everything, share=self.selection.share, shares=self.selection.shares)
            return
        experience = baseline.experience(slowest=self.selection.slowest)
        known = results.read(folder)
        for row in known.values():
            if row.verdict == "killed":
                experience.killed(row.file, row.place, row.test)
        mine = self.selection.share_of(self.selection.drawn(everything))
        new = [mutant for mutant in mine if mutant.id not in known]
        todo = [*new, *(mutant for mutant in mine if mutant.id in known and self.selection.again(known[mutant.id]))]
        for number, mutant in enumerate(todo, 1):
            row = self._judge(mutant, experience, first=self.selection.first if mutant.id in known else ())
            results.append(folder / "results.jsonl", row)
            if row.verdict == "killed":
                experience.killed(mutant.file, mutant.place, row.test)
            self.selection.tell(number, len(todo), row)

    def _everything(self) -> list[Mutant]:
        with self._copy(roles.DATABASE) as name, self._connected(name) as connection:
            listed = catalogue.mutants_of_catalogue(connection)
        return [*sql_files.mutants_of_files(), *listed, *python_files.mutants_of_files()]

    # One mutant.

    def _judge(self, mutant: Mutant, experience: Experience, *, first: Sequence[str]) -> results.Result:
        began = time.monotonic()
        tests = experience.tests_for(mutant, patience=self.selection.patience, first=first)
        verdict = partial(results.result, mutant)
        with self._copy(roles.DATABASE) as template:
            if mutant.sql:
                try:
                    with self._connected(template) as connection:
                        connection.execute(mutant.sql.encode())
                except psycopg.Error as error:
                    said = str(error).splitlines()[0]
                    return verdict("not installable", test="", error=said, seconds=0.0, tests_run=0)
            while True:
                failure, count = self._first_failure(mutant, template, tests, experience)
                seconds = time.monotonic() - began
                if failure is None:
                    return verdict("survived", test="", error="", seconds=seconds, tests_run=count)
                if not failure.test or self._is_no_sql(mutant, failure):
                    return verdict(
                        "not installable", test=failure.test, error=failure.error, seconds=seconds, tests_run=count
                    )
                if self._by_the_mutant(mutant, template, failure, experience):
                    return verdict("killed", test=failure.test, error=failure.error, seconds=seconds, tests_run=count)
                tests = tests[tests.index(failure.test) + 1 :]

    def _by_the_mutant(self, mutant: Mutant, template: str, failure: Failure, experience: Experience) -> bool:
        """Not by a race, a clock or a machine with too much to do: with the mutant the test fails alone as well, and
        without it it passes."""
        again, _ = self._first_failure(mutant, template, [failure.test], experience)
        return again is not None and self._passes_without(failure.test, experience)

    def _first_failure(
        self, mutant: Mutant, template: str, tests: list[str], experience: Experience
    ) -> tuple[Failure | None, int]:
        def prepare() -> None:
            _copy_from(template)
            if mutant.area == "python":
                python_patch.install(mutant)

        failure, ran = run_in_child(
            [self.items[test] for test in tests],
            seconds=lambda test: 20 + 8 * experience.seconds.get(test, 0),
            prepare=prepare,
            errors=self.errors,
        )
        self._drop_leftovers()
        return failure, ran

    @staticmethod
    def _is_no_sql(mutant: Mutant, failure: Failure) -> bool:
        """PL/pgSQL finds out about names and types when it runs: such a mutant could not have been installed in a
        language that looks first. (42501 is a refusal.)"""
        return mutant.area == "sql" and failure.sqlstate.startswith("42") and failure.sqlstate != "42501"

    def _passes_without(self, test: str, experience: Experience) -> bool:
        failure, _ = run_in_child(
            [self.items[test]],
            seconds=lambda _: 20 + 8 * experience.seconds.get(test, 0),
            prepare=lambda: None,
            errors=self.errors,
        )
        self._drop_leftovers()
        return failure is None

    # Databases.

    @contextmanager
    def _copy(self, template: str) -> Iterator[str]:
        name = f"mutated_{self.selection.share}"
        self._drop(name)
        roles.create_database(self.admin, name, template=template)
        try:
            yield name
        finally:
            self._drop(name)

    def _connected(self, name: str) -> psycopg.Connection:
        return psycopg.connect(self.servers.database_url(ADMIN, name), autocommit=True)

    def _drop_leftovers(self) -> None:
        mine = f"test_{self.selection.worker}_"
        found = self.admin.execute("SELECT datname FROM pg_database WHERE datname ^@ %s", [mine])
        for (name,) in found.fetchall():
            self._drop(name)

    def _drop(self, name: str) -> None:
        self.admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _copy_from(template: str) -> None:
    """Each test's database is a copy of this one from now on.

    The verifier's comparison of what is installed with what the migrations make would notice every mutant, and no
    mistake: those come with the migrations.
    """
    settings.LEDGER_CHECKS = [name for name in settings.LEDGER_CHECKS if name != _COMPARES_TEXTS]
    Databases.template = template
