"""Mutants of conditions: each term dropped or negated, each comparison turned."""

from collections.abc import Iterator

from tests.mutation.sql_text import Edit, Sql

#: A clause's only condition, dropped: a filter lets everything pass, a branch is never taken.
_WITHOUT = {"where": "true", "having": "true", "on": "true"} | dict.fromkeys(("if", "elsif", "while", "when"), "false")
_TURNED = {"=": ["<>"], "<>": ["="], "<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"]}
_Span = tuple[int, int]


def mutants(sql: Sql) -> Iterator[Edit]:
    yield from _terms(sql)
    yield from _comparisons(sql)
    yield from _negations(sql)


def assignments(sql: Sql) -> list[list[_Span]]:
    """Of each SET: first and last token of each assignment."""
    found = []
    for index in sql.find("set"):
        level = sql.tokens[index].depth
        items, first = [], index + 1
        while sql.text(first) and sql.text(first + 1) in ("=", ":="):
            last = sql.until(first, {",", "from", "where", "returning", ";"}, depth=level)
            items.append((first, last))
            if sql.text(last + 1) != ",":
                break
            first = last + 2
        if items:
            found.append(items)
    return found


def _terms(sql: Sql) -> Iterator[Edit]:
    for (first, last), without in sorted(_conditions(sql).items()):
        yield from _of_disjunction(sql, first, last, without)


def _conditions(sql: Sql) -> dict[_Span, str]:
    """First and last token of each whole condition, and what it is replaced by to drop it."""
    found: dict[_Span, str] = {}
    for index, token in enumerate(sql.tokens):
        if token.text in ("and", "or") and not _is_of_between(sql, index):
            first = sql.since(index)
            found.setdefault((first, sql.until(first, depth=token.depth)), "")
        elif token.text in _WITHOUT and _opens_condition(sql, index):
            first = index + 1
            found[(first, sql.until(first, depth=token.depth))] = _WITHOUT[token.text]
    return found


def _opens_condition(sql: Sql, index: int) -> bool:
    word, before, after = sql.text(index), sql.text(index - 1), sql.text(index + 1)
    if word == "if":
        return before != "end"
    if word == "on":
        return after != "conflict"
    if word == "when":
        return _is_searched_case(sql, index)
    return True


def _is_searched_case(sql: Sql, index: int) -> bool:
    level = sql.tokens[index].depth
    for at in range(index, -1, -1):
        if sql.tokens[at].depth < level:
            return sql.text(at) == "case" and sql.text(at + 1) == "when"
    # The WHEN of a trigger, or of an exception handler, whose names are no conditions.
    return sql.text(index + 1) == "("


def _is_of_between(sql: Sql, index: int) -> bool:
    level = sql.tokens[index].depth
    for at in range(index - 1, -1, -1):
        if sql.tokens[at].depth < level or (sql.tokens[at].depth == level and sql.text(at) in ("and", "or")):
            return False
        if sql.tokens[at].depth == level and sql.text(at) == "between":
            return sql.text(index) == "and"
    return False


def _split(sql: Sql, first: int, last: int, word: str) -> list[_Span]:
    level = sql.tokens[first].depth
    found, start = [], first
    for index in range(first, last + 1):
        if sql.text(index) == word and sql.tokens[index].depth == level and not _is_of_between(sql, index):
            found.append((start, index - 1))
            start = index + 1
    return [*found, (start, last)]


def _of_disjunction(sql: Sql, first: int, last: int, without: str) -> Iterator[Edit]:
    either = _split(sql, first, last, "or")
    if len(either) > 1:
        for term in either:
            yield from _of_term(sql, *term, "false")
    for term in either:
        both = _split(sql, *term, "and")
        if len(both) > 1:
            for part in both:
                yield from _of_term(sql, *part, "true")
    if without:
        yield sql.edit("condition dropped", first, last, without)
        if len(either) == 1 and len(_split(sql, first, last, "and")) == 1 and not _is_simple(sql, first, last):
            yield _negated(sql, first, last)


def _of_term(sql: Sql, first: int, last: int, neutral: str) -> Iterator[Edit]:
    yield sql.edit("term dropped", first, last, neutral)
    if not _is_simple(sql, first, last):
        yield _negated(sql, first, last)


def _negated(sql: Sql, first: int, last: int) -> Edit:
    return sql.edit("term negated", first, last, f"NOT ({sql.piece(first, last)})")


def _is_simple(sql: Sql, first: int, last: int) -> bool:
    """A single comparison or NOT whose turned mutant is its negation."""
    level = sql.tokens[first].depth
    words = [sql.text(n) for n in range(first, last + 1) if sql.tokens[n].depth == level]
    if words[0] == "not" or words[:1] == ["exists"]:
        return True
    return sum(word in ("=", "<>", "is", "in") for word in words) == 1 and not {"and", "or"} & set(words)


def _comparisons(sql: Sql) -> Iterator[Edit]:
    assigning = {
        index
        for items in assignments(sql)
        for first, last in items
        for index in range(first, last + 1)
        if sql.text(index) == "=" and index == first + 1
    }
    for index, token in enumerate(sql.tokens):
        if token.text not in _TURNED or index in assigning or _is_option(sql, index):
            continue
        if token.text == "=" and sql.text(index + 1) == "any":
            yield sql.edit("comparison turned", index, index + 1, "<> ALL")
            continue
        for turned in _TURNED[token.text]:
            yield sql.edit("comparison turned", index, index, turned)


def _is_option(sql: Sql, index: int) -> bool:
    """USING ERRCODE = …"""
    return sql.text(index - 1) in ("errcode", "constraint", "table", "column", "detail", "hint", "message")


def _negations(sql: Sql) -> Iterator[Edit]:
    for index, token in enumerate(sql.tokens):
        after = sql.text(index + 1)
        match token.text:
            case "is" if after == "not":
                yield sql.edit("comparison turned", index, index + 1, "IS")
            case "is":
                yield sql.edit("comparison turned", index, index, "IS NOT")
            case "in" if after == "(" and sql.text(index - 1) != "not":
                yield sql.edit("comparison turned", index, index, "NOT IN")
            case "exists" if sql.text(index - 1) != "not":
                yield sql.edit("comparison turned", index, index, "NOT EXISTS")
            case "not" if after not in ("null", "distinct") and sql.text(index - 1) != "is":
                yield sql.edit("negation dropped", index, index, "")
