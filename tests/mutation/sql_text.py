"""A piece of SQL under mutation: its tokens, and where its conditions, clauses and operands lie."""

# ruff: noqa: SIM905

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from tests.mutation.tokens import Token, tokenize

#: A clause's condition or list ends before these, at its own depth.
ENDS = frozenset(
    "where group order limit for returning union having then left right inner full join cross window set ; on except "
    "intersect loop else when end from , offset using into rows range language as".split()
)
_STARTS = frozenset("where having on if elsif while when select then else return := , by set using begin ; not".split())
_OPERATORS = frozenset("+ - * / || = <> < > <= >= :=".split())
_BEFORE_OPERAND = _OPERATORS | frozenset(
    "( [ , ; then else select by return case when and or not in values between like limit".split()
)


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `source[start:end]` by `text`."""

    operator: str
    start: int
    end: int
    text: str


@dataclass(slots=True)
class Sql:
    """`source[start:end]` is what may be mutated; places are those in `source`."""

    source: str
    start: int
    end: int
    tokens: list[Token] = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = tokenize(self.source[self.start : self.end], self.start)

    def text(self, index: int) -> str:
        """Of the token there; empty beyond the ends."""
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def words(self, index: int, count: int) -> tuple[str, ...]:
        return tuple(self.text(index + n) for n in range(count))

    def find(self, *words: str) -> Iterator[int]:
        """Where these words follow each other."""
        for index in range(len(self.tokens)):
            if self.words(index, len(words)) == words:
                yield index

    def edit(self, operator: str, first: int, last: int, text: str) -> Edit:
        """Replace the tokens from `first` to `last`, both included."""
        return Edit(operator, self.tokens[first].start, self.tokens[last].end, text)

    def piece(self, first: int, last: int) -> str:
        return self.source[self.tokens[first].start : self.tokens[last].end]

    def until(self, first: int, ends: Collection[str] = ENDS, *, depth: int | None = None) -> int:
        """The last token of what begins at `first` and goes on to one of `ends` at its depth."""
        level = self.tokens[first].depth if depth is None else depth
        index = first
        while index < len(self.tokens):
            token = self.tokens[index]
            if token.depth < level:
                break
            if token.depth == level and token.text in ends and index > first and not self.is_part(index):
                break
            index += 1
        return index - 1

    def since(self, index: int) -> int:
        """The first token of the boolean expression that the one at `index` is in."""
        level = self.tokens[index].depth
        while index > 0:
            before = self.tokens[index - 1]
            if before.depth < level:
                break
            if before.depth == level and before.text in _STARTS and before.text != "not":
                break
            index -= 1
        return index

    def is_part(self, index: int) -> bool:
        """An ending word that ends nothing here: IS DISTINCT FROM, left(…)."""
        word = self.text(index)
        return (word == "from" and self.text(index - 1) == "distinct") or (
            word in ("left", "right") and self.text(index + 1) == "("
        )

    def closing(self, index: int) -> int:
        """Of the parenthesis, bracket or CASE at `index`."""
        level = self.tokens[index].depth
        for at in range(index + 1, len(self.tokens)):
            if self.tokens[at].depth == level:
                return at
        raise ValueError(f"nothing closes {self.piece(index, index)!r}")

    def arguments(self, opening: int) -> list[tuple[int, int]]:
        """First and last token of each argument in the parentheses that open there."""
        closing = self.closing(opening)
        level = self.tokens[opening].depth + 1
        found, first = [], opening + 1
        for index in range(opening + 1, closing):
            if self.tokens[index].text == "," and self.tokens[index].depth == level:
                found.append((first, index - 1))
                first = index + 1
        return [*found, (first, closing - 1)] if first < closing else found

    def operand(self, first: int) -> int:
        """The last token of the operand that begins at `first`: a sign, a name or a call, subscripts, casts."""
        index = first
        while self.text(index) in ("-", "+"):
            index += 1
        if self.text(index) in ("(", "case"):
            index = self.closing(index)
        while self.text(index + 1) in (".", "(", "[", "::"):
            index = self.closing(index + 1) if self.text(index + 1) in ("(", "[") else index + 2
        return index

    def is_binary(self, index: int) -> bool:
        return index > 0 and self.text(index - 1) not in _BEFORE_OPERAND
