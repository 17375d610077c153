"""The language of rules: CEL (the Common Expression Language), and of that what costs little to evaluate.

The package gives no syntax tree, so what an expression may hold is decided on its words, before it is compiled: names
of facts and limits, whole numbers, texts, lists, operators and a few functions. There is nothing that repeats (no
macros such as `all`), nothing that grows, no conversion and no number but int64, so that the work of an evaluation is
bounded by the expression's length. docs/decisions/0023-rules-are-cel-without-loops.md says what was tried.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cel_expr_python import cel

from compliance.rules.vocabulary import FACTS, LIMITS, Limits, Term

MAX_LENGTH: Final = 2_000
MAX_WORDS: Final = 400
MAX_DEPTH: Final = 12
MAX_BRANCHES: Final = 10
MAX_PATTERN: Final = 100
MAX_PATTERNS: Final = 2
METHODS: Final = frozenset({"startsWith", "endsWith", "contains", "matches", "size"})
FUNCTIONS: Final = frozenset({"size"})
CONSTANTS: Final = frozenset({"true", "false", "null", "in"})

_WORD: Final = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>[0-9][\w.]*)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:()\[\],.])""",
    re.VERBOSE,
)
_POSITION: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
#: int64, as CEL has it; more than that is not a number.
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
_TYPES: Final[Mapping[str, cel.Type]] = {
    "bool": cel.Type.BOOL,
    "int": cel.Type.INT,
    "string": cel.Type.STRING,
}


