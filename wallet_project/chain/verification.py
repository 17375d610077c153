"""Does what is there give the hashes of the chain? From its first block, or from a head that somebody trusts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from django.db import connection

from wallet_project.chain import hashing, matching, reading
from wallet_project.chain.declarations import declared
from wallet_project.chain.hashing import LEAF_BYTES, Definition, Header
from wallet_project.chain.reading import Part, Row
from wallet_project.chain.selectors import oldest_unsealed_seconds
from wallet_project.utils.verification import MAX_ROWS, Check, Result, rows

T = TypeVar("T")

#: What an erased text may look like.
_ERASED: Final = (None, "", "{}", "[]", "null")
#: Blocks come every few seconds.
_LATE_SECONDS: Final = 600


class Source(Protocol):
    """Where blocks and rows are read from, as streams; `reading` says what each gives."""

    def definitions(self) -> dict[int, Definition]: ...
    def headers(self, *, after: int) -> Iterator[Header]: ...
    def parts(self, *, after: int) -> Iterator[Part]: ...
    def rows(self, versions: Sequence[Definition], *, since: int | None) -> Iterator[Row]: ...
    def tables(self) -> set[str]: ...


@dataclass
class ChainCheck:
    """I8. `after`: the head from which on the chain is read, None for all of it. `quickly`: as long as the database's
    own hashes say that all is as it was sealed, believe them; every hash is computed here otherwise."""

    after: Header | None = None
    quickly: bool = False
    source: Source = reading
    name: str = "I8"
    title: str = "Entries and logs are as they were when they were sealed, each block follows the one before"
    _offending: list[dict[str, Any]] = field(default_factory=list)
    _figures: dict[str, int] = field(default_factory=dict)

    def before(self) -> None:
        """Nothing to ask of others."""

    def read(self) -> None:
        self._offending, self._figures = [], {"blocks": 0, "rows": 0, "erased_texts": 0, "unsealed_rows": 0}
        definitions = reading.definitions()
        found = matching.figures_if_all_match(self.after) if self.quickly else None
        if found is None:
            last = self._read_every_row(definitions)
        else:
            self._figures |= found
            last = reading.last_header()
        self._look_at_the_end(definitions, last)

    def read_every_row(self) -> Header | None:
        """Only that each block holds its rows and follows the one before; the last block."""
        self._offending, self._figures = [], {"blocks": 0, "rows": 0, "erased_texts": 0}
        return self._read_every_row(self.source.definitions())

    def _read_every_row(self, definitions: dict[int, Definition]) -> Header | None:
        start = -1 if self.after is None else self.after.number
        parts = _Ahead(self.source.parts(after=start))
        tables = self._open_tables(definitions)
        last = self.after
        for header in self.source.headers(after=start):
            self._follows(last, header)
            held = list(parts.take(partial(_up_to_block, header.number)))
            self._holds(header, held, definitions)
            by_table = {definitions[part.source_id].table: part for part in held if part.source_id in definitions}
            for table, stream in tables.items():
                found = list(stream.take(partial(_before, header.to_xact)))
                self._compare(header, table, by_table.get(table), found, definitions)
            self._figures["blocks"] += 1
            last = header
        for part in parts.take(lambda _: True):
            self._offend("a section of a block that is not there", block=part.block)
        return last

    def result(self) -> Result:
        return Result(self.name, self.title, self._figures, self._offending[:MAX_ROWS])

    def _offend(self, problem: str, **where: object) -> None:
        # All are counted by whoever corrects them; here they must not fill the memory.
        if len(self._offending) < MAX_ROWS:
            self._offending.append({"problem": problem, **where})

    def _open_tables(self, definitions: dict[int, Definition]) -> dict[str, "_Ahead[Row]"]:
        since = None if self.after is None else self.after.to_xact
        names = sorted({each.table for each in definitions.values()})
        there = self.source.tables()
        for name in names:
            if name not in there:
                self._offend("a table under seal is gone", table=name)
        return {
            name: _Ahead(self.source.rows([each for each in definitions.values() if each.table == name], since=since))
            for name in names
            if name in there
        }

    def _follows(self, last: Header | None, header: Header) -> None:
        if header.computed() != header.hash:
            self._offend("a block's hash is not that of what it says", block=header.number)
        if last is None:
            if header.number != 0:
                self._offend("the first block is missing", block=header.number)
        elif (header.number, header.previous, header.from_xact) != (last.number + 1, last.hash, last.to_xact):
            self._offend("a block does not follow the one before", block=header.number, before=last.number)

    def _holds(self, header: Header, held: Sequence[Part], definitions: dict[int, Definition]) -> None:
        for part in held:
            definition = definitions.get(part.source_id)
            table = definition.table if definition else None
            if part.block != header.number:
                self._offend("a section of a block that is not there", block=part.block, table=table)
            if definition is None or hashing.section(definition, part.leaves) != part.digest:
                self._offend("a section's digest is not that of its rows", block=header.number, table=table)
            if not part.row_count == len(part.row_ids) == len(part.leaves) / LEAF_BYTES:
                self._offend("a section does not name its rows", block=header.number, table=table)
        if hashing.content(part.digest for part in held) != header.content:
            self._offend("a block's content is not that of its sections", block=header.number)
        if sum(part.row_count for part in held) != header.row_count:
            self._offend("a block does not count its rows", block=header.number)

    def _compare(
        self, header: Header, table: str, part: Part | None, found: Sequence[Row], definitions: dict[int, Definition]
    ) -> None:
        expected: dict[str, bytes] = {}
        if part is not None:
            cuts = range(0, len(part.leaves), LEAF_BYTES)
            expected = dict(zip(part.row_ids, (part.leaves[at : at + LEAF_BYTES] for at in cuts), strict=False))
        for row in found:
            where = {"block": header.number, "table": table, "row": row.key}
            leaf = expected.pop(row.key, None)
            if part is None or leaf is None:
                self._offend("a row that its block does not hold: written later, and dated back", **where)
            elif self._leaf(definitions[part.source_id], row, where) != leaf:
                self._offend("a row is not as it was sealed", **where)
        for missing in expected:
            self._offend("a row that was sealed is not there", block=header.number, table=table, row=missing)
        self._figures["rows"] += len(found)

    def _leaf(self, definition: Definition, row: Row, where: dict[str, object]) -> bytes:
        for column, kept in row.salted.items():
            text = row.texts[column]
            if kept.salt is None:
                self._figures["erased_texts"] += 1
                if text not in _ERASED:
                    self._offend("a text came after the one that was erased", **where, column=column)
            elif hashing.salted(kept.salt, text or "") != kept.digest:
                self._offend("a text is not as it was sealed", **where, column=column)
        return hashing.leaf(definition, row.texts, {column: kept.digest for column, kept in row.salted.items()})

    def _look_at_the_end(self, definitions: dict[int, Definition], last: Header | None) -> None:
        if last is None:
            self._offend("there is no block")
            return
        sealed = {each.table for each in definitions.values()}
        for table in declared():
            if table.table not in sealed and table.table in connection.introspection.table_names():
                self._offend("a table that is declared is not under seal: run migrate", table=table.table)
        (clock,) = rows(
            "SELECT e.xact_offset + pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next,"
            " e.system_identifier = c.system_identifier AS here"
            " FROM chain_epoch e, pg_control_system() c ORDER BY e.number DESC LIMIT 1"
        )
        if not clock["here"]:
            self._offend("the database came to another server, and nobody ran resume_chain")
        there = set(connection.introspection.table_names())
        for table_name in sorted(sealed & there):
            name = connection.ops.quote_name(table_name)
            (after,) = rows(
                f"SELECT count(*) AS unsealed, count(*) FILTER (WHERE xact >= %(next)s) AS of_the_future FROM {name}"  # noqa: S608
                " WHERE xact >= %(head)s",
                {"head": last.to_xact, "next": clock["next"]},
            )
            self._figures["unsealed_rows"] += after["unsealed"]
            if after["of_the_future"]:
                self._offend("rows of transactions that have not been", table=table_name, rows=after["of_the_future"])


@dataclass
class LateCheck:
    """I6, as far as it is the chain's: what was written is sealed soon after."""

    name: str = "I6"
    title: str = "Every row of a log is sealed within minutes"
    _age: float = 0.0

    def before(self) -> None:
        """Nothing to ask of others."""

    def read(self) -> None:
        self._age = oldest_unsealed_seconds()[0][1]

    def result(self) -> Result:
        late = [{"problem": "rows wait for their seal", "seconds": round(self._age)}] * (self._age > _LATE_SECONDS)
        return Result(self.name, self.title, {"oldest_unsealed_seconds": round(self._age, 1)}, late)


def checks() -> Sequence[Check]:
    return [ChainCheck(quickly=True), LateCheck()]


def checks_since(since: int, moment: datetime) -> Sequence[Check]:
    """Of what transactions numbered `since` and above wrote, where a block ends."""
    return [ChainCheck(after=reading.header_that_ends(since), quickly=True), LateCheck()]


def _up_to_block(number: int, part: Part) -> bool:
    return part.block <= number


def _before(xact: int, row: Row) -> bool:
    return row.xact < xact


class _Ahead(Generic[T]):
    """A stream of which one takes what comes up to a point."""

    def __init__(self, stream: Iterator[T]) -> None:
        self._stream = stream
        self._next = next(stream, None)

    def take(self, belongs: Callable[[T], bool]) -> Iterator[T]:
        while self._next is not None and belongs(self._next):
            taken, self._next = self._next, next(self._stream, None)
            yield taken
