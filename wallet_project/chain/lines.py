"""SQL for what is hashed of a row, as docs/chain.md has it, in as little of the server's time as may be.

It has to be quick and need not know every value. Bytes that are not those that were sealed have another hash: then each
row is made to text by `reading` and hashed in Python, which settles it. What it must not do is to give for a value that
it does not know what another one was sealed as.

What is quick was measured (docs/performance.md): `||` and not concat(), which asks the type of each piece how it is
written; few of them; a time as PostgreSQL writes it by itself, as to_char() reads its pattern for each value."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby, repeat
from operator import attrgetter
from typing import Final

from psycopg import sql

from wallet_project.chain import reading
from wallet_project.chain.hashing import Definition

#: Values whose text has one length, so that it need not be measured.
_LENGTHS: Final = {"uuid": 36}
#: Lengths of which the beginning of a line is looked up; of longer ones it is made.
_LOOKED_UP: Final = 24
#: As `DateStyle = ISO` writes it, which leaves the fraction's last zeros out: 2026-11-22 09:00:00.12. Its blank becomes
#: a T as a byte, as text is counted by characters.
_TIME: Final = "({} AT TIME ZONE 'UTC')::text"
# What has no such length is a year of five digits, one before Christ or infinity. It must have an eleventh byte.
_TIME_LINE: Final = """coalesce({named}::bytea || set_byte(textsend({text} || CASE octet_length({text})
    WHEN 26 THEN 'Z' WHEN 25 THEN '0Z' WHEN 24 THEN '00Z' WHEN 23 THEN '000Z' WHEN 22 THEN '0000Z' WHEN 21 THEN '00000Z'
    WHEN 19 THEN '.000000Z' ELSE ', another time' END), 10, ascii('T')), {null}::bytea)"""


@dataclass(frozen=True, slots=True)
class _Line:
    """SQL for a line without its end, which is the next one's beginning."""

    sql: sql.Composable
    in_bytes: bool = False


@dataclass(frozen=True, slots=True)
class RowText:
    """SQL for rows of a table by a definition of it: `texts` of the table `t`, each once and named, and `hashed` of a
    row `u` of these and the table's `key`. `id`: the name of the key's text."""

    texts: sql.Composable
    hashed: sql.Composable
    id: sql.Identifier


def row_text(definition: Definition, versions: Sequence[int], *, texts_were_erased: bool) -> RowText:
    """`versions`: the sources that the table is or was, whose salts count."""
    columns = list(zip(definition.columns, definition.kinds, strict=True))
    named = [sql.Identifier(f"text{number}") for number in range(len(columns))]
    texts = [
        sql.SQL("{} AS {}").format(_text(column, kind), name)
        for (column, kind), name in zip(columns, named, strict=True)
    ]
    lines = [
        _line(sql.SQL("u.{}").format(name), kind, _Salts(column, versions, texts_were_erased), before)
        for (column, kind), name, before in zip(columns, named, chain([""], repeat("\n")), strict=False)
    ]
    parts: list[sql.Composable] = [sql.SQL("'\\x00'::bytea")]
    for in_bytes, of_a_kind in groupby(lines, attrgetter("in_bytes")):
        joined = _joined([line.sql for line in of_a_kind])
        # In the encoding of the connection, which Django has as UTF-8. convert_to() takes three times as long.
        parts.append(joined if in_bytes else sql.SQL("textsend({})").format(joined))
    return RowText(
        texts=sql.SQL(", ").join(texts),
        hashed=_joined([*parts, sql.SQL("'\\x0a'::bytea")]),
        id=named[list(definition.columns).index(definition.key)],
    )


@dataclass(frozen=True, slots=True)
class _Salts:
    """Where the digest of a column's text is, if that is salted."""

    column: str
    versions: Sequence[int]
    texts_were_erased: bool


def _text(column: str, kind: str) -> sql.Composable:
    if kind == "time":
        return sql.SQL(_TIME).format(sql.Identifier("t", column))
    return reading.text_of(column, kind)


def _joined(pieces: Sequence[sql.Composable]) -> sql.Composable:
    """By halves: each `||` copies what it joins, so that one after another would copy the first of them each time."""
    if len(pieces) == 1:
        return pieces[0]
    half = len(pieces) // 2
    return sql.SQL("({} || {})").format(_joined(pieces[:half]), _joined(pieces[half:]))


def _line(text: sql.Composable, kind: str, salts: _Salts, before: str) -> _Line:
    """A column's line from the column as text. `before`: the end of the line before."""
    name = f"{before}{salts.column}="
    null = f"{name}-"
    if kind == "time":
        return _Line(
            sql.SQL(_TIME_LINE).format(
                named=sql.Literal(f"{name}27:".encode()), text=text, null=sql.Literal(null.encode())
            ),
            in_bytes=True,
        )
    plain = sql.SQL("coalesce({begin} || {text}, {null})").format(
        begin=_beginning(name, text, kind), text=text, null=sql.Literal(null)
    )
    if not kind.startswith("salted "):
        return _Line(plain)
    kept = sql.SQL(
        "SELECT {name} || encode(s.digest, 'hex') FROM chain_salt s WHERE s.source_id = ANY({versions})"
        " AND s.row_id = u.key::text AND s.column_name = {column} AND "
    ).format(
        name=sql.Literal(f"{before}{salts.column}#"),
        versions=sql.Literal(list(salts.versions)),
        column=sql.Literal(salts.column),
    )
    blank = sql.SQL("coalesce(({} s.salt IS NULL), {})").format(kept, plain) if salts.texts_were_erased else plain
    return _Line(
        sql.SQL(
            "CASE WHEN coalesce({text}, '') IN ('', '{{}}', '[]') THEN {blank}"
            " ELSE ({kept} s.digest = pg_catalog.sha256(s.salt || convert_to({text}, 'UTF8'))) END"
        ).format(text=text, blank=blank, kept=kept)
    )


def _beginning(name: str, text: sql.Composable, kind: str) -> sql.Composable:
    """`name=LENGTH:`, in one piece."""
    length = _LENGTHS.get(kind)
    if length is not None:
        return sql.Literal(f"{name}{length}:")
    return sql.SQL(
        "coalesce(({known}::text[])[octet_length({text}) + 1], {name} || octet_length({text}) || ':')"
    ).format(known=sql.Literal([f"{name}{each}:" for each in range(_LOOKED_UP)]), name=sql.Literal(name), text=text)
