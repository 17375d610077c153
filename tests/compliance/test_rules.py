"""Each rule at its boundary. Amounts are minor units."""

from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from compliance.limits import four_eyes_from, limits_in_force, limits_of
from compliance.rules import NEW_ACCOUNT_SECONDS, RULES, Facts, Limits, Rule, decide, worst
from compliance.states import Verdict

EUR = Limits(
    currency="EUR",
    single_amount=10_000_00,
    new_account_amount=5_000_00,
    first_payment_amount=2_500_00,
    out_per_day=50_000_00,
    reject_from=1_000_000_00,
)
QUIET = Facts(
    kind="transfer",
    outgoing=True,
    amount=20_00,
    currency="EUR",
    identity_rejected=False,
    account_age_seconds=365 * 24 * 3600,
    debits_1h=0,
    out_24h=0,
    to_own_account=False,
    just_under_24h=0,
    counterparty_known=True,
    beneficiary_first_use=False,
    debits_24h=0,
    debits_30d=0,
    out_30d=0,
    days_idle=0,
)


def findings(**changes: Any) -> list[str]:
    return [finding.rule for finding in decide(replace(QUIET, **changes), EUR).findings]


def test_an_everyday_payment_is_approved() -> None:
    assert decide(QUIET, EUR).verdict == Verdict.APPROVE
    assert decide(QUIET, EUR).findings == ()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"amount": 10_000_00}, "single_amount"),
        ({"amount": 1_000_000_00}, "absolute_ceiling"),
        ({"amount": 5_000_00, "account_age_seconds": NEW_ACCOUNT_SECONDS - 1}, "new_account"),
        ({"debits_1h": 100}, "many_debits"),
        ({"out_24h": 50_000_00 - 20_00 + 1}, "much_out_in_a_day"),
        ({"amount": 9_000_00, "just_under_24h": 2}, "structuring"),
        ({"amount": 9_999_99, "just_under_24h": 2}, "structuring"),
        ({"amount": 4_500_00, "just_under_24h": 2}, "structuring"),
        ({"amount": 2_250_00, "just_under_24h": 5}, "structuring"),
        ({"amount": 2_500_00, "counterparty_known": False}, "first_payment"),
        ({"amount": 2_500_00, "beneficiary_first_use": True}, "beneficiary_first_use"),
        ({"identity_rejected": True}, "identity_rejected"),
    ],
)
def test_at_its_boundary_a_rule_speaks(changes: dict[str, Any], rule: str) -> None:
    assert rule in findings(**changes)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"amount": 9_999_99}, "single_amount"),
        ({"amount": 999_999_99}, "absolute_ceiling"),
        ({"amount": 4_999_99, "account_age_seconds": NEW_ACCOUNT_SECONDS - 1}, "new_account"),
        ({"amount": 5_000_00, "account_age_seconds": NEW_ACCOUNT_SECONDS}, "new_account"),
        ({"debits_1h": 99}, "many_debits"),
        ({"debits_1h": 100, "outgoing": False}, "many_debits"),
        ({"out_24h": 50_000_00 - 20_00}, "much_out_in_a_day"),
        ({"out_24h": 60_000_00, "outgoing": False}, "much_out_in_a_day"),
        ({"out_24h": 60_000_00, "to_own_account": True}, "much_out_in_a_day"),
        ({"amount": 9_500_00, "just_under_24h": 1}, "structuring"),
        ({"amount": 8_999_99, "just_under_24h": 9}, "structuring"),
        ({"amount": 10_000_00, "just_under_24h": 9}, "structuring"),
        ({"amount": 2_499_99, "counterparty_known": False}, "first_payment"),
        ({"amount": 2_500_00, "counterparty_known": True}, "first_payment"),
        ({"amount": 2_499_99, "beneficiary_first_use": True}, "beneficiary_first_use"),
        ({"amount": 2_500_00, "beneficiary_first_use": False}, "beneficiary_first_use"),
        ({"amount": 2_500_00, "counterparty_known": False, "to_own_account": True}, "first_payment"),
        ({"amount": 2_500_00, "counterparty_known": False, "outgoing": False}, "first_payment"),
    ],
)
def test_just_before_its_boundary_a_rule_is_silent(changes: dict[str, Any], rule: str) -> None:
    assert rule not in findings(**changes)


def test_deposits_are_judged_by_amount_age_and_structuring() -> None:
    deposit: dict[str, Any] = {"kind": "deposit", "outgoing": False, "counterparty_known": None}
    assert findings(**deposit, amount=10_000_00) == ["single_amount"]
    assert findings(**deposit, amount=5_000_00, account_age_seconds=0) == ["new_account"]
    assert findings(**deposit, amount=4_999_99, just_under_24h=2) == ["structuring"]


def test_the_worst_verdict_wins_and_every_finding_is_kept() -> None:
    decision = decide(replace(QUIET, amount=10_000_00, identity_rejected=True, counterparty_known=False), EUR)
    assert decision.verdict == Verdict.REJECT
    assert [finding.rule for finding in decision.findings] == ["identity_rejected", "single_amount", "first_payment"]
    assert all(finding.explanation.endswith(".") for finding in decision.findings)
    assert worst([]) == Verdict.APPROVE
    assert worst([Verdict.REVIEW, Verdict.APPROVE]) == Verdict.REVIEW


def test_an_explanation_names_the_figures() -> None:
    decision = decide(replace(QUIET, amount=12_000_00), EUR)
    assert decision.findings[0].explanation == "A single amount of 12,000.00 EUR; reviewed from 10,000.00 EUR."


def test_rules_are_given_so_that_others_can_take_their_place() -> None:
    always = Rule("always", Verdict.REVIEW, lambda facts, limits: "Because.")
    assert decide(QUIET, EUR, [*RULES, always]).verdict == Verdict.REVIEW
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_limits_of_another_currency_are_refused() -> None:
    with pytest.raises(ValueError, match="JPY"):
        decide(replace(QUIET, currency="JPY"), EUR)


def test_the_bands_round_up_so_that_nothing_below_ninety_percent_is_in_them() -> None:
    odd = replace(EUR, single_amount=1_001, new_account_amount=1_001, first_payment_amount=11)
    assert odd.bands() == ((10, 11), (901, 1_001))


def test_the_default_limits_are_about_a_euro_in_every_currency() -> None:
    assert limits_of("EUR") == EUR
    assert limits_of("USD") == replace(EUR, currency="USD")
    # A hundred yen stand for a euro, and the yen has no smaller unit.
    assert limits_of("JPY").single_amount == 1_000_000
    assert set(limits_in_force()) == {"EUR", "USD", "GBP", "CHF", "JPY"}
    assert four_eyes_from("EUR") == 50_000_00
    assert four_eyes_from("JPY") == 5_000_000


def test_settings_overlay_the_limits_of_a_currency(settings: Any) -> None:
    settings.SCREENING_LIMITS = {"EUR": {"single_amount": 1_000_00, "debits_per_hour": 5}}
    settings.FOUR_EYES_FROM = {"EUR": 1}
    assert limits_of("EUR") == replace(EUR, single_amount=1_000_00, debits_per_hour=5)
    assert limits_of("CHF") == replace(EUR, currency="CHF")
    assert four_eyes_from("EUR") == 1


@pytest.mark.parametrize("limits", [{"single_amout": 1}, {"single_amount": "1"}, {"single_amount": 0}])
def test_limits_that_cannot_be_meant_are_refused(settings: Any, limits: dict[str, Any]) -> None:
    settings.SCREENING_LIMITS = {"EUR": limits}
    with pytest.raises(ImproperlyConfigured):
        limits_of("EUR")
