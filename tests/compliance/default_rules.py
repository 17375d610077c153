"""The rules that a new wallet starts with, as plain Python: the model that their expressions are compared with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from compliance.rules import Facts, Limits, RuleSet, Thresholds, Version, worst
from compliance.rules.defaults import DEFAULT_RULES
from compliance.states import Verdict
from wallet_project.utils.ids import uuid7
from wallet_project.utils.money import format_money

NEW_ACCOUNT_DAYS: Final = 7
NEW_ACCOUNT_SECONDS: Final = NEW_ACCOUNT_DAYS * 24 * 3600
THRESHOLDS: Final = Thresholds(review_from=50, reject_from=100)
DEFAULTS: Final = RuleSet(
    [
        Version(uuid7(), each.name, 1, each.expression, each.explanation, each.action, serious=each.serious)
        for each in DEFAULT_RULES
    ]
)


@dataclass(frozen=True, slots=True)
class Rule:
    """`test` returns an explanation for staff when the rule has something to say, otherwise None."""

    name: str
    verdict: Verdict
    test: Callable[[Facts, Limits], str | None]
    serious: bool = False


def model_decides(
    facts: Facts, limits: Limits, rules: Sequence[Rule] | None = None
) -> tuple[Verdict, list[tuple[str, str, bool]]]:
    """The verdict, and what each rule has said: name, explanation, whether it is serious."""
    said = [(rule, explanation) for rule in rules or RULES if (explanation := rule.test(facts, limits)) is not None]
    return worst([rule.verdict for rule, _ in said]), [(rule.name, text, rule.serious) for rule, text in said]


def identity_rejected(facts: Facts, limits: Limits) -> str | None:
    return "The customer's identity was rejected." if facts.identity_rejected else None


def absolute_ceiling(facts: Facts, limits: Limits) -> str | None:
    if facts.amount < limits.reject_from:
        return None
    return f"{_money(facts, facts.amount)} reaches the ceiling of {_money(facts, limits.reject_from)} for one amount."


def single_amount(facts: Facts, limits: Limits) -> str | None:
    if facts.amount < limits.single_amount:
        return None
    return f"A single amount of {_money(facts, facts.amount)}; reviewed from {_money(facts, limits.single_amount)}."


def new_account(facts: Facts, limits: Limits) -> str | None:
    if facts.account_age_seconds >= NEW_ACCOUNT_SECONDS or facts.amount < limits.new_account_amount:
        return None
    days = facts.account_age_seconds // (24 * 3600)
    return (
        f"{_money(facts, facts.amount)} on an account that is {days} days old; "
        f"reviewed from {_money(facts, limits.new_account_amount)} in the first {NEW_ACCOUNT_DAYS} days."
    )


def many_debits(facts: Facts, limits: Limits) -> str | None:
    count = facts.debits_1h + 1
    if not facts.outgoing or count <= limits.debits_per_hour:
        return None
    return f"{count} debits within an hour; reviewed from {limits.debits_per_hour + 1}."


def much_out_in_a_day(facts: Facts, limits: Limits) -> str | None:
    total = facts.out_24h + facts.amount
    if not facts.outgoing or facts.to_own_account or total <= limits.out_per_day:
        return None
    return f"{_money(facts, total)} sent within 24 hours; reviewed above {_money(facts, limits.out_per_day)}."


def structuring(facts: Facts, limits: Limits) -> str | None:
    if not any(low <= facts.amount < high for low, high in limits.bands()):
        return None
    count = facts.just_under_24h + 1
    if count < limits.just_under_count:
        return None
    return f"{count} amounts just under a limit within 24 hours, this one included."


def first_payment(facts: Facts, limits: Limits) -> str | None:
    if not facts.outgoing or facts.to_own_account or facts.counterparty_known is not False:
        return None
    if facts.amount < limits.first_payment_amount:
        return None
    return (
        f"The first payment to this counterparty is {_money(facts, facts.amount)}; "
        f"reviewed from {_money(facts, limits.first_payment_amount)}."
    )


def beneficiary_first_use(facts: Facts, limits: Limits) -> str | None:
    if not facts.beneficiary_first_use or facts.amount < limits.first_payment_amount:
        return None
    return (
        f"The first withdrawal to this bank account is {_money(facts, facts.amount)}; "
        f"reviewed from {_money(facts, limits.first_payment_amount)}."
    )


def _money(facts: Facts, amount: int) -> str:
    return format_money(amount, facts.currency)


RULES: Final[tuple[Rule, ...]] = (
    Rule("identity_rejected", Verdict.REJECT, identity_rejected),
    Rule("absolute_ceiling", Verdict.REJECT, absolute_ceiling),
    Rule("single_amount", Verdict.REVIEW, single_amount),
    Rule("new_account", Verdict.REVIEW, new_account),
    Rule("many_debits", Verdict.REVIEW, many_debits),
    Rule("much_out_in_a_day", Verdict.REVIEW, much_out_in_a_day),
    Rule("structuring", Verdict.REVIEW, structuring, serious=True),
    Rule("first_payment", Verdict.REVIEW, first_payment),
    Rule("beneficiary_first_use", Verdict.REVIEW, beneficiary_first_use),
)
