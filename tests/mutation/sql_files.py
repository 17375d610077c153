"""The SQL files of the money core, and every mutant of them."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.mutation import sql_clauses, sql_conditions, sql_values
from tests.mutation.mutants import Mutant, numbered, one_line
from tests.mutation.sql_text import Edit, Sql
from tests.mutation.tokens import body, statements

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("ledger/sql", "accounts/sql")
_KINDS = (sql_conditions, sql_clauses, sql_values)


def mutants_of_files(root: Path = ROOT) -> list[Mutant]:
    files = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.sql"))]
    return [mutant for path in files for mutant in mutants_of(path.read_text(), str(path.relative_to(root)))]


def mutants_of(source: str, file: str) -> list[Mutant]:
    return numbered(
        _mutant(source, file, start, end, edit)
        for start, end in statements(source)
        for edit in _edits(source, start, end)
        if source[edit.start : edit.end] != edit.text
    )


def _edits(source: str, start: int, end: int) -> Iterator[Edit]:
    """Functions and the conditions of triggers. What else a file installs is mutated from the catalogue."""
    head = source[start:end].split("(", 1)[0]
    if "FUNCTION" in head and (inside := body(source, start, end)):
        yield from attributes_and(source, start, end, inside)
    elif head.startswith("CREATE TRIGGER") and (when := re.search(r"\bWHEN \(", source[start:end])):
        for part in (sql_conditions, sql_values):
            yield from part.mutants(Sql(source, start + when.start(), _closed(source, start + when.end())))


def attributes_and(source: str, start: int, end: int, inside: tuple[int, int]) -> Iterator[Edit]:
    yield from sql_clauses.attributes(source, start, inside[0])
    sql = Sql(source, *inside)
    for kind in _KINDS:
        yield from kind.mutants(sql)


def _closed(source: str, place: int) -> int:
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(source[place], 0)
        place += 1
    return place


def _mutant(source: str, file: str, start: int, end: int, edit: Edit) -> Mutant:
    whole = source[start:end]
    changed = source[start : edit.start] + edit.text + source[edit.end : end]
    line_start = source.rfind("\n", 0, edit.start) + 1
    line_end = source.find("\n", edit.end)
    named = re.search(r"(?:FUNCTION|TRIGGER) (\w+)", whole)
    return Mutant(
        area="sql",
        file=file,
        place=named[1] if named else "",
        operator=edit.operator,
        line=source.count("\n", 0, edit.start) + 1,
        before=one_line(source[line_start:line_end]),
        after=one_line(source[line_start : edit.start] + edit.text + source[edit.end : line_end]),
        whole=whole,
        sql=changed.replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER", 1),
    )
