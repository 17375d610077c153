"""The people of the model in a database of their own, and what only a test may do there: look at all of it at once,
let time pass, stop somebody at his commit, and end his connection."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connection, connections
from django.db.backends.signals import connection_created
from django.db.utils import InterfaceError, OperationalError
from psycopg import sql

from accounts.models import Account
from ledger.verification import checks
from tests.compliance.people import staff
from tests.support.database import Databases, connected_to
from tests.support.factories import actor_of, fund, make_account, make_customer
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Unavailable
from wallet_project.utils.verification import SqlCheck

#: Whose the customers' accounts are, and what each begins with (minor units).
OWNERS = (0, 0, 1, 1, 2, 2)
STARTS = (1_000, 1_000, 1_000, 1_000, 1_000, 0)
DIED = "died"
_INVARIANTS = ("I1", "I2", "I3", "I4", "I5")
_PATIENCE = 20.0
_FAR = 10_000

# Whoever has set `test.gate` to n stops at the n-th of his commits (from 0) for as long as somebody holds the lock:
# all that he has done is done, and locked, and nobody sees it yet.
_GATE = """
CREATE FUNCTION test_gate() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('test.seen', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        IF current_setting('test.gate')::int = 0 THEN
            PERFORM pg_advisory_xact_lock_shared(1);
        END IF;
        PERFORM set_config('test.gate', (current_setting('test.gate')::int - 1)::text, false),
                set_config('test.seen', pg_current_xact_id()::text, false);
    END IF;
    RETURN NULL;
END $$;
GRANT EXECUTE ON FUNCTION test_gate() TO PUBLIC;
"""
_GATE_ON = """
CREATE CONSTRAINT TRIGGER test_gate AFTER INSERT OR UPDATE OR DELETE ON {} DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (coalesce(current_setting('test.gate', true), '') <> '') EXECUTE FUNCTION test_gate();
"""
_WAITS = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
_GATED = (
    "ledger_transaction",
    "ledger_workitem",
    "ledger_railtransfer",
    "ledger_inboundevent",
    "accounts_account",
    "accounts_idempotencyclaim",
)

# What the session's `test.poison` names the database refuses, whatever it is asked for together with: a transaction
# that would end, or one that is asked for with that as its reference.
_POISON = """
CREATE FUNCTION test_poison() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'it is poisoned' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER test_poison_of_ends BEFORE UPDATE ON ledger_transaction FOR EACH ROW
WHEN (NEW.status <> 'pending' AND NEW.id::text = nullif(current_setting('test.poison', true), ''))
EXECUTE FUNCTION test_poison();
CREATE TRIGGER test_poison_of_requests BEFORE INSERT ON ledger_transaction FOR EACH ROW
WHEN (NEW.reference = nullif(current_setting('test.poison', true), '')) EXECUTE FUNCTION test_poison();
"""

_VIEW = """
SELECT (SELECT jsonb_object_agg(
            coalesce(nullif(a.purpose, ''), a.id::text), jsonb_build_array(a.cleared, a.reserved, a.status))
        FROM accounts_account a WHERE a.currency = 'EUR'),
       (SELECT jsonb_agg(
            jsonb_build_array(
                c.key, coalesce(t.group_id, t.id), t.id, t.status, t.failure, coalesce(w.stage, ''), t.captured_amount)
            ORDER BY t.id)
        FROM ledger_transaction t
        LEFT JOIN accounts_idempotencyclaim c
            ON c.result_id = coalesce(t.group_id, t.id) AND c.operation <> 'capture'
        LEFT JOIN ledger_workitem w ON w.unit_id = coalesce(t.group_id, t.id)),
       ({offences})
"""


class Killed(BaseException):
    """Nobody goes on after it, whatever he catches."""


#: What is raised where somebody's connection has ended.
LOST = (OperationalError, InterfaceError, Unavailable, Killed)
#: Threads whose connection was ended, and who get no other.
_dead: set[int] = set()


def come_to() -> None:
    """Whoever was killed is another from here on, who looks at what the first has left."""
    if threading.get_ident() in _dead:
        _dead.discard(threading.get_ident())
        # What is left of the connection can't be used any more.
        connections.close_all()


def _let_no_dead_in(**_: object) -> None:
    if threading.get_ident() in _dead:
        raise Killed()


connection_created.connect(_let_no_dead_in)


@dataclass(frozen=True)
class Founded:
    """A database with accounts that have money, to be copied; and who they are."""

    databases: Databases
    name: str
    accounts: list[Account]
    actors: list[Actor]
    #: Members of staff, each of whom may propose and agree.
    seniors: list[Actor]
    #: Transactions that brought the first money, which the bank has to have seen, and how much it was.
    funding: dict[str, int]


@contextmanager
def founded(databases: Databases) -> Iterator[Founded]:
    with databases.copy() as template:
        with connected_to(template):
            customers = [make_customer() for _ in range(max(OWNERS) + 1)]
            accounts = [make_account(customers[owner]) for owner in OWNERS]
            starts = zip(accounts, STARTS, strict=True)
            funding = {str(fund(account, start).id): start for account, start in starts if start}
            seniors = [staff("Senior officer") for _ in range(3)]
            actors = [actor_of(customers[owner]) for owner in OWNERS]
        with psycopg.connect(template.owner_dsn, autocommit=True) as owner:
            owner.execute(_GATE)
            owner.execute(_POISON)
            for table in _GATED:
                owner.execute(sql.SQL(_GATE_ON).format(sql.Identifier(table)))
        yield Founded(databases, template.name, accounts, actors, seniors, funding)


class Town:
    """One copy of it. `close` takes it away again."""

    def __init__(self, origin: Founded) -> None:
        with ExitStack() as stack:
            database = stack.enter_context(origin.databases.copy(template=origin.name))
            stack.enter_context(connected_to(database))
            self._see, self._admin, self._gatekeeper = (
                stack.enter_context(psycopg.connect(database.admin_dsn, autocommit=True)) for _ in range(3)
            )
            # Of this one session no trigger takes notice: it is the clock.
            self._admin.execute("SET session_replication_role = replica")
            self._stack = stack.pop_all()
        self._actors: list[_Actor] = []
        self.view_sql = _VIEW.format(offences=_offences())

    def close(self) -> None:
        for actor in self._actors:
            actor.close()
        self._stack.close()

    def plant(self, function: str, right: str, wrong: str) -> None:
        """Put a mistake into one of the database's functions, in this town alone."""
        ((source,),) = self.rows("SELECT pg_get_functiondef(%s::regproc)", [function])
        assert right in source, f"{function} does not say {right!r}"
        self.change(source.replace(right, wrong))

    def view(self) -> tuple[dict[str, Any], list[list[Any]], list[Any]]:
        """Accounts, transactions, and rows that break one of I1-I5: one statement, so one snapshot."""
        accounts, transactions, offences = self._see.execute(self.view_sql, prepare=True).fetchone()  # type: ignore[misc]
        return accounts, transactions or [], offences or []

    def rows(self, query: str, parameters: list[Any] | None = None) -> list[Any]:
        return self._see.execute(query, parameters).fetchall()

    def change(self, statement: str, parameters: list[Any] | None = None) -> None:
        """What nobody but time may change."""
        self._admin.execute(statement, parameters)

    def pass_days(self, days: int) -> None:
        """All that the ledger has is so much older."""
        for table, columns, kind in self._times():
            # Days that are unique would get in each other's way: they go far back first, where there are none.
            for step in (days,) if kind != "date" else (days + _FAR, -_FAR):
                age = "{0} = {0} - %(days)s::int" if kind == "date" else "{0} = {0} - make_interval(days => %(days)s)"
                # All of a row at once: how long it waited is held to its times.
                ages = sql.SQL(", ").join(sql.SQL(age).format(sql.Identifier(column)) for column in columns)
                self._admin.execute(sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table), ages), {"days": step})

    def _times(self) -> list[Any]:
        return self._admin.execute(
            "SELECT c.table_name, array_agg(c.column_name::text), c.data_type FROM information_schema.columns c "
            "WHERE c.table_schema = 'public' AND c.table_name LIKE 'ledger%' "
            "AND c.data_type IN ('timestamp with time zone', 'date') GROUP BY 1, 3 ORDER BY 1, 3"
        ).fetchall()

    def together(
        self, first: Callable[[], Any], second: Callable[[], Any], *, commit: int = 0, killed: bool = False
    ) -> tuple[Any, Any]:
        """The first is stopped at one of his commits until the second has done his part, or waits for the first;
        then he goes on, or his connection ends."""
        if not self._actors:
            self._actors = [_Actor(), _Actor()]
        one, two = self._actors
        self._gatekeeper.execute("SELECT pg_advisory_lock(1)")
        try:
            begun = one.begin(first, commit)
            self._until_stopped(one, begun)
            then = two.begin(second, None)
            self._until_stopped(two, then)
            if killed and not begun.done():
                one.dies()
                self._admin.execute("SELECT pg_terminate_backend(%s)", [one.pid])
        finally:
            self._gatekeeper.execute("SELECT pg_advisory_unlock(1)")
        return begun.result(_PATIENCE), then.result(_PATIENCE)

    def _until_stopped(self, actor: "_Actor", begun: Future[Any]) -> None:
        """He is done, or waits for a lock: somebody's, or that of the gate."""
        deadline = time.monotonic() + _PATIENCE
        while not wait([begun], timeout=0.0005).done:
            assert time.monotonic() < deadline, "neither done nor waiting"
            row = self._see.execute(_WAITS, [actor.pid], prepare=True).fetchone()
            if row is not None:
                return


