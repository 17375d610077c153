"""Mutants of what is computed: signs, operands, fallbacks, aggregates, constants, sides."""

from collections.abc import Iterator

from tests.mutation.sql_text import Edit, Sql

_SIGNS = {"+": "-", "-": "+", "*": "/", "/": "*"}
_CALLS = {
    "greatest": "least",
    "least": "greatest",
    "min": "max",
    "max": "min",
    "bool_or": "bool_and",
    "bool_and": "bool_or",
    "sum": "max",
    "floor": "ceil",
    "ceil": "floor",
    "clock_timestamp": "now",
    "statement_timestamp": "now",
}
_SIDES = (("debit", "credit"), ("payer", "payee"))
_NAMES = {"new": "OLD", "old": "NEW", "cleared": "reserved", "reserved": "cleared", "true": "false", "false": "true"}


def mutants(sql: Sql) -> Iterator[Edit]:
    yield from _signs(sql)
    yield from _calls(sql)
    yield from _constants(sql)
    yield from _swapped(sql)


def _signs(sql: Sql) -> Iterator[Edit]:
    for index, token in enumerate(sql.tokens):
        if token.kind != "operator" or (token.text == "*" and sql.text(index - 1) in (".", "(", "select")):
            continue
        if token.text in _SIGNS and sql.is_binary(index):
            yield sql.edit("sign turned", index, index, _SIGNS[token.text])
            yield sql.edit("operand dropped", index, sql.operand(index + 1), "")
        elif token.text == "-":
            yield sql.edit("sign turned", index, index, "")
        elif token.text == "||":
            yield sql.edit("operand dropped", index, sql.operand(index + 1), "")


def _calls(sql: Sql) -> Iterator[Edit]:
    for index, token in enumerate(sql.tokens):
        if sql.text(index + 1) != "(" or token.kind != "name":
            continue
        if token.text in ("coalesce", "nullif"):
            last = sql.closing(index + 1)
            kept = sql.arguments(index + 1)
            for argument in kept if token.text == "coalesce" else kept[:1]:
                yield sql.edit(f"{token.text} dropped", index, last, f"({sql.piece(*argument)})")
        elif token.text in _CALLS:
            yield sql.edit("function replaced", index, index, _CALLS[token.text])


def _constants(sql: Sql) -> Iterator[Edit]:
    for index, token in enumerate(sql.tokens):
        before = sql.text(index - 1)
        if token.kind == "number" and "." not in token.text and before != "by":
            yield sql.edit("constant changed", index, index, str(int(token.text) + 1))
        elif token.kind == "string" and before != "exception":
            # What follows RAISE EXCEPTION is a sentence for people; its SQLSTATE is changed.
            yield sql.edit("constant changed", index, index, "'mutant'")


def _swapped(sql: Sql) -> Iterator[Edit]:
    for index, token in enumerate(sql.tokens):
        if token.kind != "name" or sql.text(index - 1) == "as" or sql.text(index + 1) == "table":
            continue
        if token.text in _NAMES:
            yield sql.edit("name swapped", index, index, _NAMES[token.text])
        for one, other in _SIDES:
            for wanted, instead in ((one, other), (other, one)):
                if wanted in token.text:
                    yield sql.edit("name swapped", index, index, token.text.replace(wanted, instead))
