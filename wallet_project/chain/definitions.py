"""Puts under seal what the apps have declared: the column that tells which transaction wrote a row, its index, and the
definition of how rows are hashed. Done by the owner after each `migrate`; safe to run again."""

from typing import Final

from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from wallet_project.chain.declarations import XACT, Sealed, declared

#: How a type's values are written (chain_text in sql/seal.sql, TEXT in hashing.py).
KINDS: Final = {
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "text": "text",
    "varchar": "text",
    "uuid": "uuid",
    "bool": "boolean",
    "timestamptz": "time",
    "date": "date",
    "bytea": "bytes",
    "jsonb": "json",
}
_COLUMNS = """
    SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass(format('public.%%I', %s::text)) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attname COLLATE "C"
"""
_LATEST = """
    SELECT version, key_column, moment_column, columns, kinds FROM chain_source
    WHERE table_name = %s ORDER BY version DESC LIMIT 1
"""


class NotSealable(Exception):
    """A table is declared that can't be sealed as it was declared."""


def apply(*, using: str) -> list[str]:
    """Bring the database to what is declared; the names of the tables that got a new definition."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.chain_source') IS NOT NULL")
        if cursor.fetchone() != (True,):
            return []  # `migrate chain zero`
        return [table.table for table in declared() if _define(cursor, table)]


def after_migrate(*, using: str, **_: object) -> None:
    apply(using=using)


def _define(cursor: CursorWrapper, table: Sealed) -> bool:
    cursor.execute(_COLUMNS, [table.table])
    types: dict[str, str] = dict(cursor.fetchall())
    if not types:
        return False  # Not there yet, or no longer.
    if XACT not in types:
        _add_xact(cursor, table.table)
        types[XACT] = "int8"
    columns, kinds = _definition(table, types)
    wanted = (table.key, table.moment, columns, kinds)
    cursor.execute(_LATEST, [table.table])
    latest = cursor.fetchone()
    if latest is not None and latest[1:] == wanted:
        return False
    cursor.execute(
        "INSERT INTO chain_source (id, table_name, version, key_column, moment_column, columns, kinds)"
        " SELECT coalesce(max(id), 0) + 1, %s, %s, %s, %s, %s, %s FROM chain_source",
        [table.table, latest[0] + 1 if latest else 1, *wanted],
    )
    return True


def _definition(table: Sealed, types: dict[str, str]) -> tuple[list[str], list[str]]:
    always = {table.key, table.moment, XACT, *table.salted}
    named = {*always, *table.mutable, *table.only}
    if missing := named - set(types):
        raise NotSealable(f"{table.table} has no column {', '.join(sorted(missing))}")
    columns = sorted({*table.only, *always} if table.only else set(types) - set(table.mutable))
    if unknown := [f"{name} {types[name]}" for name in columns if types[name] not in KINDS]:
        raise NotSealable(f"{table.table}: nobody has said how to write {', '.join(unknown)}")
    kinds = [("salted " if name in table.salted else "") + KINDS[types[name]] for name in columns]
    return columns, kinds


def _add_xact(cursor: CursorWrapper, table: str) -> None:
    cursor.execute("SELECT xact_offset FROM chain_epoch ORDER BY number DESC LIMIT 1")
    (offset,) = cursor.fetchone() or (0,)
    cursor.execute(
        sql.SQL("ALTER TABLE {} ADD COLUMN {} bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint + {}").format(
            sql.Identifier(table), sql.Identifier(XACT), sql.Literal(offset)
        )
    )
    cursor.execute(
        sql.SQL("CREATE INDEX {} ON {} ({})").format(
            sql.Identifier(f"{table}_by_xact"), sql.Identifier(table), sql.Identifier(XACT)
        )
    )
