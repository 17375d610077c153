"""Screening rules: what a transaction's facts mean. Pure: facts and limits in, a decision out.

The seam for rules that staff may edit: `decide` takes any sequence of `Rule`s, and a rule knows nothing but `Facts`
and `Limits`. What reaches the customer is one code for all rules; names and explanations here are for staff.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from compliance.states import Verdict
from wallet_project.utils.money import format_money

NEW_ACCOUNT_DAYS: Final = 7
NEW_ACCOUNT_SECONDS: Final = NEW_ACCOUNT_DAYS * 24 * 3600


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one transaction when it is screened. Amounts are minor units of `currency`.

    The windows end at the transaction's creation, cover all accounts of its customer, and count what was created
    before it and has not failed; the transaction itself is not in them, nor are fees.
    """

    kind: str
    #: From the customer's account; otherwise it brings money in.
    outgoing: bool
    amount: int
    currency: str
    #: The customer's identity was looked at and refused.
    identity_rejected: bool
    #: Age of the customer's account that this touches.
    account_age_seconds: int
    #: Debits in the hour before, in any currency.
    debits_1h: int
    #: Sent out in the 24 hours before, in this currency; moves between the customer's own accounts are not.
    out_24h: int
    #: It stays with the customer: from one of his accounts to another.
    to_own_account: bool
    #: Of the 24 hours before, in this currency and direction: those just under a limit; counted if this one is, too.
    just_under_24h: int
    #: The customer who is paid got an approved payment before; None when the amount is too small for the answer to
    #: matter, and where no other customer is paid.
    counterparty_known: bool | None
    #: A withdrawal to an IBAN to which this customer has no earlier withdrawal that was approved and has not failed.
    beneficiary_first_use: bool
    #: Debits in the 24 hours and the 30 days before, in any currency.
    debits_24h: int
    debits_30d: int
    #: Sent out in the 30 days before, in this currency; moves between the customer's own accounts are not.
    out_30d: int
    #: Whole days since the customer was last debited, or tried to be; since the account was asked for, if never.
    days_idle: int

    def as_json(self) -> dict[str, Any]:
        """All of them by name. `asdict` copies each in depth, which took longer than to ask all the rules."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one currency, in its minor units; `debits_per_hour` and `just_under_count` are numbers of debits."""

    currency: str
    single_amount: int
    new_account_amount: int
    first_payment_amount: int
    out_per_day: int
    #: From here on the answer is no, whoever asks.
    reject_from: int
    debits_per_hour: int = 100
    just_under_count: int = 3

    def bands(self) -> tuple[tuple[int, int], ...]:
        """The ranges [low, high) that lie just under a limit of a single amount: from 90 %, the limit excluded."""
        limits = sorted({self.single_amount, self.new_account_amount, self.first_payment_amount})
        # -(-a // b) rounds up: what is under 90 % by a fraction of a cent is not in the band.
        return tuple((-(-limit * 9 // 10), limit) for limit in limits)


@dataclass(frozen=True, slots=True)
class Rule:
    """`test` returns an explanation for staff when the rule has something to say, otherwise None."""

    name: str
    verdict: Verdict
    test: Callable[[Facts, Limits], str | None]
    #: Its cases come first in the queue, and an approval needs a second person.
    serious: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    rule: str
    verdict: Verdict
    explanation: str
    serious: bool = False

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": str(self.verdict)}


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: Verdict
    findings: tuple[Finding, ...]


_SEVERITY: Final = {Verdict.APPROVE: 0, Verdict.REVIEW: 1, Verdict.REJECT: 2}


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that decides; approve when nobody objects."""
    return max(verdicts, key=_SEVERITY.__getitem__, default=Verdict.APPROVE)


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


def decide(facts: Facts, limits: Limits, rules: Sequence[Rule] = RULES) -> Decision:
    """Ask every rule; the worst verdict wins, what each one said is kept. Raises ValueError on mixed currencies."""
    if facts.currency != limits.currency:
        raise ValueError(f"{facts.currency} can't be judged by the limits of {limits.currency}")
    findings = tuple(
        Finding(rule.name, rule.verdict, explanation, rule.serious)
        for rule in rules
        if (explanation := rule.test(facts, limits)) is not None
    )
    return Decision(worst([finding.verdict for finding in findings]), findings)