class Unacceptable(Exception):
    """An expression that can't be a rule: `problem` says what is wrong, and where."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Word:
    kind: str
    text: str
    start: int


def _environment(nullable: Callable[[Term], cel.Type]) -> cel.Env:
    facts = {name: nullable(term) if term.nullable else _TYPES[term.type] for name, term in FACTS.items()}
    return cel.NewEnv(variables={**facts, **{name: _TYPES[term.type] for name, term in LIMITS.items()}})


# What may be null has no type of its own that the package could be given values of: it is checked as what it is when
# it is not null, and evaluated as whatever comes.
_STRICT: Final = _environment(lambda term: _TYPES[term.type])
_RUNNING: Final = _environment(lambda term: cel.Type.DYN)


def accept(expression: str, *, returns: Sequence[str] = ("bool",)) -> None:
    """Raises Unacceptable, with the place, unless the expression can be evaluated at a bounded cost and its value has
    one of the types."""
    words = _words(expression)
    _look_at(expression, words)
    compiled = _compile(_STRICT, _without_null_checks(expression, words))
    type_ = compiled.return_type().name().lower()
    if type_ not in returns:
        raise Unacceptable(f"The value is of type {type_}; it has to be {' or '.join(returns)}.")
    _compile(_RUNNING, expression)


def compile_for(expression: str, limits: Limits) -> cel.Expression:
    """The program for one currency, whose limits stand in it as numbers: that is cheaper than to hand them over each
    time. Raises Unacceptable."""
    return _compile(_RUNNING, with_limits(expression, limits))


def with_limits(expression: str, limits: Limits) -> str:
    """The expression with numbers in the place of `limit.…`. Raises Unacceptable."""
    words = _words(expression)
    _look_at(expression, words)
    parts, done = [], 0
    for index, word in enumerate(words):
        if word.text == "limit" and word.kind == "name":
            last = words[index + 2]
            parts += [expression[done : word.start], str(getattr(limits, last.text))]
            done = last.start + len(last.text)
    return "".join([*parts, expression[done:]])


def activation(values: Mapping[str, Any]) -> cel.Activation:
    """The facts as programs take them; made once and used for all rules of a transaction."""
    return _RUNNING.Activation(values)


def either(sources: Sequence[str]) -> str:
    """An expression that is false exactly when each of `sources` is: one that is true or failed makes it true or an
    error. Each has been accepted by itself, so that none can reach out of its brackets."""
    return " || ".join(f"({source})" for source in sources)


def compile_source(source: str) -> cel.Expression:
    """A program of what `with_limits` gave. Raises Unacceptable."""
    return _compile(_RUNNING, source)


def facts_in(expression: str) -> set[str]:
    """The names of the facts that an accepted expression asks for."""
    return {word.text for word in _words(expression) if word.kind == "name" and word.text in FACTS}


def _compile(environment: cel.Env, source: str) -> cel.Expression:
    try:
        return environment.compile(source)
    except Exception as error:  # the package raises RuntimeError, and says so nowhere
        raise Unacceptable(_explained(str(error))) from error


def _explained(message: str) -> str:
    found = _POSITION.search(message)
    if found is None or found[1].startswith("-"):
        return f"It can't be compiled: {message.splitlines()[0][:200]}"
    return f"Line {found[1]}, column {found[2]}: {found[3][:300]}"


def _words(expression: str) -> list[Word]:
    if len(expression) > MAX_LENGTH:
        raise Unacceptable(f"It is {len(expression)} characters long; {MAX_LENGTH} are allowed.")
    words: list[Word] = []
    at = 0
    while at < len(expression):
        match = _WORD.match(expression, at)
        if match is None:
            raise Unacceptable(f"{_place(expression, at)}: {expression[at]!r} has no meaning here.")
        if match.lastgroup != "space":
            words.append(Word(str(match.lastgroup), match[0], at))
        at = match.end()
    if len(words) > MAX_WORDS:
        raise Unacceptable(f"It has {len(words)} words and signs; {MAX_WORDS} are allowed.")
    if not words:
        raise Unacceptable("It is empty.")
    return words


def _look_at(expression: str, words: Sequence[Word]) -> None:
    depth = 0
    for index, word in enumerate(words):
        before = words[index - 1] if index else None
        if word.text in ("(", "["):
            depth += 1
        elif word.text in (")", "]"):
            depth -= 1
        problem = _wrong_with(word, before, words[index + 1 : index + 4])
        if depth > MAX_DEPTH:
            problem = f"brackets are {depth} deep; {MAX_DEPTH} are allowed."
        if problem:
            raise Unacceptable(f"{_place(expression, word.start)}: {problem}")
    if sum(word.kind == "name" and word.text == "matches" for word in words) > MAX_PATTERNS:
        raise Unacceptable(f"It has more than {MAX_PATTERNS} patterns; each costs as much as many rules.")
    if sum(word.text == "?" for word in words) > MAX_BRANCHES:
        raise Unacceptable(f"It has more than {MAX_BRANCHES} branches (`? :`).")


def _wrong_with(word: Word, before: Word | None, after: Sequence[Word]) -> str:
    following = [each.text for each in after]
    if word.kind == "number" and not _NUMBER.fullmatch(word.text):
        return f"{word.text!r} is not a whole number; amounts are in minor units."
    if word.kind == "text":
        if before is not None and before.kind in ("text", "name") and before.text != "in":
            return "a text has no place here."
        return ""
    if word.text == "/" and before is not None and before.text == "/":
        return "comments are not possible; the rule's description is for that."
    if word.kind != "name":
        return ""
    if before is not None and before.text == ".":
        return _wrong_with_member(word, after)
    if word.text == "limit":
        if following[:1] == ["."] and f"limit.{''.join(following[1:2])}" in LIMITS:
            return ""
        return f"a limit is one of {', '.join(LIMITS)}."
    if word.text in FUNCTIONS:
        return "" if following[:1] == ["("] else f"{word.text} is a function."
    if word.text not in FACTS and word.text not in CONSTANTS:
        return f"{word.text!r} is not a fact, a limit or a function that rules may use."
    return ""


def _wrong_with_member(word: Word, after: Sequence[Word]) -> str:
    """A name that follows a dot: of a limit, which was looked at before, or a method."""
    following = [each.text for each in after]
    if f"limit.{word.text}" in LIMITS and following[:1] != ["("]:
        return ""
    if word.text not in METHODS or following[:1] != ["("]:
        return f"{word.text!r} is not a function that rules may use."
    if word.text == "matches":
        return _wrong_with_pattern(after)
    return ""


def _wrong_with_pattern(after: Sequence[Word]) -> str:
    """RE2 matches in linear time; what a pattern can make it build is bounded here, as it is built at each call."""
    pattern = after[1] if len(after) == 3 else None
    if pattern is None or pattern.kind != "text" or after[2].text != ")":
        return "matches takes one pattern, written out."
    if len(pattern.text) > MAX_PATTERN or "{" in pattern.text or "\\" in pattern.text:
        return f"a pattern has at most {MAX_PATTERN} characters, and neither counted repetition nor backslashes."
    try:
        outcome = cel.NewEnv().compile(f"''.matches({pattern.text})").eval().value()
    except Exception as error:  # as above
        return f"the pattern is not valid: {str(error)[:100]}"
    return "" if isinstance(outcome, bool) else f"the pattern is not valid: {str(outcome)[:100]}"


def _without_null_checks(expression: str, words: Sequence[Word]) -> str:
    """`x == null` reads `true`, padded so that places stay what they are, for the types of what may be null."""
    text = expression
    for first, sign, last in zip(words, words[1:], words[2:], strict=False):
        term = FACTS.get(first.text)
        if term is None or not term.nullable or sign.text not in ("==", "!=") or last.text != "null":
            continue
        end = last.start + len(last.text)
        text = text[: first.start] + "true".ljust(end - first.start) + text[end:]
    return text


def _place(expression: str, at: int) -> str:
    line = expression.count("\n", 0, at) + 1
    column = at - (expression.rfind("\n", 0, at) + 1) + 1
    return f"Line {line}, column {column}"
