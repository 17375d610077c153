"""Each default rule at its boundary, and how several answers become one decision. Amounts are minor units."""

from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from compliance.limits import check_limits, four_eyes_from, limits_in_force, limits_of
from compliance.rules import Decision, Facts, Limits, RuleSet, Version, decide, worst
from compliance.rules.defaults import DEFAULT_RULES
from compliance.states import RuleAction, Verdict
from tests.compliance.default_rules import DEFAULTS, NEW_ACCOUNT_SECONDS, THRESHOLDS, model_decides
from wallet_project.utils.ids import uuid7

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
    in_24h=None,
    party_matched=False,
    destination_score=0,
    customer_risk=0,
)


def by_default(**changes: Any) -> Decision:
    return decide(replace(QUIET, **changes), EUR, DEFAULTS, THRESHOLDS)


def findings(**changes: Any) -> list[str]:
    return [finding.rule for finding in by_default(**changes).findings]


def test_an_everyday_payment_is_approved() -> None:
    assert by_default() == Decision(Verdict.APPROVE, ())


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


AMOUNTS = [1, 2_249_99, 2_250_00, 2_499_99, 2_500_00, 4_500_00, 4_999_99, 5_000_00, 8_999_99, 9_000_00, 9_999_99]
AMOUNTS += [10_000_00, 50_000_00, 999_999_99, 1_000_000_00, 10**15]
AMOUNT = st.sampled_from(AMOUNTS) | st.integers(1, 10**15)
COUNT = st.sampled_from([0, 1, 2, 3, 98, 99, 100]) | st.integers(0, 10**6)
FACTS = st.builds(
    Facts,
    kind=st.sampled_from(["transfer", "deposit", "withdrawal"]),
    outgoing=st.booleans(),
    amount=AMOUNT,
    currency=st.just("EUR"),
    identity_rejected=st.booleans(),
    account_age_seconds=st.sampled_from([0, NEW_ACCOUNT_SECONDS - 1, NEW_ACCOUNT_SECONDS]) | st.integers(0, 10**9),
    debits_1h=COUNT,
    out_24h=AMOUNT,
    to_own_account=st.booleans(),
    just_under_24h=COUNT,
    counterparty_known=st.none() | st.booleans(),
    beneficiary_first_use=st.booleans(),
    debits_24h=COUNT,
    debits_30d=COUNT,
    out_30d=AMOUNT,
    days_idle=COUNT,
    in_24h=st.none() | st.integers(0, 10**15),
    party_matched=st.booleans(),
    destination_score=st.integers(0, 100),
    customer_risk=st.integers(0, 100),
)


@given(FACTS)
def test_the_default_rules_decide_as_their_model_in_plain_python_does(facts: Facts) -> None:
    decision = decide(facts, EUR, DEFAULTS, THRESHOLDS)
    said = [(finding.rule, finding.explanation, finding.serious) for finding in decision.findings]
    assert (decision.verdict, said) == model_decides(facts, EUR)


def version(action: RuleAction, expression: str = "true", *, points: int = 0, name: str = "") -> Version:
    return Version(uuid7(), name or f"{action}", 7, expression, "Because of {amount as money}.", action, points)


ALLOW, REVIEW, REJECT = version(RuleAction.ALLOW), version(RuleAction.REVIEW), version(RuleAction.REJECT)
FAILS = version(RuleAction.ALLOW, "amount / (amount - amount) == 1", name="divides")
SCORES = [version(RuleAction.SCORE, points=25, name=f"score{n}") for n in range(4)]


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ([REVIEW], Verdict.REVIEW),
        ([REVIEW, REJECT], Verdict.REJECT),
        ([REVIEW, ALLOW], Verdict.APPROVE),
        ([REJECT, ALLOW], Verdict.REJECT),
        ([FAILS], Verdict.REVIEW),
        ([FAILS, ALLOW], Verdict.REVIEW),
        ([FAILS, REJECT], Verdict.REJECT),
        (SCORES[:1], Verdict.APPROVE),
        (SCORES[:2], Verdict.REVIEW),
        ([*SCORES[:2], ALLOW], Verdict.APPROVE),
        (SCORES, Verdict.REJECT),
        ([*SCORES, ALLOW], Verdict.REJECT),
        ([], Verdict.REVIEW),
    ],
)
def test_reject_stands_a_failed_rule_is_looked_at_and_allow_wins_over_review(
    rules: list[Version], verdict: Verdict
) -> None:
    assert decide(QUIET, EUR, RuleSet(rules), THRESHOLDS).verdict == verdict


