"""Does all that is under seal match its blocks? Asked of the database set by set, which answers ten times as fast as
rows can be fetched one by one. It says only that all is as it was sealed, or that something is not; what, is for the
verifier that computes every hash by itself (`verification`).

What hashes here is PostgreSQL's own `sha256`, named with its schema, and no function of the chain's own."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from itertools import chain, pairwise
from typing import Any, Final

from django.db import connection
from psycopg import sql

from wallet_project.chain import hashing, reading
from wallet_project.chain.hashing import SECTION, Definition, Header
from wallet_project.chain.lines import row_text
from wallet_project.utils.verification import spread

# A section is as it was when its leaves give its digest, and its rows its leaves. Rows before the first block's range
# would be its own.
_SECTIONS: Final = """
    SELECT b.number, s.digest, f.many,
           s.digest = pg_catalog.sha256({head}::bytea || s.leaves) AND s.leaves = f.leaves AND s.row_ids = f.ids
               AND s.row_count = f.many AS matches
    FROM chain_block b JOIN chain_section s ON s.block_id = b.number AND s.source_id = {source}
    CROSS JOIN LATERAL (
        SELECT count(*) AS many, string_agg(r.leaf, ''::bytea ORDER BY r.xact, r.key) AS leaves,
               array_agg(r.id ORDER BY r.xact, r.key) AS ids
        FROM (
            -- By OFFSET 0 each text is made once, however often its line names it, and what is sorted is leaves.
            SELECT u.xact, u.key, u.{id} AS id, pg_catalog.sha256({hashed}) AS leaf
            FROM (
                SELECT t.xact, t.{key} AS key, {texts} FROM {table} t
                WHERE t.xact >= b.from_xact AND t.xact < b.to_xact OFFSET 0
            ) u OFFSET 0
        ) r
    ) f
    WHERE b.number >= {first} AND b.number < {end}"""
_COUNT: Final = "SELECT count(*) FROM {table} t WHERE t.xact < {up_to} AND t.xact >= {since}"
_ERASED: Final = "SELECT source_id, count(*) FROM chain_salt WHERE salt IS NULL GROUP BY source_id"
_FIRST: Final = -(2**63)
#: Of all blocks, for as many connections as there are to share them out among; each asks once for each table. By rows:
#: a block holds what has come since the one before, which may be a few or sixty thousand.
_MOST_PIECES: Final = 8
_ROWS_OF_A_PIECE: Final = 100_000


def figures_if_all_match(after: Header | None) -> dict[str, int] | None:
    """How many blocks, rows and erased texts there are behind a head (None: from the first block on), if all of them
    are as they were sealed; None if anything is not."""
    blocks = list(reading.headers(after=-1 if after is None else after.number))
    last = after
    for block in blocks:
        if block.computed() != block.hash or not _follows(last, block):
            return None
        last = block
    definitions = reading.definitions()
    digests: dict[int, list[tuple[str, bytes]]] = defaultdict(list)
    counts: dict[int, int] = defaultdict(int)
    many: dict[str, int] = defaultdict(int)
    erased = _erased()
    there = reading.tables()
    cuts = min(_MOST_PIECES, sum(block.row_count for block in blocks) // _ROWS_OF_A_PIECE + 1)
    pieces = [
        partial(_sections_of_all, definitions, erased, there, blocks[start].number, blocks[end - 1].number + 1)
        for start, end in pairwise(len(blocks) * cut // cuts for cut in range(cuts + 1))
        if start < end
    ]
    for table, number, digest, rows, matches in chain.from_iterable(spread(pieces)):
        if not matches:
            return None
        digests[number].append((table, bytes(digest)))
        counts[number] += rows
        many[table] += rows
    if not _hold(blocks, digests, counts) or not _nothing_besides(definitions.values(), many, after, last, there):
        return None
    return {"blocks": len(blocks), "rows": sum(many.values()), "erased_texts": sum(erased.values()) if not after else 0}


def _follows(last: Header | None, block: Header) -> bool:
    if last is None:
        return block.number == 0
    return (block.number, block.previous, block.from_xact) == (last.number + 1, last.hash, last.to_xact)


def _hold(blocks: Iterable[Header], digests: Mapping[int, list[tuple[str, bytes]]], counts: Mapping[int, int]) -> bool:
    """Each block holds the sections that are there, and none is of a block that is not. A table has one in a block."""
    numbers = {block.number for block in blocks}
    return digests.keys() <= numbers and all(
        hashing.content(digest for _, digest in sorted(digests.get(block.number, ()))) == block.content
        and len({table for table, _ in digests.get(block.number, ())}) == len(digests.get(block.number, ()))
        and counts.get(block.number, 0) == block.row_count
        for block in blocks
    )


def _nothing_besides(
    definitions: Iterable[Definition],
    many: Mapping[str, int],
    after: Header | None,
    last: Header | None,
    there: Collection[str],
) -> bool:
    """No row was slipped in where no section is: in all, there are as many as the sections hold."""
    for table in {definition.table for definition in definitions}:
        if table not in there or last is None:
            return False
        query = sql.SQL(_COUNT).format(
            table=sql.Identifier(table), up_to=last.to_xact, since=_FIRST if after is None else after.to_xact
        )
        if _rows(query) != [(many.get(table, 0),)]:
            return False
    return True


def _erased() -> dict[int, int]:
    return dict(_rows(sql.SQL(_ERASED)))


def _sections_of_all(
    definitions: Mapping[int, Definition], erased: Mapping[int, int], there: Collection[str], first: int, end: int
) -> list[tuple[Any, ...]]:
    """Of each table, those of the blocks from a number on and before another."""
    return [
        (definition.table, *row)
        for definition in definitions.values()
        for row in _sections(definition, definitions, erased, there, first, end)
    ]


def _sections(
    definition: Definition,
    definitions: Mapping[int, Definition],
    erased: Mapping[int, int],
    there: Collection[str],
    first: int,
    end: int,
) -> list[tuple[Any, ...]]:
    if definition.table not in there:
        return []
    versions = [each.source_id for each in definitions.values() if each.table == definition.table]
    row = row_text(definition, versions, texts_were_erased=any(erased.get(version) for version in versions))
    query = sql.SQL(_SECTIONS).format(
        head=sql.Literal(SECTION + definition.digest),
        source=definition.source_id,
        key=sql.Identifier(definition.key),
        table=sql.Identifier(definition.table),
        texts=row.texts,
        hashed=row.hashed,
        id=row.id,
        first=first,
        end=end,
    )
    return _rows(query)


def _rows(query: sql.Composable) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
