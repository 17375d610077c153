"""The queue looks after itself: one case for each escalation of the ledger, none for what needs nobody any more."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from compliance import effects, payers, steps
from compliance.models import Case
from compliance.payers import Look
from compliance.states import CasePriority, CaseStatus, CheckStatus, NameScreeningStatus
from ledger.models import Escalation, Transaction
from ledger.states import EscalationKind, EscalationStatus, TransactionStatus
from ledger.suspense import PAYER
from wallet_project.utils.context import system_actor
from wallet_project.utils.nudges import nudge

BATCH: Final = 200

_CODE: Final = re.compile(r"^[a-z]+(_[a-z]+)+: ")

#: Somebody's money may be in the wrong place, or nobody knows where it is.
_URGENT: Final = frozenset(
    {
        EscalationKind.RAIL_EXHAUSTED,
        EscalationKind.RAIL_REFUSED,
        EscalationKind.UNMATCHED_MONEY,
        EscalationKind.POISONED_UNIT,
        EscalationKind.AUDIT_FINDING,
    }
)


def tend_queue(*, now: datetime) -> int:
    """Open the cases that are missing, close those that nobody needs; the most that one of these steps did."""
    return max(open_cases(now=now), close_ended_cases(now=now))


def open_cases(*, now: datetime, limit: int = BATCH) -> int:
    """Open one case for each open escalation that has none, also with ten of these at once; how many were opened."""
    waiting = list(
        Escalation.objects.filter(status=EscalationStatus.OPEN, case__isnull=True)
        .select_related("transaction__debit_account", "transaction__credit_account")
        .order_by("id")[:limit]
    )
    if not waiting:
        return 0
    # Before the transaction begins, as the lists may have to be read.
    looks = payers.look({each.id: each.details[PAYER] for each in waiting if PAYER in each.details})
    with transaction.atomic(durable=True):
        # Whose case it is by the unique key: the one that comes second opens nothing.
        opened = steps.open_cases([_case(each, looks.get(each.id), now=now) for each in waiting])
        about = {case.escalation_id for case in opened}
        payers.keep_of_escalations({id_: each for id_, each in looks.items() if id_ in about})
        if len(waiting) == limit:
            nudge("ledger.escalated")
    return len(opened)


def close_ended_cases(*, now: datetime, limit: int = BATCH) -> int:
    """Close cases whose subject has ended by itself: a payer cancelled, an escalation was settled, …; how many."""
    ended = (
        Q(screening__isnull=False) & ~Q(screening__transaction__status=TransactionStatus.PENDING)
        | Q(kyc_check__isnull=False) & ~Q(kyc_check__status=CheckStatus.IN_REVIEW)
        | Q(escalation__status=EscalationStatus.RESOLVED)
        | Q(name_screening__isnull=False) & ~Q(name_screening__status=NameScreeningStatus.IN_REVIEW)
        | Q(payer_screening__isnull=False) & ~Q(payer_screening__transaction__status=TransactionStatus.PENDING)
    )
    unresolved = Case.objects.exclude(status=CaseStatus.RESOLVED)
    closed = 0
    for case_id in list(unresolved.filter(ended).order_by("due_at").values_list("id", flat=True)[:limit]):
        with transaction.atomic(durable=True):
            case = steps.lock_case(case_id)
            if case is not None and case.status != CaseStatus.RESOLVED and effects.has_ended(case):
                effects.close_ended(case, actor=system_actor(), now=now)
                closed += 1
    return closed


def _case(escalation: Escalation, payer: Look | None, *, now: datetime) -> Case:
    met = payer is not None and not payer.clear
    return steps.new_case(
        reason=" ".join(part for part in (_reason(escalation), payer.reason if payer else "") if part),
        now=now,
        priority=CasePriority.HIGH if met or escalation.kind in _URGENT else CasePriority.NORMAL,
        customer_id=_customer_of(escalation.transaction),
        escalation=escalation,
    )


def _reason(escalation: Escalation) -> str:
    details: Mapping[str, object] = escalation.details
    said = next((str(details[name]) for name in ("why", "reason", "error") if details.get(name)), "")
    label = escalation.get_kind_display()
    # An error begins with its code, which is for the log.
    said = _CODE.sub("", said)
    return ". ".join(f"{part[:1].upper()}{part[1:]}" for part in (label, said) if part) + ("" if said else ".")


def _customer_of(about: Transaction | None) -> UUID | None:
    """Whose money it is: the payer's, or the receiver's of a deposit."""
    if about is None:
        return None
    return about.debit_account.customer_id or about.credit_account.customer_id
