"""Parts of compliance's use cases: opening cases, and closing what nobody needs to decide any more.

They assert that a transaction is open. Locks are taken case first, then work item, check, customer, accounts.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection

from accounts import steps as accounts
from accounts.models import Customer, CustomerLevel
from accounts.states import KycStatus, Level
from compliance.documents import level_is_shown
from compliance.models import Case, CustomerRisk, Document, KycCheck, NameScreening, PayerScreening, Screening
from compliance.states import CasePriority, CaseStatus, CheckStatus, DocumentStatus, RiskBand
from ledger import steps as ledger
from ledger.models import Escalation
from wallet_project.utils.context import Actor, request_id, system_actor
from wallet_project.utils.ids import uuid7
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import born, move

#: How long a case may wait for its decision.
DUE_WITHIN: Final[Mapping[str, timedelta]] = {
    CasePriority.HIGH: timedelta(hours=4),
    CasePriority.NORMAL: timedelta(hours=24),
}
#: Told to the customer; what the provider or an officer found is for staff.
REJECTED_NOTICE: Final = "We could not verify your identity with the details you gave. Contact support."
DOCUMENT_NOTICE: Final = "We could not accept this document. Send a clear copy of a valid one."
_REASON_LENGTH: Final = 500


def new_case(
    *,
    reason: str,
    now: datetime,
    priority: str = CasePriority.NORMAL,
    customer_id: UUID | None = None,
    kyc_check: KycCheck | None = None,
    screening_id: UUID | None = None,
    escalation: Escalation | None = None,
    name_screening: NameScreening | None = None,
    payer_screening: PayerScreening | None = None,
) -> Case:
    """A case that is not saved yet; it has exactly one subject."""
    return Case(
        kyc_check=kyc_check,
        screening_id=screening_id,
        escalation=escalation,
        name_screening=name_screening,
        payer_screening=payer_screening,
        customer_id=customer_id,
        reason=clipped(reason),
        priority=priority,
        due_at=now + DUE_WITHIN[priority],
    )


def risk_changed(customers: Iterable[UUID]) -> None:
    """Have these customers' risk found out anew, soon; of those who have none yet for the first time."""
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    with connection.cursor() as cursor:
        # In order, as two commits may tell of the same customers.
        cursor.executemany(
            """
            INSERT INTO compliance_customerrisk (id, customer_id, score, band, parts)
            VALUES (%s, %s, 0, 'low', '[]')
            ON CONFLICT (customer_id) DO UPDATE SET next_at = now()
            """,
            [(uuid7(), customer_id) for customer_id in sorted(set(customers))],
        )


def _raise_priorities(cases: Sequence[Case]) -> None:
    """What a customer of high risk waits for is looked at first."""
    normal = [case for case in cases if case.customer_id and case.priority == CasePriority.NORMAL]
    if not normal:
        return
    risky = CustomerRisk.objects.filter(customer__in={case.customer_id for case in normal}, band=RiskBand.HIGH)
    high = set(risky.values_list("customer_id", flat=True))
    for case in normal:
        if case.customer_id in high:
            case.due_at += DUE_WITHIN[CasePriority.HIGH] - DUE_WITHIN[CasePriority.NORMAL]
            case.priority = CasePriority.HIGH


def open_cases(cases: Sequence[Case]) -> list[Case]:
    """Save new cases in one statement, with their log. A subject that has a case already gets no second one; those that
    were opened are returned."""
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    _raise_priorities(cases)
    Case.objects.bulk_create(cases, ignore_conflicts=True)
    opened_ids = set(Case.objects.filter(id__in=[case.id for case in cases]).values_list("id", flat=True))
    opened = [case for case in cases if case.id in opened_ids]
    log_changes("case", [(case.id, "", CaseStatus.OPEN, case.reason) for case in opened], actor=system_actor())
    return opened


def log_changes(machine: str, changes: Iterable[tuple[UUID, str, str, str]], *, actor: Actor) -> None:
    """Log what a set-based statement moved: (id, from, to, reason) each."""
    rows = list(changes)
    if not rows:
        return
    with connection.cursor() as cursor:
        # By hand, as a batch of screening writes hundreds: the ORM takes longer for them than the database does.
        cursor.execute(
            """
            INSERT INTO compliance_statechange (machine, subject_id, from_state, to_state, actor_id, reason, request_id)
            SELECT %s, v.subject_id, v.from_state, v.to_state, %s, v.reason, %s
            FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[])
                WITH ORDINALITY AS v (subject_id, from_state, to_state, reason, number)
            ORDER BY v.number
            """,
            [
                machine,
                actor.principal_id,
                request_id.get()[:64],
                [subject_id for subject_id, _, _, _ in rows],
                [str(from_state) for _, from_state, _, _ in rows],
                [str(to_state) for _, _, to_state, _ in rows],
                [clipped(reason) for _, _, _, reason in rows],
            ],
        )


def lock_case(case_id: UUID) -> Case | None:
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
    return Case.objects.select_for_update(no_key=True).filter(id=case_id).first()


def resolve_case(case: Case, *, actor: Actor, reason: str, now: datetime) -> None:
    """End a locked case, from whichever state it is in."""
    case.resolved_at = now
    if case.status == CaseStatus.OPEN:
        move(case, "take", actor=actor, reason="taken to be closed")
    move(case, "resolve", actor=actor, reason=reason, also=["resolved_at"])


