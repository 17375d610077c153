"""What a person's decision does to money and people, in the transaction that records it.

The case is locked by the caller; then the unit's work item, the check, the customer, in this order.
"""

from datetime import datetime
from uuid import UUID

from accounts import steps as accounts
from accounts.models import Customer
from accounts.states import KycStatus, Level
from compliance import matches, steps
from compliance.models import Case, KycCheck, NameScreening, PayerScreening, Screening
from compliance.states import (
    CaseStatus,
    CaseVerdict,
    CheckStatus,
    NameScreeningStatus,
    PayerScreeningStatus,
    ScreeningStatus,
)
from ledger import steps as ledger
from ledger.failures import FailureCode
from ledger.models import StateChange, Transaction
from ledger.states import EscalationStatus, Stage, TransactionStatus
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import move


class UnitElsewhere(Conflict):
    """`stage` is where the transaction waits."""

    code = "unit_elsewhere"
    message = "The transaction does not wait for an officer's decision now."


class NameUndecided(Conflict):
    code = "name_undecided"
    message = "The customer's name may be on a list, and that case is open: decide it first."


def has_ended(case: Case) -> bool:
    """Nobody needs to decide it any more: what it is about has come to an end by itself."""
    if case.screening is not None:
        return bool(case.screening.transaction.status != TransactionStatus.PENDING)
    if case.kyc_check is not None:
        return bool(case.kyc_check.status != CheckStatus.IN_REVIEW)
    if case.name_screening is not None:
        return bool(case.name_screening.status != NameScreeningStatus.IN_REVIEW)
    if case.payer_screening is not None:
        return bool(_deposit_of(case.payer_screening).status != TransactionStatus.PENDING)
    assert case.escalation is not None, "case_has_one_subject"
    return bool(case.escalation.status == EscalationStatus.RESOLVED)


def carry_out(case: Case, verdict: CaseVerdict, *, reason: str, actor: Actor, now: datetime) -> None:
    """Do what was decided, and resolve the case; what has ended meanwhile is said in the log, and is no error."""
    if case.screening is not None:
        note = _screening(case.screening, verdict, reason=reason, actor=actor, now=now)
    elif case.kyc_check is not None:
        note = _identity(case.kyc_check.id, verdict, reason=reason, actor=actor, now=now)
    elif case.name_screening is not None:
        note = _name(case.name_screening.id, verdict, reason=reason, actor=actor, now=now)
    elif case.payer_screening is not None:
        note = _payer(case.payer_screening, verdict, reason=reason, actor=actor, now=now)
    else:
        assert case.escalation is not None, "case_has_one_subject"
        note = _escalation(case.escalation.id, verdict, reason=reason, actor=actor, now=now)
    steps.resolve_case(case, actor=actor, reason=f"{note or verdict.label}: {reason}", now=now)


def close_ended(case: Case, *, actor: Actor, now: datetime) -> None:
    """Close a locked case that nobody needs to decide any more, and its screening with it."""
    if case.screening_id is not None:
        screening = Screening.objects.select_for_update(no_key=True).get(id=case.screening_id)
        if screening.status == ScreeningStatus.IN_REVIEW:
            _ended_by_itself(screening, actor=actor, now=now)
    if case.payer_screening_id is not None:
        payer = PayerScreening.objects.select_for_update(no_key=True).get(id=case.payer_screening_id)
        _deposit_ended(payer, actor=actor, now=now)
    reason = "It ended by itself before it was decided."
    if case.escalation is not None:
        said = StateChange.objects.filter(machine="escalation", subject_id=case.escalation.id).latest("id").reason
        reason = f"Settled, {said}"
    steps.resolve_case(case, actor=actor, reason=reason, now=now)