class _Actor:
    """Somebody with a thread and a connection of his own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self.pid = self._ident = 0

    def begin(self, act: Callable[[], Any], commit: int | None) -> Future[Any]:
        self._thread.submit(self._prepare, commit).result(_PATIENCE)
        return self._thread.submit(self._act, act)

    def dies(self) -> None:
        """Whatever he catches when his connection ends, he does not get another."""
        _dead.add(self._ident)

    def close(self) -> None:
        self._thread.submit(connections.close_all).result(_PATIENCE)
        self._thread.shutdown()

    def _prepare(self, commit: int | None) -> None:
        self._ident = threading.get_ident()
        gate = "" if commit is None else str(commit)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid(), set_config('test.gate', %s, false)", [gate])
            self.pid = cursor.fetchone()[0]

    def _act(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except LOST:
            return DIED, None
        finally:
            come_to()


def _offences() -> str:
    """I1-I5 as the verifier asks for them, in one expression: what it finds, as JSON."""
    found = [
        sql.SQL("SELECT {}, to_jsonb(o) FROM ({}) o").format(sql.Literal(f"{check.name}: {problem}"), sql.SQL(query))
        for check in checks()
        if isinstance(check, SqlCheck) and check.name in _INVARIANTS
        for problem, query in check.offences.items()
    ]
    every = sql.SQL(" UNION ALL ").join(found)
    return (
        sql.SQL("SELECT jsonb_agg(jsonb_build_array(x.problem, x.row)) FROM ({}) x (problem, row)")
        .format(every)
        .as_string()
    )
