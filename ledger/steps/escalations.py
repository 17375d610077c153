"""What needs a human: asking for one."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from ledger.models import Escalation
from ledger.steps.context import assert_open
from wallet_project.utils.context import system_actor
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import born


def escalate(
    *,
    kind: str,
    subject_type: str,
    subject_id: UUID | str,
    transaction_id: UUID | None = None,
    details: Mapping[str, Any] | None = None,
) -> Escalation:
    """Ask for a human: one open escalation per kind and subject, however often it is called."""
    assert_open()
    row = Escalation(
        kind=kind,
        subject_type=subject_type,
        subject_id=str(subject_id),
        transaction_id=transaction_id,
        details=dict(details or {}),
    )
    # The partial unique index decides; whoever comes second takes the first one's row.
    Escalation.objects.bulk_create([row], ignore_conflicts=True)
    kept = Escalation.objects.get(kind=kind, subject_id=str(subject_id), status="open")
    if kept.id == row.id:
        born(row, actor=system_actor())
        nudge("ledger.escalated")
    return kept
