"""The second person's answer to a proposal. Agreed means posted: proposal, money and escalation change in one commit.

What the ledger refuses ends the proposal when it can never pass (more was reversed meanwhile, the account is closed,
the escalation was settled otherwise): it is kept as refused, with the reason. What may pass by itself (funds that are
not there now, a frozen account) changes nothing: whoever answers is told, and the proposal stands, so that two people
need not begin anew over a matter of hours.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.models import Account
from accounts.staff import given_reason, require_permission
from accounts.states import AccountStatus, SystemPurpose
from ledger import posting, steps
from ledger.models import Adjustment, Transaction
from ledger.posting import Leg
from ledger.services.proposals import (
    PROPOSE_ADJUSTMENT,
    demand_colleague,
    refuse_needless_loss,
)
from ledger.states import AdjustmentKind, AdjustmentStatus, TransactionKind
from ledger.suspense import item_of, open_amount
from wallet_project.utils.context import Actor, request_id
from wallet_project.utils.errors import (
    Conflict,
    DomainError,
    NotAllowed,
    NotFound,
    database_refusals,
    on_constraint,
)
from wallet_project.utils.ids import uuid7
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import move

APPROVE_ADJUSTMENT: Final = "ledger.approve_adjustment"

_POSTED_AS: Final = {
    AdjustmentKind.REVERSAL: TransactionKind.REVERSAL,
    AdjustmentKind.LOSS: TransactionKind.REVERSAL,
    AdjustmentKind.RETURN: TransactionKind.WITHDRAWAL,
}
_DECIDED: Final = ("checker", "decided_at")


class AdjustmentNotFound(NotFound):
    code = "adjustment_not_found"
    message = "There is no such proposal."


class AdjustmentDecided(Conflict):
    """`status` is what became of it."""

    code = "adjustment_decided"
    message = "This was answered before: somebody else was faster. Look at it again."


class SecondPersonNeeded(NotAllowed):
    code = "adjustment_needs_a_second_person"
    message = "Whoever proposed it can't answer it; a second person must."


class NotYourProposal(NotAllowed):
    code = "not_your_proposal"
    message = "Somebody else proposed this. You can answer it; only its maker withdraws it."


class FundsMissing(Conflict):
    """`available`: what the account has, in minor units."""

    code = "funds_missing"
    message = (
        "The account that is to pay does not have that much at present, so nothing was posted. The proposal stands: "
        "agree to it when the money is there, or decline it. A reversal or a charge can be proposed at the loss of "
        "the wallet."
    )


class AccountFrozen(Conflict):
    code = "paying_account_not_open"
    message = "The account that is to pay is not open, so nothing was posted. The proposal stands until it is."


class AccountGone(Conflict):
    """`side`: debit or credit."""

    code = "account_gone"
    message = "One of the two accounts is closed: nothing can be posted to it any more."


class ItemChanged(Conflict):
    """`left` is what the item in suspense amounts to now, in minor units."""

    code = "suspense_item_changed"
    message = "What is in suspense is another amount by now."


#: What no waiting would change.
FINAL: Final[tuple[type[DomainError], ...]] = (
    posting.NotReversible,
    posting.ReversalExceeds,
    steps.EscalationAlreadyResolved,
    AccountGone,
    ItemChanged,
)

on_constraint("adjustment_checker_is_not_its_maker", SecondPersonNeeded)


@dataclass(frozen=True, slots=True)
class Answered:
    """`refusal` says why the ledger could not post what both agreed on; None when it did."""

    adjustment: Adjustment
    refusal: DomainError | None


def approve(*, actor: Actor, adjustment_id: UUID, now: datetime, note: str = "") -> Answered:
    """Agree to a proposal, and post it; a return is handed to the bank. Its escalation is resolved with it.

    Raises AdjustmentNotFound, PermissionMissing, AdjustmentDecided, SecondPersonNeeded, AboutYourself; and, with the
    proposal standing, FundsMissing, AccountFrozen, LossNotNeeded, OnlyTheBankEndsIt.
    """
    with database_refusals(), transaction.atomic(durable=True):
        row = _locked_for_answer(adjustment_id, actor)
        try:
            # A part of its own: what the ledger refuses half-way is undone, and the refusal is kept.
            with database_refusals(), transaction.atomic():
                _post(row, actor=actor, now=now, note=note.strip())
        except FINAL as refusal:
            row = Adjustment.objects.get(id=row.id)
            row.checker_id, row.decided_at = actor.principal_id, now
            move(row, "refuse", actor=actor, reason=refusal.message, also=_DECIDED)
            return Answered(row, refusal)
    return Answered(row, None)


def decline(*, actor: Actor, adjustment_id: UUID, reason: str, now: datetime) -> Adjustment:
    """Do not agree to a proposal; nothing moves. Raises AdjustmentNotFound, PermissionMissing, AdjustmentDecided,
    SecondPersonNeeded, AboutYourself, ReasonRequired."""
    with database_refusals(), transaction.atomic(durable=True):
        row = _locked_for_answer(adjustment_id, actor)
        row.checker_id, row.decided_at = actor.principal_id, now
        move(row, "decline", actor=actor, reason=given_reason(reason), also=_DECIDED)
    return row


def withdraw(*, actor: Actor, adjustment_id: UUID, reason: str, now: datetime) -> Adjustment:
    """Take one's own proposal back. Raises AdjustmentNotFound, PermissionMissing, AdjustmentDecided, NotYourProposal,
    ReasonRequired."""
    with transaction.atomic(durable=True):
        row = _locked(adjustment_id, actor, PROPOSE_ADJUSTMENT)
        if row.maker_id != actor.principal_id:
            raise NotYourProposal()
        row.decided_at = now
        move(row, "withdraw", actor=actor, reason=given_reason(reason), also=["decided_at"])
    return row


def _locked(adjustment_id: UUID, actor: Actor, permission: str) -> Adjustment:
    row = Adjustment.objects.select_for_update(no_key=True, of=("self",)).filter(id=adjustment_id).first()
    if row is None:
        raise AdjustmentNotFound()
    require_permission(actor, permission)
    if row.status != AdjustmentStatus.PROPOSED:
        raise AdjustmentDecided(status=str(row.status))
    return row


def _locked_for_answer(adjustment_id: UUID, actor: Actor) -> Adjustment:
    row = _locked(adjustment_id, actor, APPROVE_ADJUSTMENT)
    if row.maker_id == actor.principal_id:
        raise SecondPersonNeeded()
    demand_colleague(actor, (row.debit_account, row.credit_account), (row.reverses, row.about))
    return row


def _post(row: Adjustment, *, actor: Actor, now: datetime, note: str) -> None:
    """Locks, after the proposal: the unit and the bank transfer that its escalation is about, the escalation, what it
    reverses, both accounts in id order (as clearing does), the counters."""
    escalation = steps.lock_escalation(row.escalation_id) if row.escalation_id is not None else None
    if row.reverses_id is not None:
        posting.lock_transaction(row.reverses_id)
    ends = escalation.unit if escalation is not None and row.kind == AdjustmentKind.CHARGE else None
    debit, _ = _lock_accounts(row, ends=ends)
    if escalation is not None:
        _demand_whole_item(row, escalation.row.details)
    if row.kind == AdjustmentKind.LOSS and row.reverses is not None:
        refuse_needless_loss(row.reverses.credit_account, row.amount)
    if row.kind == AdjustmentKind.CHARGE and escalation is not None:
        steps.fail_settled_otherwise(escalation, actor=actor, reason=row.reason)

    row.transaction_id, row.checker_id, row.decided_at = uuid7(), actor.principal_id, now
    move(row, "post", actor=actor, reason=note, also=[*_DECIDED, "transaction"])
    posted = posting.post_pending(
        actor=_maker(row),
        legs=[_leg(row)],
        key=f"adjustment-{row.id}",
        operation="staff_adjustment",
        request_hash=hashlib.sha256(row.id.bytes).digest(),
        request_id=request_id.get(),
    )
    if posted.outcome == "refused":
        debit.refresh_from_db()
        raise FundsMissing(available=debit.available)
    _carry_through(row, actor=actor)
    if escalation is not None:
        reason = f"{row.get_kind_display()}: {row.reason}"
        steps.close_escalation(escalation.row, actor=actor, reason=reason, now=now)


def _carry_through(row: Adjustment, *, actor: Actor) -> None:
    """Two people have looked at it, so nothing screens it: it is cleared here and now, or goes over the bank."""
    assert row.transaction_id is not None, "it was posted"
    steps.approve([row.transaction_id])
    if row.kind == AdjustmentKind.RETURN:
        nudge("ledger.rail_due")
        return
    verdicts = posting.clear(limit=1, actor=actor, request_id=request_id.get(), only=[row.transaction_id])
    assert verdicts == [(row.transaction_id, "cleared")], "both accounts were looked at under their locks"
    touches_suspense = SystemPurpose.SUSPENSE in (row.debit_account.purpose, row.credit_account.purpose)
    if touches_suspense and row.escalation_id is None:
        # What staff have put there, or taken from there, is an item of its own.
        steps.ask_whose(row.transaction_id, why=row.reason)


def _lock_accounts(row: Adjustment, *, ends: UUID | None) -> Sequence[Account]:
    """The paying and the receiving account, locked with those that get back what the unit `ends` had reserved.

    Raises AccountGone, AccountFrozen."""
    ids = {row.debit_account_id, row.credit_account_id}
    if ends is not None:
        legs = Transaction.objects.filter(Q(id=ends) | Q(group_id=ends))
        ids |= set(legs.values_list("debit_account_id", flat=True))
    found = {a.id: a for a in Account.objects.filter(id__in=ids).order_by("id").select_for_update(no_key=True)}
    debit, credit = found[row.debit_account_id], found[row.credit_account_id]
    for side, account in (("debit", debit), ("credit", credit)):
        if account.status in (AccountStatus.CLOSED, AccountStatus.REJECTED):
            raise AccountGone(side=side)
    if debit.status != AccountStatus.OPEN:
        raise AccountFrozen()
    return debit, credit


def _demand_whole_item(row: Adjustment, details: dict[str, object]) -> None:
    """What was proposed is still what is in suspense. Raises ItemChanged."""
    item = item_of(details)
    left, _ = open_amount(item) if item is not None else (0, "")
    wanted = -row.amount if row.kind == AdjustmentKind.CHARGE else row.amount
    if left != wanted:
        raise ItemChanged(left=left)


def _leg(row: Adjustment) -> Leg:
    assert row.transaction_id is not None, "it has an id by now"
    return Leg(
        id=row.transaction_id,
        kind=_POSTED_AS.get(AdjustmentKind(row.kind), TransactionKind.ADJUSTMENT),
        debit=row.debit_account_id,
        credit=row.credit_account_id,
        amount=row.amount,
        currency=row.currency,
        metadata={"bank_key": row.reference} if row.reference else {},
        beneficiary=row.beneficiary,
        reverses=row.reverses_id,
    )


def _maker(row: Adjustment) -> Actor:
    """Who asked for it. To the posting functions an actor without a customer moves money for the wallet."""
    return Actor(principal_id=row.maker_id, customer_id=None, kind="user")