def test_each_finding_names_its_version_and_the_figures() -> None:
    decision = decide(QUIET, EUR, RuleSet([REVIEW, *SCORES[:2], FAILS]), THRESHOLDS)
    assert decision.findings[0].as_json() == {
        "rule": "review",
        "version": 7,
        "action": "review",
        "verdict": "review",
        "explanation": "Because of 20.00 EUR.",
        "serious": False,
    }
    assert decision.findings[1].as_json()["points"] == 25
    assert decision.findings[3].explanation == "The rule divides, version 7, failed: INVALID_ARGUMENT: divide by zero"
    assert decision.findings[4].explanation == "The scores add up to 50; reviewed from 50."
    assert decision.score == 50


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("amount * 9223372036854775807 > 1", "integer overflow"),
        ("amount % (amount - amount) == 1", "modulus by zero"),
        ("!counterparty_known", "No matching overload"),
        ("[amount][1] == 1", "Index"),
        ("out_30d > 0", 'No value with name "out_30d"'),
        ("amount > limit.single_amount + 9223372036854775807", "overflow"),
        ("forgotten > 1", "'forgotten' is not a fact"),
        ("amount + 1", "INT"),
    ],
)
def test_a_rule_that_can_give_no_answer_is_a_review_that_says_so(expression: str, says: str) -> None:
    facts = {**replace(QUIET, counterparty_known=None).as_json()}
    del facts["out_30d"]
    # Beside others that are quiet, allow, and would be asked in the same breath.
    quiet = [version(RuleAction.REVIEW, f"amount > {10**9 + n}") for n in range(3)]
    rules = RuleSet([*quiet[:2], version(RuleAction.SCORE, expression, points=1, name="broken"), ALLOW, quiet[2]])
    decision = rules.decide(facts, EUR, THRESHOLDS)
    assert (decision.verdict, [finding.action for finding in decision.findings]) == (
        Verdict.REVIEW,
        ["error", RuleAction.ALLOW],
    )
    assert decision.findings[0].explanation.startswith("The rule broken, version 7, failed: ")
    assert says in decision.findings[0].explanation


@pytest.mark.parametrize("amount", [2**63, 1.5, "20", None])
def test_a_value_that_is_no_amount_passes_nothing(amount: Any) -> None:
    decision = DEFAULTS.decide({**QUIET.as_json(), "amount": amount}, EUR, THRESHOLDS)
    assert decision.verdict == Verdict.REVIEW
    assert "error" in {finding.action for finding in decision.findings}


def test_what_shadow_versions_say_changes_nothing() -> None:
    decision = decide(QUIET, EUR, RuleSet(DEFAULTS.active, [REJECT, FAILS]), THRESHOLDS)
    assert (decision.verdict, decision.findings) == (Verdict.APPROVE, ())
    assert [(finding.rule, finding.action) for finding in decision.shadow] == [
        ("reject", "reject"),
        ("divides", "error"),
    ]


def test_the_worst_of_several_verdicts_decides() -> None:
    assert worst([]) == Verdict.APPROVE
    assert worst([Verdict.REVIEW, Verdict.APPROVE]) == Verdict.REVIEW
    assert len({rule.name for rule in DEFAULT_RULES}) == len(DEFAULT_RULES) == 11


def test_limits_of_another_currency_are_refused() -> None:
    with pytest.raises(ValueError, match="JPY"):
        decide(replace(QUIET, currency="JPY"), EUR, DEFAULTS, THRESHOLDS)


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


@pytest.mark.parametrize(("review", "reject"), [(0, 100), (101, 100), (-1, -1)])
def test_sums_of_points_that_cannot_be_meant_are_refused(settings: Any, review: int, reject: int) -> None:
    settings.SCORE_REVIEW_FROM, settings.SCORE_REJECT_FROM = review, reject
    with pytest.raises(ImproperlyConfigured, match="SCORE_REVIEW_FROM"):
        check_limits()


@pytest.mark.parametrize("limits", [{"single_amout": 1}, {"single_amount": "1"}, {"single_amount": 0}])
def test_limits_that_cannot_be_meant_are_refused(settings: Any, limits: dict[str, Any]) -> None:
    settings.SCREENING_LIMITS = {"EUR": limits}
    with pytest.raises(ImproperlyConfigured):
        limits_of("EUR")