def end_check(
    check: KycCheck | Screening, verdict: str, *, decided_by: str, reason: str, actor: Actor, now: datetime
) -> None:
    """Move a locked check to its end (`approve` or `reject`). Nothing is asked for it any more."""
    check.decided_by, check.reason, check.decided_at = decided_by, clipped(reason), now
    also = ["decided_by", "reason", "decided_at"]
    if isinstance(check, KycCheck):
        check.next_at = check.lease_token = None
        if check.status == CheckStatus.QUEUED:
            move(check, "start", actor=actor)
        also += ["next_at", "lease_token"]
    move(check, verdict, actor=actor, reason=reason, also=also)


def hand_to_officer(
    check: KycCheck, *, reason: str, actor: Actor, now: datetime, priority: str = CasePriority.NORMAL
) -> None:
    """A locked identity check can't be decided by itself: open a case for it."""
    check.reason = clipped(reason)
    check.next_at = check.lease_token = None
    move(check, "review", actor=actor, reason=reason, also=["reason", "next_at", "lease_token", "answers", "attempts"])
    open_cases([new_case(reason=reason, now=now, priority=priority, customer_id=check.customer_id, kyc_check=check)])


def conclude(check: KycCheck, *, approved: bool, decided_by: str, reason: str, actor: Actor, now: datetime) -> bool:
    """End a locked identity check and let its customer have the consequences.

    False when it has none: the customer has another profile by now, stays pending, and the next check is wanted.
    """
    verdict = "approve" if approved else "reject"
    end_check(check, verdict, decided_by=decided_by, reason=reason, actor=actor, now=now)
    if check.level == Level.FULL:
        return _conclude_full(check, approved=approved, actor=actor, reason=reason, now=now)
    subject = {"customer_id": check.customer_id, "profile_id": check.profile_id}
    limits = ""
    if approved:
        customer = accounts.lock_customer(check.customer_id)
        if accounts.waits_for(customer, check.profile_id) and accounts.lock_level(customer.id) is None:
            # Before any account is locked, as this locks all of them; and so before the first one opens.
            limits = ledger.set_level_limits(customer.id, Level.BASIC, actor=actor, reason=reason or "verified")
        days = settings.IDENTITY_VALID_DAYS
        done = accounts.mark_verified(
            **subject,
            actor=actor,
            reason=reason,
            until=now + timedelta(days=days) if days else None,
            limits=limits,
        )
    else:
        customer = accounts.lock_customer(check.customer_id)
        if accounts.waits_for(customer, check.profile_id):
            fall(customer, actor=actor, reason="the identity was rejected", now=now)
        done = accounts.mark_rejected(**subject, actor=actor, customer_reason=REJECTED_NOTICE, reason=reason)
    risk_changed([check.customer_id])
    if not done:
        nudge("accounts.identity_wanted")
    return done


def _conclude_full(check: KycCheck, *, approved: bool, actor: Actor, reason: str, now: datetime) -> bool:
    """The documents are what they seem, and the customer rises; or they are rejected, and he may send others."""
    customer = accounts.lock_customer(check.customer_id)
    documents = list(check.documents.order_by("id").select_for_update(no_key=True, of=("self",)))
    for document in documents:
        if document.status == DocumentStatus.RECEIVED:
            document.decided_at = now
            if not approved:
                document.reason = DOCUMENT_NOTICE
            verdict = "accept" if approved else "reject"
            move(document, verdict, actor=actor, reason=reason, also=["reason", "decided_at"])
    level = accounts.lock_level(check.customer_id)
    standing = customer.kyc_status in (KycStatus.VERIFIED, KycStatus.PENDING)
    if not approved or level is None or not standing or customer.verified_profile_id != check.profile_id:
        return not approved
    if not level_is_shown(customer.id):
        # One of them has been rejected, or has expired, while the others were looked at.
        return False
    if level.level == Level.BASIC:
        change_level(level, Level.FULL, actor=actor, reason=reason or "documents were accepted", now=now)
    return True


def fall(customer: Customer, *, actor: Actor, reason: str, now: datetime) -> None:
    """Take a locked customer back to the basic level, if he has another; before any of his accounts is locked."""
    level = accounts.lock_level(customer.id)
    if level is not None and level.level == Level.FULL:
        change_level(level, Level.BASIC, actor=actor, reason=reason, now=now)


def new_full_check(
    customer: Customer, documents: Sequence[Document], *, actor: Actor, now: datetime, check_id: UUID | None = None
) -> KycCheck:
    """Have a locked customer's documents checked."""
    assert customer.profile_id is not None, "the customer was verified"
    check = KycCheck.objects.create(
        id=check_id or uuid7(), customer=customer, profile_id=customer.profile_id, level=Level.FULL, next_at=now
    )
    check.documents.set(documents)
    born(check, actor=actor)
    nudge("accounts.identity_wanted")
    return check


def change_level(level: CustomerLevel, to: Level, *, actor: Actor, reason: str, now: datetime) -> None:
    """Move the locked level of a locked customer, and his limits with it. Raises WrongState."""
    accounts.change_level(level, to, actor=actor, reason=reason, now=now)
    ledger.keep_limits_of(level, actor=actor, reason=reason)
    risk_changed([level.customer_id])


def clipped(text: str) -> str:
    return text if len(text) <= _REASON_LENGTH else text[: _REASON_LENGTH - 1] + "…"
