"""What `manage.py verify_ledger` runs: checks that each app adds to, read in one snapshot (docs/audit.md)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import structlog
from django.db import connection, transaction
from django.utils.module_loading import import_string

logger = structlog.get_logger(__name__)

_T = TypeVar("_T")

#: Offending rows that a check names of each kind.
MAX_ROWS = 50
# There should be none. A LIMIT beside the query would have it planned as if the first ones came soon, by looking rows
# up one by one: where keys are many that takes hours, and a second otherwise. MATERIALIZED keeps the two apart.
_OFFENDING: Final = f"WITH offending AS MATERIALIZED ({{}}) SELECT * FROM offending LIMIT {MAX_ROWS}"  # noqa: S608
#: Of one query, which sorts and hashes whole tables.
_SETTINGS: Final = {
    "work_mem": "256MB",
    "max_parallel_workers_per_gather": "4",
    # Compiling costs more than it saves, and is done anew for each query.
    "jit": "off",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found. `figures` are what it counted or summed; it holds when it could be read (`unread` says why it
    could not) and no row offends."""

    name: str
    title: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    offending: Sequence[Mapping[str, Any]] = ()
    unread: str = ""

    @property
    def holds(self) -> bool:
        return not self.offending and not self.unread


class Check(Protocol):
    """One invariant. `name` is that of docs/audit.md, `title` says what holds in a sentence."""

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
    """A check in SQL: `figures` gives one row of named numbers, each of `offences` the rows that should not be, all of
    them: how many are named is settled here."""

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
            offending += [{"problem": problem, **row} for row in rows(_OFFENDING.format(sql), self.parameters)]
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
    """Run the checks: all of them read the same snapshot, and none may write.

    One that can't be read (a bank that is silent, a query that takes longer than `timeout_seconds`) holds up no other:
    its result says so, and does not hold.
    """
    unread: dict[int, str] = {}
    for number, check in enumerate(checks):
        _try(check.before, number, check, unread)
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for setting, value in {**_SETTINGS, "statement_timeout": f"{timeout_seconds}s"}.items():
            cursor.execute("SELECT set_config(%s, %s, true)", [setting, value])
        for number, check in enumerate(checks):
            _try(_in_savepoint(check.read), number, check, unread)
    results: list[Result | None] = [_try(check.result, number, check, unread) for number, check in enumerate(checks)]
    return [
        result or Result(check.name, check.title, unread=unread[number])
        for number, (check, result) in enumerate(zip(checks, results, strict=True))
    ]


def _try(step: Callable[[], _T], number: int, check: Check, unread: dict[int, str]) -> _T | None:
    if number in unread:
        return None
    try:
        return step()
    except Exception as error:
        logger.exception("check_unread", check=check.name, title=check.title)
        unread[number] = f"{type(error).__name__}: {error}".strip()[:500]
        return None


def _in_savepoint(read: Callable[[], None]) -> Callable[[], None]:
    """An error in one check's query would end the snapshot of all."""

    def reads() -> None:
        with transaction.atomic():
            read()

    return reads


@dataclass(frozen=True, slots=True)
class Verified:
    """All that was written by transactions numbered below `since` was read by an audit that found that all holds. A
    block of the chain ends there, which was sealed at `moment`."""

    since: int
    moment: datetime


#: What settings.LEDGER_CHECKS names: a callable without arguments that gives an app's checks.
ChecksOfAnApp = Callable[[], Sequence[Check]]


def checks_by_app(paths: Iterable[str]) -> list[tuple[str, Check]]:
    """The checks that the callables at `paths` (settings.LEDGER_CHECKS) give, each with the app that it is of."""
    found: list[tuple[str, Check]] = []
    for path in paths:
        of_app: ChecksOfAnApp = import_string(path)
        found += [(path.split(".")[0], check) for check in of_app()]
    return found


def checks_since(paths: Iterable[str], verified: Verified) -> list[Check]:
    """The checks that the callables at `paths` (settings.LEDGER_CHECKS_SINCE) give of what came since."""
    return [check for path in paths for check in import_string(path)(verified.since, verified.moment)]
