"""Mutants of locks, orders, joins, assignments and whole statements."""

# ruff: noqa: SIM905

import re
from collections.abc import Iterator

from tests.mutation.sql_conditions import assignments
from tests.mutation.sql_text import Edit, Sql

_LOCKS = (("for", "no", "key", "update"), ("for", "key", "share"), ("for", "update"), ("for", "share"))
_STARTERS = frozenset("update delete insert perform raise return select with execute".split())
_BLOCKS = frozenset("begin ; then else loop".split())
_ATTRIBUTES = ("SECURITY DEFINER", r"SET search_path = \w+(?:, \w+)*", "STABLE")


def mutants(sql: Sql) -> Iterator[Edit]:
    yield from _locks(sql)
    yield from _orders(sql)
    yield from _shapes(sql)
    yield from _set_items(sql)
    yield from _statements(sql)


def attributes(source: str, start: int, end: int) -> Iterator[Edit]:
    """Of a function's head: what it runs as, and in which schema it looks."""
    for pattern in _ATTRIBUTES:
        for found in re.finditer(rf"\b{pattern}(?= )", source[start:end]):
            yield Edit("attribute dropped", start + found.start(), start + found.end(), "")


def _locks(sql: Sql) -> Iterator[Edit]:
    for words in _LOCKS:
        for first in sql.find(*words):
            last = first + len(words) - 1
            end = last
            if sql.words(last + 1, 2) == ("skip", "locked"):
                end = last + 2
                yield sql.edit("SKIP LOCKED dropped", last + 1, end, "")
            yield sql.edit("lock dropped", first, end, "")
            if words[-1] == "update":
                yield sql.edit("lock weakened", first, last, "FOR KEY SHARE")


def _orders(sql: Sql) -> Iterator[Edit]:
    for first in sql.find("order", "by"):
        last = sql.until(first, {"limit", "for", "rows", "range", ";", "returning", "offset", "union"})
        locked = any(sql.text(n) == "for" for n in range(last + 1, min(last + 6, len(sql.tokens))))
        kind = "lock order" if locked else "order"
        yield sql.edit(f"{kind} dropped", first, last, "")
        key_end = sql.until(first + 2, {",", "limit", "for", "rows", "range", ";"}, depth=sql.tokens[first].depth)
        if sql.text(key_end) == "desc":
            yield sql.edit(f"{kind} reversed", key_end, key_end, "ASC")
        else:
            yield Edit(f"{kind} reversed", sql.tokens[key_end].end, sql.tokens[key_end].end, " DESC")
    for first in sql.find("partition", "by"):
        yield sql.edit("partition dropped", first, sql.until(first, {"order", "rows"}), "")


def _shapes(sql: Sql) -> Iterator[Edit]:
    for first in sql.find("left", "join"):
        yield sql.edit("outer join made inner", first, first + 1, "JOIN")
    for first in sql.find("union"):
        if sql.text(first + 1) == "all":
            yield sql.edit("UNION ALL made UNION", first, first + 1, "UNION")
        else:
            yield sql.edit("UNION made UNION ALL", first, first, "UNION ALL")
    for first in sql.find("limit"):
        yield sql.edit("limit dropped", first, sql.until(first, {"for", ";", "offset"}), "")
    for first in sql.find("distinct"):
        if sql.text(first + 1) != "from":
            yield sql.edit("DISTINCT dropped", first, first, "")
    for first in sql.find("on", "conflict"):
        yield sql.edit("ON CONFLICT dropped", first, sql.until(first, {";", "returning"}), "")


def _set_items(sql: Sql) -> Iterator[Edit]:
    for items in assignments(sql):
        for number, (first, last) in enumerate(items):
            if len(items) > 1:
                # With the comma that follows it, or that it follows.
                yield (
                    sql.edit("assignment dropped", first, last + 1, "")
                    if number + 1 < len(items)
                    else sql.edit("assignment dropped", first - 1, last, "")
                )


def _statements(sql: Sql) -> Iterator[Edit]:
    """Of PL/pgSQL alone: its first BEGIN starts it."""
    begin = next(sql.find("begin"), None)
    if begin is None:
        return
    for index in range(begin + 1, len(sql.tokens)):
        token = sql.tokens[index]
        if token.depth or sql.text(index - 1) not in _BLOCKS:
            continue
        if token.text in _STARTERS or sql.text(index + 1) == ":=":
            yield sql.edit("statement removed", index, sql.until(index, {";"}), "NULL")
