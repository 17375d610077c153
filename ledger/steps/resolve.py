"""What a human decided about an escalation, carried out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models.functions import Now

from accounts.models import Account
from accounts.selectors import system_account_id
from accounts.states import SystemPurpose
from ledger import posting
from ledger.failures import FailureCode
from ledger.models import Escalation, InboundEvent, RailTransfer, Transaction
from ledger.resolutions import UNFINISHED_RAIL, OnlyTheBankEndsIt, Resolution, refusal
from ledger.states import EscalationKind, EscalationStatus, RailDirection, RailStatus, TransactionStatus
from ledger.steps.context import assert_open
from ledger.steps.suspense import ask_whose, divert_to_suspense, item_of_return
from ledger.steps.units import fail, resume
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, NotFound
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import move

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


@dataclass(frozen=True, slots=True)
class LockedEscalation:
    """An escalation with what waits for it: its unit in its stage, and its rail transfer; None where nothing does."""

    row: Escalation
    unit: UUID | None
    stage: str | None
    rail: RailTransfer | None


def resolve_escalation(
    *, escalation_id: UUID, action: Resolution, actor: Actor, reason: str, now: datetime
) -> Escalation:
    """Carry out what a human decided on an escalation, and close it.

    `retry` puts back to work what was set aside, `fail` ends the pending transaction and releases its funds,
    `acknowledge` changes nothing. What is about money in suspense ends when that has been assigned, returned or charged
    (`close_escalation`). Raises EscalationNotFound, EscalationAlreadyResolved, NothingToRetry, NothingToFail,
    OnlyTheBankEndsIt, StillWaiting, StillInSuspense.
    """
    locked = lock_escalation(escalation_id)
    row, unit, rail = locked.row, locked.unit, locked.rail
    if refused := refusal(action, row, stage=locked.stage, rail=rail):
        raise refused()
    match action:
        case "retry":
            _retry(row, unit, rail)
        case "fail":
            assert unit is not None, "what waits has a unit"
            _fail_escalated(row, unit, rail, actor=actor, reason=reason)
        case "acknowledge":
            _acknowledge(row, now=now)
    close_escalation(row, actor=actor, reason=f"{action}: {reason}", now=now)
    return row


def lock_escalation(escalation_id: UUID) -> LockedEscalation:
    """An open escalation, locked after its unit and what was asked of the bank for it, in this order.

    Raises EscalationNotFound, EscalationAlreadyResolved.
    """
    assert_open()
    found = Escalation.objects.select_related("transaction").filter(id=escalation_id).first()
    if found is None:
        raise EscalationNotFound()
    unit = _unit(found.transaction) if found.transaction else None
    stage = posting.lock([unit]).get(unit) if unit else None
    rail = RailTransfer.objects.select_for_update(no_key=True).filter(transaction=found.transaction_id).first()
    row = Escalation.objects.select_for_update(no_key=True).get(id=escalation_id)
    if row.status != EscalationStatus.OPEN:
        raise EscalationAlreadyResolved()
    return LockedEscalation(row, unit, stage, rail)


def close_escalation(row: Escalation, *, actor: Actor, reason: str, now: datetime) -> None:
    """Close a locked escalation: what it asked for has been done."""
    row.resolved_at = now
    move(row, "resolve", actor=actor, reason=reason, also=["resolved_at"])


def fail_settled_otherwise(locked: LockedEscalation, *, actor: Actor, reason: str) -> None:
    """End a payout for which the bank has moved another amount, and release what it had reserved. What moved is in
    suspense; the caller charges it in this same commit. Nothing is done when the payout has ended."""
    assert_open()
    if locked.unit is not None and locked.stage is not None:
        _fail_escalated(locked.row, locked.unit, locked.rail, actor=actor, reason=reason)


def fail_collected(deposit: Transaction, *, code: FailureCode, actor: Actor, reason: str) -> bool:
    """End a deposit that the bank has collected and that its customer does not get: its money goes to suspense, where
    somebody sees to it. False, and nothing is done, when it has ended.

    Locks, after its unit: what was asked of the bank for it, then the accounts in order, as clearing does it.
    """
    assert_open()
    unit = _unit(deposit)
    if unit is None:
        return False
    rail = RailTransfer.objects.select_for_update(no_key=True).get(transaction=deposit)
    ids = [deposit.credit_account_id] + [
        system_account_id(purpose, deposit.currency) for purpose in (SystemPurpose.SETTLEMENT, SystemPurpose.SUSPENSE)
    ]
    list(Account.objects.filter(id__in=ids).order_by("id").select_for_update(no_key=True))
    divert_to_suspense(deposit, rail, why=reason)
    return bool(fail([unit], code=code, actor=actor, reason=reason))


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
    if row.transaction is not None and (item := item_of_return(row.transaction)) is not None:
        ask_whose(item, why="it could not be returned to its sender")


def _acknowledge(row: Escalation, *, now: datetime) -> None:
    if row.subject_type == "inbound_event":
        InboundEvent.objects.filter(id=int(row.subject_id), processed_at=None).update(processed_at=now, next_at=None)


def _unit(transaction: Transaction) -> UUID | None:
    """What waits for it; None when it has ended."""
    if transaction.status != TransactionStatus.PENDING:
        return None
    unit: UUID = transaction.group_id or transaction.id
    return unit
