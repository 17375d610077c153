"""What was set aside because an account was frozen goes on by itself when the account works again: the officer who
unfreezes it has looked at it, and nobody has to decide each payment once more."""

from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef

from accounts.states import AccountKind, AccountStatus
from ledger import steps
from ledger.models import Escalation, Transaction
from ledger.states import EscalationKind, EscalationStatus, TransactionStatus
from wallet_project.utils.context import system_actor
from wallet_project.utils.errors import Conflict

BATCH: Final = 100


def resume_thawed(*, now: datetime, limit: int = BATCH) -> int:
    """Put up to `limit` units back to work whose paying accounts are all open again, each in a commit of its own.
    Returns how many there were. A unit is looked at again when it is cleared or handed to the bank."""
    still_frozen = Transaction.objects.filter(
        group_id=OuterRef("transaction__group_id"), debit_account__kind=AccountKind.CUSTOMER
    ).exclude(debit_account__status=AccountStatus.OPEN)
    thawed = Escalation.objects.filter(
        ~Exists(still_frozen),
        status=EscalationStatus.OPEN,
        kind=EscalationKind.FROZEN_ACCOUNT,
        transaction__status=TransactionStatus.PENDING,
        transaction__debit_account__status=AccountStatus.OPEN,
    )
    found = list(thawed.order_by("id").values_list("id", flat=True)[:limit])
    for escalation_id in found:
        with transaction.atomic(durable=True):
            try:
                steps.resolve_escalation(
                    escalation_id=escalation_id,
                    action="retry",
                    actor=system_actor(),
                    reason="the account works again",
                    now=now,
                )
            except Conflict:
                # Somebody was faster: it is resolved, or its transaction has ended.
                continue
    return len(found)
