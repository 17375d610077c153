"""The rules that a new wallet starts with. A migration makes them the first versions in force, by nobody's hand but the
system's; from then on they are staff's to replace."""

from dataclasses import dataclass
from typing import Final

from compliance.states import RuleAction


@dataclass(frozen=True, slots=True)
class DefaultRule:
    name: str
    description: str
    action: RuleAction
    expression: str
    explanation: str
    serious: bool = False


_JUST_UNDER = "10 * amount >= 9 * limit.{0} && amount < limit.{0}"
_STRUCTURING = "\n  || ".join(
    _JUST_UNDER.format(name) for name in ("single_amount", "new_account_amount", "first_payment_amount")
)

DEFAULT_RULES: Final[tuple[DefaultRule, ...]] = (
    DefaultRule(
        "identity_rejected",
        "Who was refused as a customer moves no money.",
        RuleAction.REJECT,
        "identity_rejected",
        "The customer's identity was rejected.",
    ),
    DefaultRule(
        "absolute_ceiling",
        "An amount that nobody moves in one piece.",
        RuleAction.REJECT,
        "amount >= limit.reject_from",
        "{amount as money} reaches the ceiling of {limit.reject_from as money} for one amount.",
    ),
    DefaultRule(
        "single_amount",
        "A large amount is looked at, whoever sends it.",
        RuleAction.REVIEW,
        "amount >= limit.single_amount",
        "A single amount of {amount as money}; reviewed from {limit.single_amount as money}.",
    ),
    DefaultRule(
        "new_account",
        "In the first seven days of an account, less is a large amount.",
        RuleAction.REVIEW,
        "account_age_seconds < 7 * 24 * 3600 && amount >= limit.new_account_amount",
        "{amount as money} on an account that is {account_age_seconds / 86400} days old; "
        "reviewed from {limit.new_account_amount as money} in the first 7 days.",
    ),
    DefaultRule(
        "many_debits",
        "More payments within an hour than a person makes by hand.",
        RuleAction.REVIEW,
        "outgoing && debits_1h + 1 > limit.debits_per_hour",
        "{debits_1h + 1} debits within an hour; reviewed from {limit.debits_per_hour + 1}.",
    ),
    DefaultRule(
        "much_out_in_a_day",
        "What leaves within a day, all payments together.",
        RuleAction.REVIEW,
        "outgoing && !to_own_account && out_24h + amount > limit.out_per_day",
        "{out_24h + amount as money} sent within 24 hours; reviewed above {limit.out_per_day as money}.",
    ),
    DefaultRule(
        "structuring",
        "Several amounts that stay just under a limit, so as not to be looked at.",
        RuleAction.REVIEW,
        f"({_STRUCTURING})\n&& just_under_24h + 1 >= limit.just_under_count",
        "{just_under_24h + 1} amounts just under a limit within 24 hours, this one included.",
        serious=True,
    ),
    DefaultRule(
        "first_payment",
        "The first large payment to another customer.",
        RuleAction.REVIEW,
        "outgoing && !to_own_account && counterparty_known == false && amount >= limit.first_payment_amount",
        "The first payment to this counterparty is {amount as money}; "
        "reviewed from {limit.first_payment_amount as money}.",
    ),
    DefaultRule(
        "beneficiary_first_use",
        "The first large withdrawal to a bank account.",
        RuleAction.REVIEW,
        "beneficiary_first_use && amount >= limit.first_payment_amount",
        "The first withdrawal to this bank account is {amount as money}; "
        "reviewed from {limit.first_payment_amount as money}.",
    ),
)
