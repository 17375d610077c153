"""Explanations for staff: a sentence with expressions in braces, such as
`A single amount of {amount as money}; reviewed from {limit.single_amount as money}.`"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from cel_expr_python import cel

from compliance.rules.language import Unacceptable, accept, compile_for
from compliance.rules.vocabulary import Limits
from wallet_project.utils.money import format_money

MAX_LENGTH: Final = 500
MAX_PLACES: Final = 8
_PLACE: Final = re.compile(r"\{([^{}]*)\}")
_AS_MONEY: Final = re.compile(r"(.*?)\s+as\s+money\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """Plain text, or an expression in its place."""

    text: str
    is_expression: bool = False
    as_money: bool = False


def parts_of(template: str) -> Iterator[Part]:
    done = 0
    for place in _PLACE.finditer(template):
        if place.start() > done:
            yield Part(template[done : place.start()])
        money = _AS_MONEY.fullmatch(place[1])
        yield Part(money[1] if money else place[1], is_expression=True, as_money=money is not None)
        done = place.end()
    if done < len(template):
        yield Part(template[done:])


def accept_template(template: str) -> None:
    """Raises Unacceptable unless each expression in braces can be evaluated, and those `as money` are whole numbers."""
    if not template.strip():
        raise Unacceptable("An explanation is needed: it is what staff read.")
    if len(template) > MAX_LENGTH:
        raise Unacceptable(f"The explanation is {len(template)} characters long; {MAX_LENGTH} are allowed.")
    parts = list(parts_of(template))
    places = [part for part in parts if part.is_expression]
    if len(places) > MAX_PLACES:
        raise Unacceptable(f"The explanation has {len(places)} places; {MAX_PLACES} are allowed.")
    if any(brace in part.text for part in parts if not part.is_expression for brace in "{}"):
        raise Unacceptable("The explanation has a brace without its other half.")
    for part in places:
        try:
            accept(part.text, returns=("int",) if part.as_money else ("int", "bool", "string", "dyn"))
        except Unacceptable as error:
            raise Unacceptable(f"In {{{part.text}}}: {error.problem}") from error


class Explanation:
    """A template, compiled for the limits of one currency."""

    def __init__(self, template: str, limits: Limits) -> None:
        self._currency = limits.currency
        self._parts = [
            (part, compile_for(part.text, limits) if part.is_expression else None) for part in parts_of(template)
        ]

    def filled(self, facts: cel.Activation) -> str:
        """The sentence with its figures; what can't be worked out is shown as a question mark, and changes nothing."""
        return "".join(
            part.text if program is None else self._shown(part, program, facts) for part, program in self._parts
        )

    def _shown(self, part: Part, program: cel.Expression, facts: cel.Activation) -> str:
        outcome = program.eval(facts)
        if outcome.type() == cel.Type.ERROR:
            return "?"
        value: Any = outcome.value()
        if isinstance(value, bool):
            return "yes" if value else "no"
        return format_money(value, self._currency) if part.as_money else str(value)
