"""Cases: what people decide, and what comes of it in the same commit.

Whoever acts needs the permission when the case is locked, whatever the page before it thought. Four eyes: where an
approval needs a second person, the first one's decision is a proposal and another one confirms it or sends it back.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.models import User
from accounts.staff import given_reason, require_permission
from compliance import effects, steps
from compliance.models import Case, CaseNote, Decision
from compliance.selectors import needs_second_person, possible_verdicts, transaction_of
from compliance.states import CaseStatus, CaseVerdict
from ledger.models import Transaction
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, InvalidInput, NotAllowed, NotFound, database_refusals, on_constraint
from wallet_project.utils.model_fields import longest_text
from wallet_project.utils.transitions import move

WORK_CASE: Final = "compliance.work_case"
APPROVE_CASE: Final = "compliance.approve_case"


class CaseNotFound(NotFound):
    code = "case_not_found"
    message = "There is no such case."


class CaseElsewhere(Conflict):
    """`status` is the one it is in."""

    code = "case_elsewhere"
    message = "The case is in another state by now: somebody else was faster. Look at it again."


class NotYourCase(Conflict):
    code = "not_your_case"
    message = "Somebody else works on this case."


class AboutYourself(NotAllowed):
    code = "case_about_yourself"
    message = "The case is about yourself; a colleague decides it."


class SecondPersonNeeded(NotAllowed):
    code = "second_person_needed"
    message = "Whoever made the decision can't confirm it; a second person must."


class ProposalReplaced(Conflict):
    code = "proposal_replaced"
    message = "The proposal was replaced by another one since you read it. Look at it again."


class VerdictNotPossible(InvalidInput):
    """`possible` are those that are."""

    code = "verdict_not_possible"
    message = "This case can't be decided in that way."


on_constraint("decision_checker_is_not_the_maker", SecondPersonNeeded)


def take_case(*, case_id: UUID, actor: Actor) -> Case:
    """Become the one who works on an open case.

    Raises CaseNotFound, PermissionMissing, CaseElsewhere, AboutYourself.
    """
    with transaction.atomic(durable=True):
        case, officer = _locked(case_id, actor, WORK_CASE)
        _demand(case, CaseStatus.OPEN)
        _demand_colleague(case, officer)
        case.assignee = officer
        move(case, "take", actor=actor, also=["assignee"])
    return case


def put_back(*, case_id: UUID, actor: Actor, reason: str = "") -> Case:
    """Give a case back to the queue: one's own, or with the permission to approve anybody's.

    Raises CaseNotFound, PermissionMissing, CaseElsewhere, NotYourCase.
    """
    with transaction.atomic(durable=True):
        case, officer = _locked(case_id, actor, WORK_CASE)
        _demand(case, CaseStatus.IN_PROGRESS)
        if case.assignee_id != officer.id and not officer.has_perm(APPROVE_CASE):
            raise NotYourCase
        case.assignee = None
        move(case, "put_back", actor=actor, reason=reason.strip(), also=["assignee"])
    return case


def add_note(*, case_id: UUID, actor: Actor, text: str) -> CaseNote:
    """Write something on a case, in whichever state; it stays for good. Raises CaseNotFound, PermissionMissing,
    ReasonRequired (nothing was written)."""
    with transaction.atomic(durable=True):
        case, author = _locked(case_id, actor, WORK_CASE)
        return CaseNote.objects.create(
            case=case, author=author, text=given_reason(text)[: longest_text(CaseNote, "text")]
        )


def decide_case(*, case_id: UUID, actor: Actor, verdict: str, reason: str, now: datetime) -> Case:
    """Decide one's own case and carry it out; or, where four eyes are needed, propose it to a second person.

    `verdict` is one of selectors.possible_verdicts. A transaction that has ended meanwhile closes the case with a note.
    Raises CaseNotFound, PermissionMissing, CaseElsewhere, NotYourCase, ReasonRequired, VerdictNotPossible, and of an
    escalation what ledger.steps.resolve_escalation raises.
    """
    with transaction.atomic(durable=True):
        case, officer = _locked(case_id, actor, WORK_CASE)
        _demand(case, CaseStatus.IN_PROGRESS)
        if case.assignee_id != officer.id:
            raise NotYourCase
        reason = given_reason(reason)
        possible = possible_verdicts(case)
        if verdict not in possible:
            raise VerdictNotPossible(fields={"verdict": "Not one of those."}, possible=[str(each) for each in possible])
        Decision.objects.create(case=case, verdict=verdict, reason=steps.clipped(reason), maker=officer)
        if needs_second_person(case, verdict) and not effects.has_ended(case):
            move(case, "propose", actor=actor, reason=f"{verdict}: {reason}")
        else:
            effects.carry_out(case, CaseVerdict(verdict), reason=reason, actor=actor, now=now)
    return case


def confirm_case(
    *, case_id: UUID, actor: Actor, agree: bool, reason: str, now: datetime, proposal_id: int | None = None
) -> Case:
    """The second person's word on a proposal: carry it out, or send it back to the one who made it.

    `proposal_id` is the decision that he has read; another one that stands by now is not answered by it.
    Raises CaseNotFound, PermissionMissing, CaseElsewhere, SecondPersonNeeded, AboutYourself, ReasonRequired,
    ProposalReplaced.
    """
    with database_refusals(), transaction.atomic(durable=True):
        case, checker = _locked(case_id, actor, APPROVE_CASE)
        _demand(case, CaseStatus.AWAITING_APPROVAL)
        proposal = case.decisions.filter(checker=None).latest("id")
        if proposal_id not in (None, proposal.id):
            raise ProposalReplaced
        if proposal.maker_id == checker.id:
            raise SecondPersonNeeded
        _demand_colleague(case, checker)
        reason = given_reason(reason)
        Decision.objects.create(
            case=case,
            verdict=proposal.verdict,
            reason=steps.clipped(reason),
            maker_id=proposal.maker_id,
            checker=checker,
            agreed=agree,
        )
        if agree:
            effects.carry_out(case, CaseVerdict(proposal.verdict), reason=reason, actor=actor, now=now)
        else:
            move(case, "send_back", actor=actor, reason=reason)
    return case


def withdraw_proposal(*, case_id: UUID, actor: Actor, reason: str) -> Case:
    """Take one's own proposal back and go on working on the case: nobody else has to be there for it.

    Raises CaseNotFound, PermissionMissing, CaseElsewhere, NotYourCase, ReasonRequired.
    """
    with transaction.atomic(durable=True):
        case, officer = _locked(case_id, actor, WORK_CASE)
        _demand(case, CaseStatus.AWAITING_APPROVAL)
        if case.decisions.filter(checker=None).latest("id").maker_id != officer.id:
            raise NotYourCase
        move(case, "send_back", actor=actor, reason=f"withdrawn: {given_reason(reason)}")
    return case


def _locked(case_id: UUID, actor: Actor, permission: str) -> tuple[Case, User]:
    """The case, with those that share its unit (in id order), and who acts; the permission is asked for last."""
    group = Case.objects.filter(id=case_id).values_list("screening__transaction__group_id", flat=True).first()
    together = Q(id=case_id) | Q(screening__transaction__group_id=group, screening__transaction__group_id__isnull=False)
    cases = Case.objects.filter(together).order_by("id").select_for_update(no_key=True, of=("self",))
    case = next((row for row in cases if row.id == case_id), None)
    if case is None:
        raise CaseNotFound
    require_permission(actor, permission)
    return case, User.objects.get(principal=actor.principal_id)


def _demand(case: Case, status: CaseStatus) -> None:
    if case.status != status:
        raise CaseElsewhere(status=str(case.status))


def _demand_colleague(case: Case, officer: User) -> None:
    """Not the customer, and on neither side of the money either."""
    about = transaction_of(case)
    if case.customer is not None and case.customer.user_id == officer.id:
        raise AboutYourself
    if about is not None:
        unit = Q(id=about.id) | Q(group_id=about.group_id, group_id__isnull=False)
        own = Q(debit_account__customer__user=officer) | Q(credit_account__customer__user=officer)
        if Transaction.objects.filter(unit & own).exists():
            raise AboutYourself
