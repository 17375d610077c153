"""docs/screening.md lists what may be said, and its ten rules work as they stand there."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compliance.limits import limits_of
from compliance.rules import FACTS, LIMITS, RuleSet, Term, Version, accept, accept_template, decide
from compliance.states import RuleAction
from tests.compliance.default_rules import THRESHOLDS
from tests.compliance.test_rules import QUIET
from wallet_project.utils.ids import uuid7

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "screening.md").read_text()
RULE = re.compile(
    r"^### (?P<name>.+)\n(?P<action>\w+)(?:, (?P<points>\d+) points)?[.,].*\n```cel\n(?P<expression>[^`]+)```\n"
    r"(?P<explanation>.+)$",
    re.MULTILINE,
)
WORKED = {match["name"]: match for match in RULE.finditer(PAGE)}
EUR = limits_of("EUR")


def lines(terms: dict[str, Term]) -> list[str]:
    return [f"| `{term.name}` | {term.shown_type} | {term.meaning} |" for term in terms.values()]


def test_the_page_lists_every_fact_and_limit_with_its_type_and_meaning() -> None:
    rows = [line for line in PAGE.splitlines() if re.match(r"\| `[a-z_.0-9]+` \| (bool|int|string)", line)]
    assert rows == lines(dict(FACTS)) + lines(dict(LIMITS))
    assert all(term.meaning.strip().endswith(".") for term in (*FACTS.values(), *LIMITS.values()))


@pytest.mark.parametrize(
    ("name", "speaks", "silent", "says"),
    [
        (
            "A large first withdrawal",
            {"beneficiary_first_use": True, "amount": 2_500_00},
            {"amount": 2_499_99},
            "The first withdrawal to this bank account is 2,500.00 EUR; reviewed from 2,500.00 EUR.",
        ),
        (
            "Just under a limit, again and again",
            {"amount": 9_000_00, "just_under_24h": 2},
            {"amount": 8_999_99},
            "3 amounts just under 10,000.00 EUR within 24 hours.",
        ),
        (
            "A dormant account wakes",
            {"days_idle": 180, "amount": 5_000_00},
            {"days_idle": 179},
            "5,000.00 EUR after 180 days without a payment.",
        ),
        (
            "A new account sends at once",
            {"account_age_seconds": 86_399},
            {"debits_30d": 1},
            "The first payment within a day of the account's opening.",
        ),
        (
            "A day like no other",
            {"debits_30d": 10, "out_30d": 9_000_00, "out_24h": 4_000_00, "amount": 1_000_01},
            {"out_30d": 20_000_00},
            "5,000.01 EUR today, 9,000.00 EUR in the 30 days before.",
        ),
        (
            "Paid out as fast as by a machine",
            {"debits_1h": 20, "debits_24h": 40},
            {"debits_24h": 41},
            "21 debits within an hour, of 41 within a day.",
        ),
        (
            "In and out again",
            {"in_24h": 5_000_00, "amount": 4_500_00},
            {"in_24h": 5_000_01},
            "5,000.00 EUR came in within 24 hours, 4,500.00 EUR go out.",
        ),
        (
            "A stranger gets most of the day",
            {"counterparty_known": False, "amount": 5_000_00},
            {"counterparty_known": None},
            "5,000.00 EUR to somebody who was never paid before.",
        ),
        ("Between one's own accounts", {"to_own_account": True}, {"amount": 10**9}, "It stays with the customer."),
        (
            "A share of the day's limit",
            {"kind": "withdrawal", "out_24h": 47_000_00, "amount": 500_00},
            {"amount": 499_99},
            "95 in 100 of what may leave within a day.",
        ),
    ],
)
def test_a_worked_rule_speaks_where_it_should_and_is_silent_where_not(
    name: str, speaks: dict[str, Any], silent: dict[str, Any], says: str
) -> None:
    worked = WORKED[name]
    accept(worked["expression"])
    accept_template(worked["explanation"])
    action = RuleAction(worked["action"].lower())
    assert (action == RuleAction.SCORE) == bool(worked["points"])
    version = Version(uuid7(), "worked", 1, worked["expression"], worked["explanation"], action)
    facts = replace(QUIET, **speaks)
    assert [each.explanation for each in decide(facts, EUR, RuleSet([version]), THRESHOLDS).findings] == [says]
    assert decide(replace(facts, **silent), EUR, RuleSet([version]), THRESHOLDS).findings == ()


def test_there_are_ten_of_them() -> None:
    assert len(WORKED) == 10
    assert PAGE.count("```cel") == 10
