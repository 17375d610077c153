"""What `manage.py verify_ledger` runs: checks that each app adds to, read in one snapshot (DESIGN §5)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db import connection, transaction

#: Offending rows that a check names; it counts them all.
MAX_ROWS = 50


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found. `figures` are what it counted or summed; it holds when no row offends."""

    name: str
    title: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    offending: Sequence[Mapping[str, Any]] = ()

    @property
    def holds(self) -> bool:
        return not self.offending


class Check(Protocol):
    """One invariant. `name` is that of DESIGN §5, `title` says what holds in a sentence."""

    name: str
    title: str

    def before(self) -> None:
        """Called before the snapshot is taken, outside any transaction: the place to ask others."""
        ...

    def read(self) -> None:
        """Called in the snapshot (REPEATABLE READ, READ ONLY, on the default connection)."""
        ...

    def result(self) -> Result:
        """Called after the snapshot, outside any transaction."""
        ...


@dataclass
class SqlCheck:
    """A check in SQL: `figures` gives one row of named numbers, each of `offences` the rows that should not be."""

    name: str
    title: str
    figures: str
    offences: Mapping[str, str]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    _found: Result | None = None

    def before(self) -> None:
        """Nothing to ask of others."""

    def read(self) -> None:
        offending: list[Mapping[str, Any]] = []
        for problem, sql in self.offences.items():
            offending += [{"problem": problem, **row} for row in rows(sql, self.parameters)]
        figures = rows(self.figures, self.parameters)[0]
        self._found = Result(self.name, self.title, figures, offending)

    def result(self) -> Result:
        assert self._found is not None, "read() comes first"
        return self._found


def rows(sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows of a query by the names of its columns."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def verify(checks: Sequence[Check], *, timeout_seconds: int) -> list[Result]:
    """Run the checks: all of them read the same snapshot, and none may write."""
    for check in checks:
        check.before()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{timeout_seconds}s"])
        for check in checks:
            check.read()
    return [check.result() for check in checks]


#: What settings.LEDGER_CHECKS names: a callable without arguments that gives an app's checks.
ChecksOfAnApp = Callable[[], Sequence[Check]]
