"""What an expression may be: what can't be meant is refused with its place, what could cost much is refused unread."""

import resource
import time
from typing import Any

import pytest

from compliance.limits import limits_of
from compliance.rules import Unacceptable, accept, accept_template
from compliance.rules.language import MAX_LENGTH, activation, compile_for, facts_in

EUR = limits_of("EUR")


def refusal(expression: str) -> str:
    with pytest.raises(Unacceptable) as caught:
        accept(expression)
    return caught.value.problem


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "empty"),
        ("amunt > 1", "Line 1, column 1: 'amunt' is not a fact"),
        ("outgoing &&\n  amunt > 1", "Line 2, column 3: 'amunt' is not a fact"),
        ("amount > 'a'", "Line 1, column 8: found no matching overload"),
        ("amount >", "Line 1, column 9: Syntax error"),
        ("amount + 1", "of type int; it has to be bool"),
        ("counterparty_known > 3", "Line 1, column 20: found no matching overload"),
        ("counterparty_known != null && counterparty_known > 3", "Line 1, column 50: found no matching overload"),
        ("amount > 100.5", "not a whole number"),
        ("amount > 0x10", "not a whole number"),
        ("amount > 9999999999999999999", "invalid int literal"),
        ("limit.forgotten > 1", "a limit is one of limit.single_amount"),
        ("limit == 1", "a limit is one of"),
        ("debits_1h.single_amount > 1", "select operation"),
        (".amount > 1", "not a function"),
        ("size > 1", "size is a function"),
        ("amount > 1 // enough", "comments are not possible"),
        ("kind == r'a'", "'r' is not a fact"),
        ("kind == '''a'''", "a text has no place here"),
        ("kind == 'a", "has no meaning here"),
        ("ＡＭＯＵＮＴ > 1", "has no meaning here"),
        ("true) || (false", "Syntax error"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_its_place_is_said(expression: str, says: str) -> None:
    assert says in refusal(expression)


def test_what_is_meant_is_accepted() -> None:
    for expression in (
        "amount >= limit.single_amount && currency in ['EUR', 'USD']",
        "counterparty_known == null || counterparty_known",
        "kind.startsWith('with') || kind.matches('^dep(osit)?$') || size(kind) > 20",
        "(outgoing ? out_24h + amount : amount) * 100 / limit.out_per_day >= 95",
        "-amount < -5 && !(debits_1h % 10 != 0)",
    ):
        accept(expression)
    assert facts_in("kind == 'amount' && limit.out_per_day > out_24h") == {"kind", "out_24h"}


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("[1, 2].all(x, [1, 2].all(y, [1, 2].all(z, x > 0)))", "'all' is not a function"),
        ("[1].map(x, [x, x]).size() > 0", "'map' is not a function"),
        ("has(amount.x)", "'has' is not a fact"),
        ("{'a': 1}.size() > 0", "'{' has no meaning"),
        ("dyn(amount) == 1", "'dyn' is not a fact"),
        ("string(amount) == '1'", "'string' is not a fact"),
        ("b'a' == b'a'", "'b' is not a fact"),
        ("(" * 13 + "outgoing" + ")" * 13, "brackets are 13 deep"),
        ("[" * 13 + "1" + "]" * 13 + " == []", "brackets are 13 deep"),
        ("(" * 100_000, "characters long"),
        ("outgoing ? true : " * 11 + "false", "more than 10 branches"),
        ("a" * (MAX_LENGTH + 1), "2001 characters long"),
        ("amount > " + "1" * 1_500, "not a whole number"),
        ("!" * 400 + "outgoing", "401 words and signs"),
        ("amount" + "+amount" * 190 + " > 1", "recursion"),
        ("kind.matches('(a|aa)+" + "a" * 100 + "')", "at most 100 characters"),
        ("kind.matches('((a{9}){9}){9}')", "neither counted repetition"),
        (r"kind.matches('\\pL+')", "nor backslashes"),
        ("kind.matches('(((')", "the pattern is not valid"),
        ("kind.matches('a' + 'b')", "one pattern, written out"),
        ("kind.matches(kind)", "one pattern, written out"),
        (" || ".join(["kind.matches('(.*)*z')"] * 3), "more than 2 patterns"),
        ("matches(kind, 'a')", "'matches' is not a fact"),
    ],
)
def test_what_could_repeat_grow_or_nest_without_end_is_refused(expression: str, says: str) -> None:
    assert says in refusal(expression)


def processor_time(program: Any, facts: Any) -> float:
    def once() -> float:
        began = time.process_time()
        for _ in range(20):
            assert isinstance(program.eval(facts).value(), bool)
        return time.process_time() - began

    return min(once() for _ in range(5))


def test_the_worst_that_is_accepted_is_bounded_in_work_and_memory() -> None:
    """By the work of the simplest rule: what explodes would be off by much more, or never end."""
    worst = [
        "kind.matches('" + "(a*)*" * 18 + "$')",
        "kind.matches('" + "(a+)+" * 18 + "$') || kind.matches('" + "(a|aa)*" * 13 + "b')",
        "(" + "+".join(f"'{'x' * 60}'" for _ in range(28)) + ").contains(kind + 'xy')",
        "amount in [" + ",".join(["1"] * 190) + "]",
        " || ".join(["amount < 0"] * 99),
        "kind in [" + ", ".join(f"'{n}'" for n in range(190)) + "]",
    ]
    facts = activation({"kind": "a" * 1_000, "amount": 5})
    simplest = processor_time(compile_for("amount > 1", EUR), facts)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for expression in worst:
        accept(expression)
        assert processor_time(compile_for(expression, EUR), facts) < 2_000 * simplest, expression
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("  ", "An explanation is needed"),
        ("x" * 501, "501 characters"),
        ("{amount", "without its other half"),
        ("{amount}" * 9, "9 places"),
        ("More than {amunt as money}.", "In {amunt}: Line 1, column 1"),
        ("{kind as money}", "of type string; it has to be int"),
        ("{[1]}", "of type list"),
    ],
)
def test_an_explanation_that_cannot_be_filled_in_is_refused(template: str, says: str) -> None:
    with pytest.raises(Unacceptable) as caught:
        accept_template(template)
    assert says in caught.value.problem
    accept_template(
        "{kind}: {out_24h + amount as money}, {to_own_account}, {debits_1h + 1} of {limit.debits_per_hour}."
    )