def _screening(of_case: Screening, verdict: CaseVerdict, *, reason: str, actor: Actor, now: datetime) -> str:
    transaction: Transaction = of_case.transaction
    unit: UUID = transaction.group_id or transaction.id
    stage = ledger.lock([unit]).get(unit)
    screening = Screening.objects.select_for_update(no_key=True).get(id=of_case.id)
    if stage is None:
        if screening.status == ScreeningStatus.IN_REVIEW:
            _ended_by_itself(screening, actor=actor, now=now)
        return "Without effect, the transaction had ended before"
    if stage != Stage.REVIEW:
        raise UnitElsewhere(stage=stage)
    if verdict == CaseVerdict.APPROVE:
        return _approve(screening, unit, reason=reason, actor=actor, now=now)
    return _reject(screening, unit, reason=reason, actor=actor, now=now)


def _approve(screening: Screening, unit: UUID, *, reason: str, actor: Actor, now: datetime) -> str:
    steps.end_check(screening, "approve", decided_by="officer", reason=reason, actor=actor, now=now)
    if _still_in_review(unit):
        return "Approved; other transactions of its group are still under review"
    if not ledger.approve([unit]):
        raise UnitElsewhere
    return ""


def _reject(screening: Screening, unit: UUID, *, reason: str, actor: Actor, now: datetime) -> str:
    if not ledger.fail([unit], code=FailureCode.NOT_PERMITTED, actor=actor, reason="rejected by an officer"):
        raise UnitElsewhere
    steps.end_check(screening, "reject", decided_by="officer", reason=reason, actor=actor, now=now)
    # All or nothing: the other transactions of the group fail with it.
    because = "Another transaction of its group was rejected."
    for other in _still_in_review(unit):
        steps.end_check(other, "reject", decided_by="officer", reason=because, actor=actor, now=now)
        if other.case.status != CaseStatus.RESOLVED:
            steps.resolve_case(other.case, actor=actor, reason=because, now=now)
    return ""


def _still_in_review(unit: UUID) -> list[Screening]:
    of_group = Screening.objects.filter(transaction__group_id=unit, status=ScreeningStatus.IN_REVIEW)
    return list(of_group.select_related("case").order_by("id"))


def _identity(check_id: UUID, verdict: CaseVerdict, *, reason: str, actor: Actor, now: datetime) -> str:
    check = KycCheck.objects.select_for_update(no_key=True).get(id=check_id)
    if check.status != CheckStatus.IN_REVIEW:
        return "Without effect, the check had ended before"
    if verdict == CaseVerdict.RETRY:
        # The check ends, the customer still waits: the next sweep asks the provider anew.
        steps.end_check(check, "reject", decided_by="officer", reason=f"Asked again: {reason}", actor=actor, now=now)
        if check.level == Level.FULL:
            customer = accounts.lock_customer(check.customer_id)
            steps.new_full_check(customer, list(check.documents.all()), actor=actor, now=now)
        nudge("accounts.identity_wanted")
        return ""
    approved = verdict == CaseVerdict.APPROVE
    if approved and matches.is_held(check.customer_id):
        raise NameUndecided
    if steps.conclude(check, approved=approved, decided_by="officer", reason=reason, actor=actor, now=now):
        return ""
    if check.level == Level.FULL:
        return "Without effect on the level, the customer's identity or a document is not what it was"
    return "Without effect, the customer has changed his profile since and that is checked next"


def _name(screening_id: UUID, verdict: CaseVerdict, *, reason: str, actor: Actor, now: datetime) -> str:
    """Cleared: he is somebody else, and his identity check goes on. Confirmed: he is rejected, and all that he has is
    frozen. Locks, after the case: his identity checks, him, the screening, his accounts."""
    customer_id = NameScreening.objects.values_list("customer_id", flat=True).get(id=screening_id)
    checks = list(KycCheck.objects.filter(customer=customer_id).order_by("id").select_for_update(no_key=True))
    customer = accounts.lock_customer(customer_id)
    screening = NameScreening.objects.select_for_update(no_key=True).get(id=screening_id)
    if screening.status != NameScreeningStatus.IN_REVIEW:
        return "Without effect, the customer has changed his profile since and was looked for anew"
    if verdict == CaseVerdict.APPROVE:
        matches.decide(screening, "clear", actor=actor, reason=reason, now=now)
        nudge("accounts.identity_wanted")
        return ""
    matches.decide(screening, "confirm", actor=actor, reason=reason, now=now)
    steps.risk_changed([customer_id])
    why = f"The customer is on a list: {reason}"
    for check in checks:
        if check.status in (CheckStatus.QUEUED, CheckStatus.RUNNING, CheckStatus.IN_REVIEW):
            steps.end_check(check, "reject", decided_by="officer", reason=why, actor=actor, now=now)
    steps.fall(customer, actor=actor, reason=why, now=now)
    _reject_customer(customer, actor=actor, reason=why)
    accounts.freeze_open_accounts(customer_id=customer_id, actor=actor, reason=why)
    return ""


