"""What `manage.py verify_ledger` runs: checks that each app adds to, read in one snapshot (docs/audit.md)."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any, Final, Protocol, TypeVar

import structlog
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
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
    # What is asked for should be nothing, so that workers have nothing to hand over; the planner expects millions.
    "parallel_tuple_cost": "0.0001",
    # The kernel reads ahead of who reads a table through. To have it read by PostgreSQL's own processes takes half as
    # much processor time again, of the processors that the lanes have.
    "effective_io_concurrency": "0",
    # Compiling costs more than it saves, and is done anew for each query.
    "jit": "off",
    # Times are compared as text.
    "DateStyle": "ISO",
    # Whoever began the snapshot waits for those who read in it.
    "idle_in_transaction_session_timeout": "0",
}
#: Where a few rows among millions are asked about, looking them up one by one is what is quick, and what is read is
#: mostly in memory. (Where all are, the planner had better not think so.)
_OF_NEW_ROWS: Final = {"random_page_cost": "1.1"}
#: In lanes, which have a processor each, workers of one are in the way of the other: with them all but the chain took a
#: third more processor time.
_BESIDE_OTHERS: Final = {"max_parallel_workers_per_gather": "0"}
#: Rows in the database from which on its checks are read in several lanes, and how many these are by default.
_MUCH: Final = 1_000_000
_LANES: Final = 2


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


@dataclass(frozen=True, slots=True)
class Proof:
    """SQL that gives one boolean: when it is true, none of these `offences` has a row, and they need not be looked for.

    Whoever names rows has to group and sort for it; that all is well can often be seen by joining and counting, which
    is quick where there are millions. What it says must follow from the rows alone, with no key or constraint believed.
    """

    sql: str
    offences: Collection[str]


@dataclass
class _Snapshot:
    """What the checks of one look share: `lanes` connections that see the same rows, and what proofs have said."""

    settings: Mapping[str, str]
    lanes: int
    #: As PostgreSQL names it for others to see the same.
    exported: str = ""
    proved: dict[str, Future[bool]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def proof(self, sql: str, parameters: Mapping[str, Any]) -> bool:
        """Several checks may rest on one, which is asked once."""
        with self.lock:
            first = sql not in self.proved
            said = self.proved.setdefault(sql, Future())
        if first:
            try:
                [answer] = rows(sql, parameters)[0].values()
                # NULL proves nothing.
                said.set_result(answer is True)
            except BaseException as error:
                said.set_exception(error)
        return said.result()


_snapshot: ContextVar[_Snapshot] = ContextVar("_snapshot")


@dataclass
class SqlCheck:
    """A check in SQL: `figures` gives one row of named numbers, each of `offences` the rows that should not be, all of
    them: how many are named is settled here. They are looked for unless one of `proofs` says that there are none."""

    name: str
    title: str
    figures: str
    offences: Mapping[str, str]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    proofs: Sequence[Proof] = ()
    _found: Result | None = None

    def before(self) -> None:
        """Nothing to ask of others."""

    def read(self) -> None:
        offending: list[Mapping[str, Any]] = []
        excluded = {
            problem
            for proof in self.proofs
            if _snapshot.get().proof(proof.sql, self.parameters)
            for problem in proof.offences
        }
        for problem, sql in self.offences.items():
            if problem not in excluded:
                offending += [{"problem": problem, **row} for row in rows(_OFFENDING.format(sql), self.parameters)]
        figures = rows(self.figures, self.parameters)[0]
        self._found = Result(self.name, self.title, figures, offending)

    def result(self) -> Result:
        assert self._found is not None, "read() comes first"
        return self._found


def without(these: str, those: str, *, on: str) -> str:
    """SQL for the rows of `these` for whose value of `on` there is none among `those`.

    A FULL JOIN is never carried out by looking through all of one for each of the other. NOT EXISTS is, where the
    planner believes that next to nothing waits, as was so when it last looked."""
    those = f"SELECT those.{on}, true AS there FROM ({those}) those"  # noqa: S608
    return f"SELECT these.* FROM ({these}) these FULL JOIN ({those}) those USING ({on}) WHERE those.there IS NULL"  # noqa: S608


def rows(sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The rows of a query by the names of its columns."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def verify(
    checks: Sequence[Check], *, timeout_seconds: int, lanes: int | None = None, of_new_rows: bool = False
) -> list[Result]:
    """Run the checks: all of them read the same snapshot, and none may write.

    One that can't be read (a bank that is silent, a query that takes longer than `timeout_seconds`) holds up no other:
    its result says so, and does not hold. `lanes`: so many checks at a time, each on a connection of its own; None: two
    where there is much to read. `of_new_rows`: they ask about what came since a moment (`checks_since`)."""
    unread: dict[int, str] = {}
    for number, check in enumerate(checks):
        _try(check.before, number, check, unread)
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        own = _OF_NEW_ROWS if of_new_rows else {}
        settings = {**_SETTINGS, **own, "statement_timeout": f"{timeout_seconds}s"}
        _begin(cursor, settings)
        snapshot = _Snapshot({**settings, **_BESIDE_OTHERS}, lanes or _lanes_for_size(cursor))
        token = _snapshot.set(snapshot)
        try:
            if snapshot.lanes > 1:
                cursor.execute("SELECT pg_export_snapshot()")
                (snapshot.exported,) = cursor.fetchone() or ("",)
            aside = _on_own_connection if snapshot.lanes > 1 else _in_savepoint
            reads = [
                partial(_try, partial(aside, check.read), number, check, unread) for number, check in enumerate(checks)
            ]
            _in_lanes(reads, snapshot.lanes)
        finally:
            _snapshot.reset(token)
    results: list[Result | None] = [_try(check.result, number, check, unread) for number, check in enumerate(checks)]
    return [
        result or Result(check.name, check.title, unread=unread[number])
        for number, (check, result) in enumerate(zip(checks, results, strict=True))
    ]


def spread(pieces: Sequence[Callable[[], _T]]) -> list[_T]:
    """For a check's `read`: what these give, as many at a time as there are lanes."""
    lanes = _snapshot.get().lanes
    return _in_lanes([partial(_on_own_connection, piece) for piece in pieces] if lanes > 1 else pieces, lanes)


