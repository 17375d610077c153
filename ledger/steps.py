"""Parts of use cases that an app above composes into its own commit. They assert that a transaction is open."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now

from accounts.selectors import system_account_id
from accounts.states import SystemPurpose
from ledger import posting
from ledger.failures import FailureCode
from ledger.models import Escalation, InboundEvent, RailTransfer, Transaction
from ledger.posting import Claimed as Claimed
from ledger.posting import Leg
from ledger.resolutions import UNFINISHED_RAIL as UNFINISHED_RAIL
from ledger.resolutions import OnlyTheBankEndsIt, refusal
from ledger.resolutions import Resolution as Resolution
from ledger.resolutions import StillWaiting as StillWaiting
from ledger.states import (
    EscalationKind,
    EscalationStatus,
    RailDirection,
    RailStatus,
    TransactionKind,
    TransactionStatus,
)
from wallet_project.utils.context import Actor, request_id, system_actor
from wallet_project.utils.errors import Conflict, NotFound
from wallet_project.utils.ids import uuid7
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import born, move

BankDirection = Literal["in", "out"]

# What a customer is told of a transaction that was failed by hand; `not_permitted` where nothing is named.
_FAILURE_OF: Mapping[str, FailureCode] = {
    EscalationKind.RAIL_REFUSED: FailureCode.BANK_REJECTED,
    EscalationKind.UNMATCHED_MONEY: FailureCode.BANK_AMOUNT_DIFFERS,
}


class EscalationNotFound(NotFound):
    code = "escalation_not_found"
    message = "There is no such escalation."


class EscalationAlreadyResolved(Conflict):
    code = "escalation_already_resolved"
    message = "Somebody else has resolved this."


def claim(stage: str, *, limit: int, lease: timedelta) -> list[Claimed]:
    """Lease up to `limit` due units of a stage, in a commit of its own; never waits for another worker."""
    _assert_open()
    return posting.claim(stage, limit=limit, lease=lease)


def lock(units: Sequence[UUID], tokens: Sequence[UUID] | None = None) -> dict[UUID, str]:
    """Lock units that still wait (with the lease tokens, if given) and say in which stage each is."""
    _assert_open()
    return posting.lock(units, tokens)


def approve(units: Sequence[UUID], *, tokens: Sequence[UUID] | None = None) -> set[UUID]:
    """Approve screened units: a transfer goes to clearing, the others to the bank. Returns those that did."""
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

    A unit that the bank may already have is left alone: only the bank's word ends that. So is a deposit that the bank
    has collected, unless its money was booked elsewhere before (`divert_to_suspense`).
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


def resume(units: Sequence[UUID]) -> set[UUID]:
    """Put units that were set aside, or whose bank has spoken, back to work. Returns those that go on."""
    _assert_open()
    resumed = posting.resume(units) if units else set()
    if resumed:
        nudge("ledger.transaction_approved")
    return resumed


def post_to_suspense(
    *, key: str, direction: BankDirection, amount: int, currency: str, bank_key: str, why: str
) -> tuple[UUID, bool]:
    """Book money that moved at the bank and belongs to no transaction: `in` from settlement to suspense, `out` back.

    `amount` is in minor units; `bank_key` is the reference under which the bank's statement has it. The adjustment is
    cleared in this same commit. Posted once per `key`: returns its id, and whether it was this call that made it.
    Raises IdempotencyKeyReused (the key was used for another amount), Account.DoesNotExist (no such currency is kept).
    """
    _assert_open()
    settlement = system_account_id(SystemPurpose.SETTLEMENT, currency)
    suspense = system_account_id(SystemPurpose.SUSPENSE, currency)
    debit, credit = (settlement, suspense) if direction == "in" else (suspense, settlement)
    leg = Leg(
        id=uuid7(),
        kind=TransactionKind.ADJUSTMENT,
        debit=debit,
        credit=credit,
        amount=amount,
        currency=currency,
        metadata={"bank_key": bank_key, "why": why},
    )
    asked = f"{direction} {amount} {currency} {bank_key}"
    posted = posting.post_pending(
        actor=system_actor(),
        legs=[leg],
        key=key,
        operation="adjustment",
        request_hash=hashlib.sha256(asked.encode()).digest(),
        request_id=request_id.get(),
    )
    adjustment = posted.transactions[0]
    if posted.outcome == "replayed":
        return adjustment.id, False
    # The wallet's own correction of its books is not screened: nobody asked for it, and no customer's money moves.
    posting.approve([adjustment.id])
    verdicts = posting.clear(limit=1, actor=system_actor(), request_id=request_id.get(), only=[adjustment.id])
    assert verdicts == [(adjustment.id, "cleared")], "the wallet's own accounts are open"
    return adjustment.id, True


def resolve_escalation(
    *, escalation_id: UUID, action: Resolution, actor: Actor, reason: str, now: datetime
) -> Escalation:
    """Carry out what a human decided on an escalation, and close it.

    `retry` puts back to work what was set aside, `fail` ends the pending transaction and releases its funds,
    `acknowledge` changes nothing. Raises EscalationNotFound, EscalationAlreadyResolved, NothingToRetry, NothingToFail,
    OnlyTheBankEndsIt, StillWaiting.
    """
    _assert_open()
    found = Escalation.objects.select_related("transaction").filter(id=escalation_id).first()
    if found is None:
        raise EscalationNotFound()
    unit = _unit(found.transaction) if found.transaction else None
    stage = posting.lock([unit]).get(unit) if unit else None
    rail = RailTransfer.objects.select_for_update(no_key=True).filter(transaction=found.transaction_id).first()
    row = Escalation.objects.select_for_update(no_key=True).get(id=escalation_id)
    if row.status != EscalationStatus.OPEN:
        raise EscalationAlreadyResolved()
    if refused := refusal(action, row, stage=stage, rail=rail):
        raise refused()
    match action:
        case "retry":
            _retry(row, unit, rail)
        case "fail":
            assert unit is not None, "what waits has a unit"
            _fail_escalated(row, unit, rail, actor=actor, reason=reason)
        case "acknowledge":
            _acknowledge(row, now=now)
    row.resolved_at = now
    move(row, "resolve", actor=actor, reason=f"{action}: {reason}", also=["resolved_at"])
    return row


def _retry(row: Escalation, unit: UUID | None, rail: RailTransfer | None) -> None:
    if row.subject_type == "inbound_event":
        InboundEvent.objects.filter(id=int(row.subject_id), processed_at=None).update(next_at=Now(), attempts=0)
        nudge("ledger.bank_event")
    else:
        assert unit is not None, "what waits has a unit"
        if rail is not None and rail.status in UNFINISHED_RAIL:
            RailTransfer.objects.filter(id=rail.id).update(next_at=Now(), attempts=0, lease_token=None)
            nudge("ledger.rail_due")
        resume([unit])


def _fail_escalated(row: Escalation, unit: UUID, rail: RailTransfer | None, *, actor: Actor, reason: str) -> None:
    if rail is not None and rail.status == RailStatus.SUBMITTED:
        rail.next_at, rail.lease_token, rail.ended_at = None, None, Now()
        move(rail, "reject", actor=actor, reason=reason, also=["next_at", "lease_token", "ended_at"])
    if rail is not None and rail.status == RailStatus.CONFIRMED and rail.direction == RailDirection.COLLECTION:
        divert_to_suspense(row.transaction, rail, why="failed after the bank had collected it")
    if not fail([unit], code=_FAILURE_OF.get(row.kind, FailureCode.NOT_PERMITTED), actor=actor, reason=reason):
        raise OnlyTheBankEndsIt()


def divert_to_suspense(deposit: Transaction | None, rail: RailTransfer, *, why: str) -> None:
    """The money of a deposit that the bank has collected and that is about to fail: book it, and ask a human whose it
    is. Before it fails, for `ledger_fail` lets no collected money go unaccounted for."""
    assert deposit is not None, "a rail transfer has a transaction"
    adjustment, made = post_to_suspense(
        key=f"bank-payment-{rail.key}",
        direction="in",
        amount=deposit.amount,
        currency=deposit.currency,
        bank_key=rail.key,
        why=why,
    )
    if made:
        escalate(
            kind=EscalationKind.UNMATCHED_MONEY,
            subject_type="transaction",
            subject_id=adjustment,
            transaction_id=adjustment,
            details={"why": why, "deposit": str(deposit.id), "amount": deposit.amount, "currency": deposit.currency},
        )


def _acknowledge(row: Escalation, *, now: datetime) -> None:
    if row.subject_type == "inbound_event":
        InboundEvent.objects.filter(id=int(row.subject_id), processed_at=None).update(processed_at=now, next_at=None)


def _unit(transaction: Transaction) -> UUID | None:
    """What waits for it; None when it has ended."""
    if transaction.status != TransactionStatus.PENDING:
        return None
    unit: UUID = transaction.group_id or transaction.id
    return unit


def _assert_open() -> None:
    assert connection.in_atomic_block, "a step belongs to the use case's transaction"
