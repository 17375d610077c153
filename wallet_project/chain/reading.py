"""Reads the chain and the rows under seal as streams: memory is bounded by one block, whatever there is.

Nothing here calls a function of the chain's own: who verifies trusts what PostgreSQL ships alone."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection
from psycopg import sql

from wallet_project.chain.hashing import Definition, Header

CHUNK: Final = 2_000
_FIRST: Final = -(2**63)
_LAST: Final = 2**63 - 1
# to_char() has no text for infinity, and the same for a year before Christ as for the one after.
_TIME: Final = """coalesce(to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || CASE WHEN {0} < '0001-01-01Z' THEN ' BC' ELSE '' END, {0}::text)"""
_DATE: Final = "coalesce(to_char({0}, 'YYYY-MM-DD') || CASE WHEN {0} < '0001-01-01' THEN ' BC' ELSE '' END, {0}::text)"
#: A value as text, by its column's kind; the same whatever a session has set.
_TEXT: Final = {"time": _TIME, "date": _DATE, "bytes": "encode({}, 'hex')"}


@dataclass(frozen=True, slots=True)
class Part:
    """A section: what a block says that it holds of a table."""

    block: int
    source_id: int
    row_count: int
    row_ids: Sequence[str]
    leaves: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """What is kept of a salted text; no salt once it was erased."""

    salt: bytes | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """A row under seal: its columns as text, and what is kept of its salted ones."""

    xact: int
    key: str
    texts: dict[str, str | None]
    salted: dict[str, Text]


def definitions() -> dict[int, Definition]:
    """All definitions that there are or were, by the source's id."""
    return {
        row[0]: Definition(*row)
        for row in _stream("SELECT id, table_name, version, key_column, columns, kinds FROM chain_source ORDER BY id")
    }


def headers(*, after: int) -> Generator[Header]:
    """The blocks above a number (-1: all), in order."""
    time = _TIME.format("sealed_at")
    for row in _stream(
        f"SELECT number, epoch_id, from_xact, to_xact, row_count, {time}, previous, content, hash"  # noqa: S608
        " FROM chain_block WHERE number > %s ORDER BY number",
        [after],
    ):
        yield Header(*row[:6], *map(bytes, row[6:]))


def header(number: int) -> Header | None:
    with closing(headers(after=number - 1)) as found:
        first = next(found, None)
    return first if first is not None and first.number == number else None


def header_that_ends(xact: int) -> Header | None:
    """The block whose range ends at a transaction's number."""
    for (number,) in _stream("SELECT max(number) FROM chain_block WHERE to_xact = %s", [xact]):
        return None if number is None else header(number)
    return None


def last_header(*, sealed_by: datetime | None = None) -> Header | None:
    """The last block, or the last one that was sealed at an instant or before."""
    query, values = "SELECT max(number) FROM chain_block", None
    if sealed_by is not None:
        query, values = f"{query} WHERE sealed_at <= %s", [sealed_by]
    for (number,) in _stream(query, values):
        return None if number is None else header(number)
    return None


def parts(*, after: int) -> Iterator[Part]:
    """The sections of the blocks above a number, in the order in which they are hashed."""
    for row in _stream(
        "SELECT p.block_id, p.source_id, p.row_count, p.row_ids, p.leaves, p.digest FROM chain_section p"
        " LEFT JOIN chain_source s ON s.id = p.source_id"
        ' WHERE p.block_id > %s ORDER BY p.block_id, s.table_name COLLATE "C", p.source_id',
        [after],
        chunk=20,
    ):
        block, source_id, row_count, row_ids, leaves, digest = row
        yield Part(block, source_id, row_count, row_ids, bytes(leaves), bytes(digest))


def tables() -> set[str]:
    """The tables that there are."""
    return set(connection.introspection.table_names())


def rows(versions: Sequence[Definition], *, since: int | None, until: int | None = None) -> Iterator[Row]:
    """The rows of a table, all of whose definitions are given, from a transaction's number on, and to one that is left
    out; by it and by key."""
    table, key = versions[-1].table, sql.Identifier("t", versions[-1].key)
    kinds = {column: kind for each in versions for column, kind in zip(each.columns, each.kinds, strict=True)}
    salted = [column for column, kind in kinds.items() if kind.startswith("salted ")]
    wanted: list[sql.Composable] = [text_of(column, kind) for column, kind in kinds.items()]
    joins: list[sql.Composable] = []
    for number, column in enumerate(salted):
        alias = sql.Identifier(f"salt{number}")
        wanted.append(sql.SQL("{0}.salt, {0}.digest").format(alias))
        joins.append(
            # By OFFSET 0 the planner has to look each text up by its whole key, however little it knows of the tables.
            sql.SQL(
                " LEFT JOIN LATERAL (SELECT s.salt, s.digest FROM chain_salt s WHERE s.source_id = ANY({1})"
                " AND s.row_id = {2}::text AND s.column_name = {3} OFFSET 0) {0} ON true"
            ).format(alias, sql.Literal([each.source_id for each in versions]), key, sql.Literal(column))
        )
    query = sql.SQL("SELECT t.xact, {}::text, {} FROM {} t{}{} ORDER BY t.xact, {}").format(
        key,
        sql.SQL(", ").join(wanted),
        sql.Identifier(table),
        sql.SQL("").join(joins),
        sql.SQL(" WHERE t.xact >= {} AND t.xact < {}").format(
            sql.Literal(_FIRST if since is None else since), sql.Literal(_LAST if until is None else until)
        ),
        key,
    )
    for xact, row_id, *values in _stream(query):
        kept = zip(salted, values[len(kinds) :: 2], values[len(kinds) + 1 :: 2], strict=True)
        yield Row(
            xact=xact,
            key=row_id,
            texts=dict(zip(kinds, values[: len(kinds)], strict=True)),
            salted={
                column: Text(None if salt is None else bytes(salt), bytes(digest))
                for column, salt, digest in kept
                if digest is not None
            },
        )


def text_of(column: str, kind: str) -> sql.Composable:
    """SQL for a column of the table `t` as it is hashed, before it is salted."""
    return sql.SQL(_TEXT.get(kind.removeprefix("salted "), "{}::text")).format(sql.Identifier("t", column))


def _stream(
    query: str | sql.Composed, parameters: Sequence[int | datetime] | None = None, *, chunk: int = CHUNK
) -> Iterator[tuple[Any, ...]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, parameters)
        while found := cursor.fetchmany(chunk):
            yield from found