def _in_lanes(pieces: Sequence[Callable[[], _T]], lanes: int) -> list[_T]:
    """In order; with one lane in this thread, and so on its connection."""
    if lanes == 1:
        return [piece() for piece in pieces]
    with ThreadPoolExecutor(lanes) as pool:
        return [done.result() for done in [pool.submit(copy_context().run, piece) for piece in pieces]]


def _on_own_connection(read: Callable[[], _T]) -> _T:
    """In the snapshot that the thread which began it has exported, and keeps open."""
    snapshot = _snapshot.get()
    try:
        with transaction.atomic(durable=True):
            with connection.cursor() as cursor:
                _begin(cursor, snapshot.settings, snapshot.exported)
            return read()
    finally:
        connection.close()


def _begin(cursor: CursorWrapper, settings: Mapping[str, str], exported: str = "") -> None:
    """A snapshot, or that which another has exported."""
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    if exported:
        cursor.execute("SET TRANSACTION SNAPSHOT %s", [exported])
    for setting, value in settings.items():
        cursor.execute("SELECT set_config(%s, %s, true)", [setting, value])


def _lanes_for_size(cursor: CursorWrapper) -> int:
    """By what the planner knows: it need not be exact."""
    cursor.execute("SELECT coalesce(sum(reltuples), 0) FROM pg_class WHERE relkind = 'r'")
    (rows_there,) = cursor.fetchone() or (0,)
    return _LANES if rows_there > _MUCH else 1


def _try(step: Callable[[], _T], number: int, check: Check, unread: dict[int, str]) -> _T | None:
    if number in unread:
        return None
    try:
        return step()
    except Exception as error:
        logger.exception("check_unread", check=check.name, title=check.title)
        unread[number] = f"{type(error).__name__}: {error}".strip()[:500]
        return None


def _in_savepoint(read: Callable[[], _T]) -> _T:
    """An error in one check's query would end the snapshot of all."""
    with transaction.atomic():
        return read()


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
