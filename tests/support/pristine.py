"""A database as it was when it was copied: put back after a test, which is quicker than a new copy, whose sessions have
to read the tables' definitions and plan all that the functions ask anew.

What was written is told by the numbers of the transactions that wrote it (xmin); what was removed, by the number of
rows. The superuser removes it in a session in which no trigger fires, and copies back what migrations had made. A test
that changed a table, a function, a right or the planner's statistics leaves a database that can't be put back.
"""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

#: What DDL, GRANT, ALTER DATABASE and ANALYZE write to. No more: to count the rest would take longer than it is worth.
_CATALOGUES = (
    "pg_attrdef", "pg_attribute", "pg_class", "pg_constraint", "pg_default_acl", "pg_event_trigger", "pg_extension",
    "pg_index", "pg_namespace", "pg_policy", "pg_proc", "pg_publication", "pg_rewrite", "pg_statistic", "pg_trigger",
    "pg_type",
)  # fmt: skip
_OF_THE_DATABASE = """
    SELECT 1, d.xmin::text::bigint FROM pg_database d WHERE d.datname = current_database() UNION ALL
    SELECT count(*), max(s.xmin::text::bigint) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    WHERE d.datname = current_database()"""


@dataclass
class _Table:
    name: sql.Identifier
    rows: int
    content: bytes


class Pristine:
    """Made before anybody writes to the copy; `admin_dsn` leads the superuser there."""

    def __init__(self, admin_dsn: str) -> None:
        self._connection = connection = psycopg.connect(admin_dsn, autocommit=True)
        # Neither triggers nor foreign keys are asked.
        connection.execute("SET session_replication_role = replica")
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
        )
        self._tables = [self._as_it_is(name) for (name,) in names.fetchall()]
        counts = [
            sql.SQL("SELECT count(*), count(*) FILTER (WHERE xmin::text::bigint >= %(since)s) FROM {}").format(t.name)
            for t in self._tables
        ]
        self._written = sql.SQL(" UNION ALL ").join(counts)
        latest = sql.SQL("SELECT count(*), max(xmin::text::bigint) FROM {}")
        shapes = [latest.format(sql.Identifier(name)) for name in _CATALOGUES]
        self._shapes = sql.SQL(" UNION ALL ").join([*shapes, sql.SQL(_OF_THE_DATABASE)])
        self._shape = self._shape_now()
        self._counters = self._counters_now()
        self._since = self.next_number()

    @property
    def name(self) -> str:
        return self._connection.info.dbname

    @property
    def pid(self) -> int:
        return self._connection.info.backend_pid

    def close(self) -> None:
        self._connection.close()

    def restored(self) -> bool:
        """Put the rows back; false if the tables are no longer what they were, and nothing was done."""
        if self._shape_now() != self._shape:
            return False
        found = self._connection.execute(self._written, {"since": self._since}, prepare=True).fetchall()
        for table, (rows, written) in zip(self._tables, found, strict=True):
            if written or rows != table.rows:
                self._put_back(table)
        for (name, before), (_, now) in zip(self._counters, self._counters_now(), strict=True):
            if now != before:
                self._connection.execute("SELECT setval(%s, coalesce(%s, 1), %s)", [name, before, before is not None])
        self._since = self.next_number()
        return True

    def next_number(self) -> int:
        """Whatever is written from now on has this number or a higher one."""
        ((number,),) = self._connection.execute(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        ).fetchall()
        return int(number)

    def rows_since(self, number: int) -> dict[str, list[dict[str, Any]]]:
        """What was written since, by table."""
        found = {}
        for table in self._tables:
            query = sql.SQL(
                "SELECT to_jsonb(t) FROM {} t WHERE xmin::text::bigint >= %s ORDER BY xmin::text::bigint, ctid"
            )
            if rows := self._connection.execute(query.format(table.name), [number]).fetchall():
                found[table.name.as_string().strip('"')] = [row for (row,) in rows]
        return found

    def insertion(self, table: str) -> sql.Composed:
        """A part of a WITH that writes `given.rows` of the table, its times `given.later`. What the database numbers
        is numbered anew."""
        columns = self._connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' "
            "AND table_name = %s AND is_identity = 'NO' AND column_name <> 'xact' ORDER BY ordinal_position",
            [table],
        ).fetchall()
        values = [
            sql.SQL("r.{} + later" if kind == "timestamp with time zone" else "r.{}").format(sql.Identifier(name))
            for name, kind in columns
        ]
        return sql.SQL(
            "{} AS (INSERT INTO {} ({}) SELECT {} FROM given, jsonb_populate_recordset(NULL::{}, given.rows -> {}) r)"
        ).format(
            sql.Identifier(f"in_{table}"),
            sql.Identifier(table),
            sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
            sql.SQL(", ").join(values),
            sql.Identifier(table),
            sql.Literal(table),
        )

    def write(self, statement: sql.Composed, parameters: list[Any]) -> None:
        self._connection.execute(statement, parameters, prepare=True)

    def _as_it_is(self, name: str) -> _Table:
        identifier = sql.Identifier(name)
        with self._connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} TO STDOUT").format(identifier)) as copy:
            content = b"".join(bytes(block) for block in copy)
        return _Table(identifier, content.count(b"\n"), content)

    def _put_back(self, table: _Table) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(sql.SQL("DELETE FROM {}").format(table.name))
            if table.content:
                with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(table.name)) as copy:
                    copy.write(table.content)

    def _shape_now(self) -> list[tuple[Any, ...]]:
        return self._connection.execute(self._shapes, prepare=True).fetchall()

    def _counters_now(self) -> list[tuple[str, int | None]]:
        """Of identities; one that nobody has used yet has None."""
        return self._connection.execute(
            "SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences ORDER BY 1", prepare=True
        ).fetchall()