def _payer(of_case: PayerScreening, verdict: CaseVerdict, *, reason: str, actor: Actor, now: datetime) -> str:
    """Let through: he is somebody else, and what he paid is posted. Refused: the deposit fails, and its money, which
    has come, is in suspense, from where two people return it. Locks, after the case: the unit, the screening, the
    rest as the ledger does."""
    deposit = _deposit_of(of_case)
    unit: UUID = deposit.group_id or deposit.id
    stage = ledger.lock([unit]).get(unit)
    screening = PayerScreening.objects.select_for_update(no_key=True).get(id=of_case.id)
    if stage is None:
        _deposit_ended(screening, actor=actor, now=now)
        return "Without effect, the deposit had ended before"
    if stage != Stage.REVIEW:
        raise UnitElsewhere(stage=stage)
    if verdict == CaseVerdict.APPROVE:
        _decide_payer(screening, "let_through", reason=reason, actor=actor, now=now)
        done = bool(ledger.pass_payers([unit]))
    else:
        _decide_payer(screening, "refuse", reason=reason, actor=actor, now=now)
        why = "an officer refused its payer"
        done = ledger.fail_collected(deposit, code=FailureCode.NOT_PERMITTED, actor=actor, reason=why)
    if not done:
        raise UnitElsewhere(stage=stage)
    return ""


def _deposit_of(screening: PayerScreening) -> Transaction:
    assert screening.transaction is not None, "a payer who is only shown has no case of his own"
    found: Transaction = screening.transaction
    return found


def _deposit_ended(screening: PayerScreening, *, actor: Actor, now: datetime) -> None:
    if screening.status == PayerScreeningStatus.IN_REVIEW:
        _decide_payer(screening, "refuse", reason="The deposit ended before it was decided.", actor=actor, now=now)


def _decide_payer(screening: PayerScreening, transition: str, *, reason: str, actor: Actor, now: datetime) -> None:
    screening.decided_at = now
    move(screening, transition, actor=actor, reason=reason, also=["decided_at"])


def _reject_customer(customer: Customer, *, actor: Actor, reason: str) -> None:
    if customer.kyc_status == KycStatus.REJECTED or customer.profile_id is None:
        return
    # By way of pending, which is the machine's only way from verified to rejected.
    accounts.request_verification(customer_id=customer.id, actor=actor, reason=reason, by_staff=True)
    accounts.mark_rejected(
        customer_id=customer.id,
        profile_id=customer.profile_id,
        actor=actor,
        customer_reason=steps.REJECTED_NOTICE,
        reason=reason,
    )


def _escalation(escalation_id: UUID, verdict: CaseVerdict, *, reason: str, actor: Actor, now: datetime) -> str:
    try:
        ledger.resolve_escalation(
            escalation_id=escalation_id, action=_ACTIONS[verdict], actor=actor, reason=reason, now=now
        )
    except ledger.EscalationAlreadyResolved:
        return "Without effect, it had been resolved before"
    return ""


def _ended_by_itself(screening: Screening, *, actor: Actor, now: datetime) -> None:
    reason = "The transaction ended before it was decided."
    steps.end_check(screening, "reject", decided_by="system", reason=reason, actor=actor, now=now)


_ACTIONS: dict[CaseVerdict, ledger.Resolution] = {
    CaseVerdict.RETRY: "retry",
    CaseVerdict.FAIL: "fail",
    CaseVerdict.ACKNOWLEDGE: "acknowledge",
}
