"""PostgreSQL's lexical structure, as far as a mutator needs it: tokens with places, and what encloses them."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<string>[eE]?'(?:[^']|'')*')
  | (?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
  | (?P<name>"(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_$]*)
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<pragma>\#\w+\ \w+)
  | (?P<operator><>|!=|<=|>=|:=|=>|::|\|\||->>|->|\#>>|\#>|\.\.|[-+*/<>=%,;()\[\].:@?|&~^!])
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENS = {"(", "[", "case"}
_CLOSES = {")", "]"}


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is in lower case for names. `depth` counts the parentheses, brackets and CASEs around it; those
    that open and close one stand outside of it."""

    kind: str
    text: str
    start: int
    end: int
    depth: int


def tokenize(source: str, offset: int = 0) -> list[Token]:
    """Tokens of `source`, their places counted from `offset`. Raises ValueError at what is no SQL."""
    tokens: list[Token] = []
    open_: list[str] = []
    place = 0
    while place < len(source):
        found = _TOKEN.match(source, place)
        if found is None:
            raise ValueError(f"no SQL token at {source[place : place + 30]!r}")
        kind = str(found.lastgroup if found.lastgroup != "tag" else "dollar")
        if kind != "space":
            text = found[0].lower() if kind == "name" else found[0]
            if text in _CLOSES or (text == "end" and open_ and open_[-1] == "case"):
                open_.pop()
            tokens.append(Token(kind, text, offset + place, offset + found.end(), len(open_)))
            if text in _OPENS:
                open_.append(text)
        place = found.end()
    return tokens


def statements(source: str) -> list[tuple[int, int]]:
    """Where each statement of a file starts and ends, without its semicolon."""
    found: list[tuple[int, int]] = []
    start: int | None = None
    for token in tokenize(source):
        if token.text == ";" and start is not None:
            found.append((start, token.start))
            start = None
        elif start is None:
            start = token.start
    if start is not None:
        found.append((start, len(source.rstrip())))
    return found


def body(source: str, start: int, end: int) -> tuple[int, int] | None:
    """Where the dollar-quoted body of a CREATE FUNCTION lies, without its quotes; None where there is none."""
    for token in tokenize(source[start:end], start):
        if token.kind == "dollar":
            quote = source.index("$", token.start + 1) + 1 - token.start
            return token.start + quote, token.end - quote
    return None
