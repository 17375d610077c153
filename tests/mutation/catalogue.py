"""Mutants of what the database's catalogue lists for the tables of money: constraints, unique indexes, triggers."""

from collections.abc import Iterator

import psycopg

from tests.mutation import sql_conditions, sql_values
from tests.mutation.mutants import Mutant, numbered, one_line
from tests.mutation.sql_text import Sql

#: Of the tables of ledger and accounts those that Django's own user and permissions make are not the core's.
_TABLES = r"c.relname ~ '^(ledger|accounts)_' AND c.relname !~ '^accounts_user'"
_CONSTRAINTS = f"""
    SELECT c.relname, n.conname, n.contype::text, pg_get_constraintdef(n.oid)
    FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid
    WHERE n.contype IN ('c', 'u', 'p', 'f', 'x') AND {_TABLES} ORDER BY 1, 2"""
_INDEXES = f"""
    SELECT c.relname, x.relname, pg_get_indexdef(x.oid)
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
    WHERE i.indisunique AND {_TABLES} AND NOT EXISTS (SELECT FROM pg_constraint n WHERE n.conindid = x.oid)
    ORDER BY 1, 2"""
_TRIGGERS = f"""
    SELECT c.relname, t.tgname, pg_get_triggerdef(t.oid)
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE NOT t.tgisinternal AND {_TABLES} ORDER BY 1, 2"""
_KINDS = {"c": "CHECK", "u": "UNIQUE", "p": "PRIMARY KEY", "f": "FOREIGN KEY", "x": "EXCLUDE"}


def mutants_of_catalogue(connection: psycopg.Connection) -> list[Mutant]:
    return numbered([*_constraints(connection), *_indexes(connection), *_triggers(connection)])


def _mutant(table: str, operator: str, before: str, after: str, sql: str) -> Mutant:
    return Mutant(
        area="catalogue",
        file="catalogue",
        place=table,
        operator=operator,
        line=0,
        before=one_line(before),
        after=one_line(after),
        whole=before,
        sql=sql,
    )


def _constraints(connection: psycopg.Connection) -> Iterator[Mutant]:
    for table, name, kind, definition in connection.execute(_CONSTRAINTS):
        drop = f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'
        yield _mutant(table, f"{_KINDS[kind]} dropped", f"{name} {definition}", "", drop)
        if kind == "c":
            for operator, changed in _changed(definition):
                sql = f'{drop}, ADD CONSTRAINT "{name}" {changed} NOT VALID'
                yield _mutant(table, f"CHECK: {operator}", f"{name} {definition}", changed, sql)


def _indexes(connection: psycopg.Connection) -> Iterator[Mutant]:
    for table, name, definition in connection.execute(_INDEXES):
        drop = f'DROP INDEX "{name}"'
        yield _mutant(table, "UNIQUE INDEX dropped", definition, "", drop)
        head, where, condition = definition.partition(" WHERE ")
        if where:
            for operator, changed in _changed(f"WHERE {condition}"):
                yield _mutant(
                    table, f"UNIQUE INDEX: {operator}", definition, f"{head} {changed}", f"{drop}; {head} {changed}"
                )


def _triggers(connection: psycopg.Connection) -> Iterator[Mutant]:
    for table, name, definition in connection.execute(_TRIGGERS):
        yield _mutant(table, "TRIGGER dropped", definition, "", f'DROP TRIGGER "{name}" ON {table}')
        head, _, arguments = definition.rpartition("(")
        pairs = [each for each in arguments.rstrip(")").split(", ") if ">" in each]
        for pair in pairs:
            changed = f"{head}({arguments.replace(pair, chr(39) + 'mutant' + chr(39), 1)}"
            sql = changed.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1)
            yield _mutant(table, "TRIGGER: state pair dropped", f"{name} {pair}", "", sql)


def _changed(definition: str) -> Iterator[tuple[str, str]]:
    sql = Sql(definition, 0, len(definition))
    for part in (sql_conditions, sql_values):
        for edit in part.mutants(sql):
            yield edit.operator, definition[: edit.start] + edit.text + definition[edit.end :]
