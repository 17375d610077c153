"""Parts of use cases that an app above composes into its own commit. They assert that a transaction is open."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from ledger import posting
from ledger.models import Escalation
from ledger.posting import Claimed
from wallet_project.utils.context import Actor, request_id, system_actor
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import born

__all__ = ["Claimed", "approve", "escalate", "fail", "hold_for_review", "lock", "park"]


def lock(units: Sequence[UUID], tokens: Sequence[UUID] | None = None) -> dict[UUID, str]:
    """Lock units that still wait (with the lease tokens, if given) and say in which stage each is."""
    _assert_open()
    return posting.lock(units, tokens)


def approve(units: Sequence[UUID], *, tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Approve screened units: a transfer goes to clearing, a deposit or withdrawal to the bank. Returns those that did."""
    _assert_open()
    approved = posting.approve(units, tokens) if units else set()
    if approved:
        nudge("ledger.transaction_approved")
        nudge("ledger.rail_due")
    return approved


def hold_for_review(units: Sequence[UUID], *, tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Let units wait for an officer, their funds reserved. The caller opens the cases in this same transaction."""
    _assert_open()
    return posting.hold_for_review(units, tokens) if units else set()


def fail(
    units: Sequence[UUID], *, code: str, actor: Actor, reason: str, tokens: Sequence[UUID] | None = None
) -> set[UUID]:
    """End pending units as failed and release their funds; `code` is one of ledger.failures. Returns those that did.

    A unit that the bank may already have is left alone: only the bank's word ends that.
    """
    _assert_open()
    if not units:
        return set()
    return posting.fail(units, code=code, actor=actor, reason=reason, request_id=request_id.get(), tokens=tokens)


def park(units: Sequence[UUID], *, error: str) -> set[UUID]:
    """Set units aside for a human; escalate them in this same transaction."""
    _assert_open()
    return posting.park(units, error)


def escalate(
    *,
    kind: str,
    subject_type: str,
    subject_id: UUID | str,
    transaction_id: UUID | None = None,
    details: Mapping[str, Any] | None = None,
) -> Escalation:
    """Ask for a human: one open escalation per kind and subject, however often it is called."""
    _assert_open()
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


def _assert_open() -> None:
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
