"""What a human can decide about an escalation, as its rows stand."""

from typing import Final, Literal, get_args

from ledger.models import Escalation, RailTransfer, WorkItem
from ledger.states import EscalationKind, RailDirection, RailStatus, Stage, TransactionStatus
from ledger.suspense import item_of, open_amount
from wallet_project.utils.errors import Conflict

Resolution = Literal["retry", "fail", "acknowledge"]

UNFINISHED_RAIL: Final = (RailStatus.QUEUED, RailStatus.SUBMITTED)


class NothingToRetry(Conflict):
    code = "nothing_to_retry"
    message = "There is nothing left that could be tried again: acknowledge it."


class NothingToFail(Conflict):
    code = "nothing_to_fail"
    message = "No transaction is pending on this: acknowledge it."


class OnlyTheBankEndsIt(Conflict):
    code = "only_the_bank_ends_it"
    message = "The bank may have made this payment, so only its word can fail it: let it be tried again."


class StillWaiting(Conflict):
    code = "still_waiting"
    message = "A transaction waits for this: decide whether it is tried again or fails."


class StillInSuspense(Conflict):
    code = "still_in_suspense"
    message = "The bank has moved this money, which is in suspense: assign, return or charge it; that ends what waits."


def refusal(
    action: Resolution, row: Escalation, *, stage: str | None, rail: RailTransfer | None
) -> type[Conflict] | None:
    """Why an escalation can't be resolved in this way; None when it can.

    `stage` is where its unit waits, None when nothing waits; `rail` is what was asked of the bank for it, if anything.
    """
    if left_in_suspense(row):
        return StillInSuspense
    match action:
        case "retry":
            return None if stage is not None or row.subject_type == "inbound_event" else NothingToRetry
        case "fail":
            if stage is None:
                return NothingToFail
            asked = rail is not None and rail.status == RailStatus.SUBMITTED
            with_the_bank = (asked and not _bank_has_spoken(row)) or _paid(rail)
            return OnlyTheBankEndsIt if with_the_bank else None
        case "acknowledge":
            silent = rail is not None and rail.status in UNFINISHED_RAIL and rail.next_at is None
            return StillWaiting if stage == Stage.PARKED or (stage is not None and silent) else None


def left_in_suspense(row: Escalation) -> int:
    """What is in suspense of the money that an escalation is about, in minor units: above zero it came in, below zero
    it went out, zero when that is settled or it is about something else."""
    item = item_of(row.details)
    return open_amount(item)[0] if item is not None else 0


def possible_resolutions(row: Escalation) -> tuple[Resolution, ...]:
    """What would not be refused now. For the page that offers it: whoever decides, asks again under lock."""
    about = row.transaction
    stage: str | None = None
    if about is not None and about.status == TransactionStatus.PENDING:
        waiting = WorkItem.objects.filter(unit_id=about.group_id or about.id)
        stage = waiting.values_list("stage", flat=True).first()
    rail = RailTransfer.objects.filter(transaction=about).first() if about is not None else None
    every: tuple[Resolution, ...] = get_args(Resolution)
    return tuple(action for action in every if refusal(action, row, stage=stage, rail=rail) is None)


def _paid(rail: RailTransfer | None) -> bool:
    """The money has left: failing it would give it back to its payer as well."""
    return rail is not None and rail.direction == RailDirection.PAYOUT and rail.status == RailStatus.CONFIRMED


def _bank_has_spoken(row: Escalation) -> bool:
    """It moved another amount, or it refused the payment and says that it has none under our key."""
    return row.kind == EscalationKind.UNMATCHED_MONEY or row.details.get("unknown_to_bank") is True
