"""What staff may do with a case: each button, when it is shown, what it says will happen, the one service it calls."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts.staff import staff_actor
from compliance.models import Case, Decision
from compliance.selectors import needs_second_person, offered_verdicts
from compliance.services import cases
from compliance.states import CaseStatus, CaseVerdict
from ledger.admin.proposals import suspense_actions
from ledger.models import Transaction
from ledger.states import TransactionKind
from wallet_project.utils.admin import NoteForm, StaffAction, StaffForm, answer_form
from wallet_project.utils.money import format_money

_REFUSED_TO_CUSTOMER = "The customer is told that it could not be carried out, not why."


def latest_proposal(case: Any) -> Decision | None:
    proposal: Decision | None = case.decisions.filter(checker=None).order_by("-id").first()
    return proposal


ProposalForm = answer_form(latest_proposal)


def is_mine(request: HttpRequest, case: Case) -> bool:
    return case.status == CaseStatus.IN_PROGRESS and case.assignee_id == request.user.pk


def may_put_back(request: HttpRequest, case: Case) -> bool:
    if case.status != CaseStatus.IN_PROGRESS:
        return False
    return case.assignee_id == request.user.pk or request.user.has_perm(cases.APPROVE_CASE)


def may_answer(request: HttpRequest, case: Case) -> bool:
    if case.status != CaseStatus.AWAITING_APPROVAL:
        return False
    proposal = latest_proposal(case)
    return proposal is not None and proposal.maker_id != request.user.pk


def is_my_proposal(request: HttpRequest, case: Case) -> bool:
    if case.status != CaseStatus.AWAITING_APPROVAL:
        return False
    proposal = latest_proposal(case)
    return proposal is not None and proposal.maker_id == request.user.pk


def may_decide(verdict: CaseVerdict) -> Callable[[HttpRequest, Any], bool]:
    return lambda request, case: is_mine(request, case) and verdict in offered_verdicts(case)


def consequence_of(verdict: CaseVerdict) -> Callable[[Any], str]:
    def says(case: Case) -> str:
        effect = effect_of(case, verdict)
        if case.status != CaseStatus.AWAITING_APPROVAL and needs_second_person(case, verdict):
            return f"Nothing happens yet: this is a proposal, and a second person has to confirm it. Then: {effect}"
        return effect

    return says


def effect_of(case: Case, verdict: CaseVerdict) -> str:
    """What a verdict does to money and people, in a sentence or two."""
    if case.screening is not None:
        return _on_transaction(case.screening.transaction, verdict)
    if case.kyc_check is not None:
        return _ON_IDENTITY[verdict]
    if case.name_screening is not None:
        return _ON_NAME[verdict]
    if case.payer_screening is not None:
        return _ON_PAYER[verdict]
    return _ON_ESCALATION[verdict]


def _on_transaction(about: Transaction, verdict: CaseVerdict) -> str:
    amount = format_money(about.amount, about.currency)
    if verdict == CaseVerdict.REJECT:
        money = "nothing is collected" if about.kind == TransactionKind.DEPOSIT else f"the {amount} are released"
        return f"The {about.kind} fails for good and {money}. {_REFUSED_TO_CUSTOMER}"
    where = {
        TransactionKind.WITHDRAWAL.value: "are handed to the bank, which can't be undone",
        TransactionKind.DEPOSIT.value: "are collected from the bank",
    }
    return f"The {amount} {where.get(about.kind, 'move to the receiver within seconds, which only a reversal undoes')}."


_ON_IDENTITY = {
    CaseVerdict.APPROVE: "The customer is verified, and every account he has requested opens.",
    CaseVerdict.REJECT: "The customer is rejected, and so is every account he has requested; those that are open stay "
    "open. He is told that his identity could not be verified, not why.",
    CaseVerdict.RETRY: "The provider is asked anew, about the profile as it is now. The customer goes on waiting.",
}
_ON_NAME = {
    CaseVerdict.APPROVE: "He is somebody else. That is remembered until he or the entry on the list changes, and his "
    "identity check goes on where one waits.",
    CaseVerdict.REJECT: "He is who is on the list. He is rejected, and so is every account he has requested; his open "
    "accounts are frozen. He is told that his identity could not be verified, not why.",
}
_ON_PAYER = {
    CaseVerdict.APPROVE: "He is nobody on the lists. That is remembered of his name and bank account until the entry "
    "on the list changes, and the deposit is credited within seconds.",
    CaseVerdict.REJECT: "The deposit fails for good. Its money has come, so it is in suspense, with a case of its own: "
    f"two people return it to its sender. {_REFUSED_TO_CUSTOMER}",
}
_ON_ESCALATION = {
    CaseVerdict.RETRY: "What was set aside is put back to work at once; if it fails again, there will be a new case.",
    CaseVerdict.FAIL: "The pending transaction fails for good and its funds are released. What the bank may already "
    "have can't be failed by hand.",
    CaseVerdict.ACKNOWLEDGE: "It is on record that you have seen to it. No money moves.",
}


def _take(request: HttpRequest, case: Case, values: dict[str, Any]) -> str:
    cases.take_case(case_id=case.id, actor=staff_actor(request.user))
    return "The case is yours."


def _put_back(request: HttpRequest, case: Case, values: dict[str, Any]) -> str:
    cases.put_back(case_id=case.id, actor=staff_actor(request.user), reason=values["reason"])
    return "The case is back in the queue."


def _note(request: HttpRequest, case: Case, values: dict[str, Any]) -> str:
    cases.add_note(case_id=case.id, actor=staff_actor(request.user), text=values["text"])
    return "Your note is on the case."


def _decide(verdict: CaseVerdict) -> Callable[[HttpRequest, Any, dict[str, Any]], str]:
    def perform(request: HttpRequest, case: Case, values: dict[str, Any]) -> str:
        decided = cases.decide_case(
            case_id=case.id,
            actor=staff_actor(request.user),
            verdict=verdict,
            reason=values["reason"],
            now=timezone.now(),
        )
        if decided.status == CaseStatus.AWAITING_APPROVAL:
            return "Your decision is proposed; a second person has to confirm it."
        return "The case is decided."

    return perform


def _answer(*, agree: bool) -> Callable[[HttpRequest, Any, dict[str, Any]], str]:
    def perform(request: HttpRequest, case: Case, values: dict[str, Any]) -> str:
        cases.confirm_case(
            case_id=case.id,
            actor=staff_actor(request.user),
            agree=agree,
            reason=values["reason"],
            now=timezone.now(),
            proposal_id=values["proposal"],
        )
        return "The decision is confirmed and carried out." if agree else "The proposal went back to its maker."

    return perform


def _withdraw(request: HttpRequest, case: Case, values: dict[str, Any]) -> str:
    cases.withdraw_proposal(case_id=case.id, actor=staff_actor(request.user), reason=values["reason"])
    return "Your proposal is withdrawn; the case is yours again."


def _confirm_says(case: Case) -> str:
    proposal = latest_proposal(case)
    if proposal is None:
        return "Nothing is proposed."
    verdict = CaseVerdict(proposal.verdict)
    effect = effect_of(case, verdict)
    return f"{proposal.maker} proposes to {verdict.label.lower()}: “{proposal.reason}” If you agree: {effect}"


def _decision(verdict: CaseVerdict, label: str, tone: str = "default") -> StaffAction:
    return StaffAction(
        name=verdict.value,
        label=label,
        permission=cases.WORK_CASE,
        consequence=consequence_of(verdict),
        perform=_decide(verdict),
        available=may_decide(verdict),
        tone=tone,
    )


CASE_ACTIONS: tuple[StaffAction, ...] = (
    *suspense_actions(lambda case: case.escalation, is_mine),
    StaffAction(
        name="take",
        label="Take the case",
        permission=cases.WORK_CASE,
        consequence="You become the one who works on it; you can put it back. The customer sees nothing of this.",
        perform=_take,
        available=lambda request, case: case.status == CaseStatus.OPEN,
        form=StaffForm,
        tone="primary",
    ),
    _decision(CaseVerdict.APPROVE, "Approve", "primary"),
    _decision(CaseVerdict.REJECT, "Reject", "danger"),
    _decision(CaseVerdict.RETRY, "Try again"),
    _decision(CaseVerdict.FAIL, "Fail the transaction", "danger"),
    _decision(CaseVerdict.ACKNOWLEDGE, "Acknowledge"),
    StaffAction(
        name="confirm",
        label="Confirm the proposal",
        permission=cases.APPROVE_CASE,
        consequence=_confirm_says,
        perform=_answer(agree=True),
        available=may_answer,
        form=ProposalForm,
        tone="primary",
    ),
    StaffAction(
        name="send-back",
        label="Send it back",
        permission=cases.APPROVE_CASE,
        consequence="The case goes back to the one who made the proposal, with your reason. No money moves.",
        perform=_answer(agree=False),
        available=may_answer,
        form=ProposalForm,
    ),
    StaffAction(
        name="withdraw",
        label="Withdraw my proposal",
        permission=cases.WORK_CASE,
        consequence="The case is yours again, as before your proposal. No money moves.",
        perform=_withdraw,
        available=is_my_proposal,
    ),
    StaffAction(
        name="put-back",
        label="Put it back",
        permission=cases.WORK_CASE,
        consequence="The case goes back into the queue for anybody to take.",
        perform=_put_back,
        available=may_put_back,
    ),
    StaffAction(
        name="note",
        label="Add a note",
        permission=cases.WORK_CASE,
        consequence="Your note stands on the case for everybody who may see it. The customer never sees it.",
        perform=_note,
        available=lambda request, case: True,
        form=NoteForm,
    ),
)
