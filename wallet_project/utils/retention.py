"""What may go, and when: each app says it in its `retention.py`, and `expire` carries it out (docs/operations.md).

Only what explains no cent, no state and no decision is listed: expired sessions are deleted, raw answers and reports
are blanked where they stand. A text that is under seal takes its salt with it, so that its digest stays and the chain
goes on verifying (docs/chain.md); that is the owner's to do.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connections
from django.utils.module_loading import import_string
from psycopg import sql

#: Rows that one statement looks at. However few of them are due, it ends far from any timeout.
LOOKED_AT: Final = 2_000


@dataclass(frozen=True, slots=True)
class Expiring:
    """Rows of `table` are due so many days after `moment`, as far as `condition` holds of them: SQL about
    the row `t`. `blank`: the column that is emptied, and what it says then; None: the row is deleted. `sealed`: the
    chain holds a digest of that column."""

    name: str
    title: str
    table: str
    moment: str
    condition: str
    key: str = "id"
    key_type: str = "uuid"
    blank: tuple[str, str] | None = None
    sealed: bool = False

    def statement(self, *, count_only: bool) -> sql.Composed:
        """Takes after (a key as text, or None), before, many; gives the last key looked at (None behind the last row),
        how many were looked at, how many were due. What is due is asked again of the row as it is changed."""
        table, key = sql.Identifier(self.table), sql.Identifier(self.key)
        due = sql.SQL("t.{key} = l.{key} AND t.{moment} < %(before)s AND ({condition})").format(
            key=key, moment=sql.Identifier(self.moment), condition=sql.SQL(self.condition)
        )
        return sql.SQL(
            "WITH looked_at AS MATERIALIZED ("
            " SELECT t.{key} FROM {table} t WHERE %(after)s IS NULL OR t.{key} > %(after)s::{type}"
            " ORDER BY t.{key} LIMIT %(many)s"
            "), done AS ({change})"
            " SELECT (SELECT l.{key}::text FROM looked_at l ORDER BY l.{key} DESC LIMIT 1),"
            " (SELECT count(*) FROM looked_at), (SELECT count(*) FROM done)"
        ).format(key=key, table=table, type=sql.SQL(self.key_type), change=self._change(table, key, due, count_only))

    def _change(self, table: sql.Identifier, key: sql.Identifier, due: sql.Composed, count_only: bool) -> sql.Composed:
        if count_only:
            return sql.SQL("SELECT t.{} FROM {} t JOIN looked_at l ON {}").format(key, table, due)
        if self.blank is None:
            return sql.SQL("DELETE FROM {} t USING looked_at l WHERE {} RETURNING t.{}").format(table, due, key)
        column, empty = self.blank
        forgotten = sql.SQL("chain_forget({}, t.{}::text, {})").format(
            sql.Literal(self.table), key, sql.Literal(column)
        )
        return sql.SQL("UPDATE {} t SET {} = {} FROM looked_at l WHERE {} RETURNING {}").format(
            table,
            sql.Identifier(column),
            sql.SQL(empty),
            due,
            forgotten if self.sealed else sql.SQL("t.{}").format(key),
        )


def inbound_messages(*, name: str, sender: str, table: str) -> Expiring:
    """What was told us of its own accord (`wallet_project.utils.inbound`), once it was acted on: that it came stays."""
    return Expiring(
        name=name,
        title=f"what the {sender} told us, raw, and was acted on",
        table=table,
        key_type="bigint",
        moment="processed_at",
        condition="t.next_at IS NULL AND t.payload <> '{}'",
        blank=("payload", "'{}'"),
        sealed=True,
    )


@dataclass(frozen=True, slots=True)
class Expired:
    """What became of one kind: how many rows were due, and whether all of the table was looked at."""

    what: Expiring
    days: int | None
    rows: int
    complete: bool


def declared(paths: Iterable[str]) -> list[Expiring]:
    """What the lists at `paths` (settings.RETENTION) name."""
    return [each for path in paths for each in import_string(path)]


def expire(
    wanted: Iterable[Expiring],
    *,
    days: Mapping[str, int | None],
    now: datetime,
    using: str,
    dry_run: bool = False,
    go_on: Callable[[], bool] = lambda: True,
) -> Iterator[Expired]:
    """One kind after the other, each in short statements that commit by themselves. `days` by kind's name; None keeps
    it for good. `go_on` is asked between statements: what is left is for the next time."""
    for what in wanted:
        kept_for = days.get(what.name)
        if kept_for is None:
            yield Expired(what, None, 0, complete=True)
            continue
        rows, complete = _expire(what, now - timedelta(days=kept_for), using, dry_run, go_on)
        yield Expired(what, kept_for, rows, complete)


def _expire(what: Expiring, before: datetime, using: str, dry_run: bool, go_on: Callable[[], bool]) -> tuple[int, bool]:
    statement = what.statement(count_only=dry_run)
    values: dict[str, Any] = {"after": None, "before": before, "many": LOOKED_AT}
    rows = 0
    with connections[using].cursor() as cursor:
        while go_on():
            cursor.execute(statement, values)
            values["after"], looked_at, due = cursor.fetchone() or (None, 0, 0)
            rows += due
            if looked_at < LOOKED_AT:
                return rows, True
    return rows, False
