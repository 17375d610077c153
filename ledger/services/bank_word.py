"""What a bank says about a payment, applied to our rows: the same whether it was asked or told us of its own accord.

The caller has locked the unit and then the rail transfer, in the transaction in which this is committed. `failed` never
flips, and nothing is posted twice: the adjustment that money without a home gets has a key of its own payment.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from accounts.models import IdempotencyClaim
from ledger import steps
from ledger.failures import FailureCode
from ledger.models import RailTransfer
from ledger.rails import Payer, PaymentReport
from ledger.states import EscalationKind, RailDirection, RailStatus, Stage
from ledger.suspense import ITEM, PAYER
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.errors import Conflict
from wallet_project.utils.money import currencies
from wallet_project.utils.nudges import nudge
from wallet_project.utils.transitions import move

_ANSWERS_KEPT: Final = 5
_ENDED = ("status", "next_at", "lease_token", "ended_at", "bank_reference", "reason", "answers", "payer")


class BankContradictsItself(Conflict):
    """It rejected what it had settled, or settles for another amount than before. A human looks."""

    code = "bank_contradicts_itself"
    message = "The bank says something that does not go with what it said before."


def apply(row: RailTransfer, report: PaymentReport, *, now: datetime) -> None:
    """Take the bank's word on a payment of ours. Raises BankContradictsItself."""
    as_asked = (report.amount, report.currency) == (row.transaction.amount, row.transaction.currency)
    match report.status:
        case "processing":
            return
        case "settled" if row.status == RailStatus.CONFIRMED:
            if not as_asked:
                raise BankContradictsItself()
            _named_again(row, report)
        case "settled" if row.status in (RailStatus.REJECTED, RailStatus.CANCELLED):
            _settled_after_failing(row, report)
        case "settled" | "rejected" if as_asked and _moved_otherwise(row):
            raise BankContradictsItself()
        case "settled" if as_asked:
            _settled(row, report, now=now)
        case "settled":
            _settled_otherwise(row, report, now=now)
        case "rejected" if row.status in (RailStatus.REJECTED, RailStatus.CANCELLED):
            return
        case "rejected":
            if row.status != RailStatus.SUBMITTED or not as_asked:
                raise BankContradictsItself()
            _end(row, "reject", report, now=now, reason=report.reason or "rejected by the bank")
            steps.fail([unit_of(row)], code=FailureCode.BANK_REJECTED, actor=system_actor(), reason=report.reason)
            if (item := steps.item_of_return(row.transaction)) is not None:
                steps.ask_whose(item, why="the bank did not return it to its sender", bank_said=report.reason)


def _moved_otherwise(row: RailTransfer) -> bool:
    """It has said before that it moved another amount for this payment, which is in suspense; a human is on it."""
    booked = IdempotencyClaim.objects.filter(principal=system_actor().principal_id, key=_booking(row))
    return row.status == RailStatus.SUBMITTED and booked.exists()


def _booking(row: RailTransfer) -> str:
    """The key under which what moved for a payment is in suspense, once."""
    return f"bank-payment-{row.key}"


def unit_of(row: RailTransfer) -> UUID:
    unit: UUID = row.transaction.group_id or row.transaction_id
    return unit


def remember(row: RailTransfer, report: PaymentReport) -> None:
    """Keep the bank's reference and its last words, raw. The caller saves."""
    row.bank_reference = report.bank_reference[:128]
    row.answers = [*row.answers, report.raw][-_ANSWERS_KEPT:]


def _settled(row: RailTransfer, report: PaymentReport, *, now: datetime) -> None:
    if row.direction == RailDirection.COLLECTION and report.payer is not None:
        row.payer = report.payer.as_json()
        nudge("ledger.payer_named")
    _end(row, "confirm", report, now=now, reason=report.reason)
    steps.resume([unit_of(row)])


def _named_again(row: RailTransfer, report: PaymentReport) -> None:
    """A later word on a deposit that was settled. Where it is the first to name a payer, he is looked for before the
    money is posted; a human looks for him when it has been."""
    if row.direction != RailDirection.COLLECTION or report.payer is None:
        return
    named = report.payer.as_json()
    if row.payer == named:
        return
    if row.payer is not None:
        raise BankContradictsItself()
    row.payer = named
    row.save(update_fields=["payer"])
    unit = unit_of(row)
    stage = steps.lock([unit]).get(unit)
    if stage is None:
        steps.escalate(
            kind=EscalationKind.PAYER_NAMED_LATE,
            subject_type="transaction",
            subject_id=row.transaction_id,
            transaction_id=row.transaction_id,
            details={"bank_reference": report.bank_reference, **with_payer(report.payer)},
        )
    elif stage == Stage.CLEARING:
        steps.resume([unit])
        nudge("ledger.payer_named")


def with_payer(payer: Payer | None) -> dict[str, Any]:
    """For the details of an escalation: who has paid, where the bank names him."""
    return {} if payer is None else {PAYER: payer.as_json()}


def _settled_otherwise(row: RailTransfer, report: PaymentReport, *, now: datetime) -> None:
    """Another amount than was asked for. A deposit fails, for its money will not come, and so does what was to be
    returned from suspense; of a customer's payout nobody can say what the reservation is now worth: it waits for a
    human."""
    why = "the bank moved another amount than was asked for"
    item, _ = _book(row, report, why=why)
    if row.direction == RailDirection.COLLECTION or steps.item_of_return(row.transaction) is not None:
        if row.status == RailStatus.QUEUED:
            move(row, "submit", actor=system_actor(), reason=why)
        _end(row, "reject", report, now=now, reason=why)
        steps.fail([unit_of(row)], code=FailureCode.BANK_AMOUNT_DIFFERS, actor=system_actor(), reason=why)
    else:
        remember(row, report)
        row.next_at, row.lease_token, row.reason = None, None, why
        row.save(update_fields=["next_at", "lease_token", "reason", "bank_reference", "answers"])
    _escalate(row, report, why=why, item=item)


def _settled_after_failing(row: RailTransfer, report: PaymentReport) -> None:
    why = "the bank settled what had already failed"
    item, made = _book(row, report, why=why)
    if made:
        _escalate(row, report, why=why, item=item)


def _book(row: RailTransfer, report: PaymentReport, *, why: str) -> tuple[UUID | None, bool]:
    """Post what moved at the bank to suspense. The item that it is there (None in a currency that the wallet does not
    keep), and False when that was done before."""
    if report.currency not in currencies():
        return None, True
    returned = steps.item_of_return(row.transaction)
    booked, made = steps.post_to_suspense(
        key=_booking(row),
        direction="in" if row.direction == RailDirection.COLLECTION else "out",
        amount=report.amount,
        currency=report.currency,
        bank_key=row.key,
        why=why,
        item=returned,
    )
    return returned or booked, made


def _escalate(row: RailTransfer, report: PaymentReport, *, why: str, item: UUID | None) -> None:
    named = report.payer if row.direction == RailDirection.COLLECTION else None
    details = {
        "why": why,
        "asked": {"amount": row.transaction.amount, "currency": row.transaction.currency},
        "moved": {"amount": report.amount, "currency": report.currency},
        "bank_reference": report.bank_reference,
        **with_payer(named),
    }
    if item is not None and item == steps.item_of_return(row.transaction):
        steps.ask_whose(item, **details)
        return
    steps.escalate(
        kind=EscalationKind.UNMATCHED_MONEY,
        subject_type="transaction",
        subject_id=row.transaction_id,
        transaction_id=row.transaction_id,
        details=details if item is None else {**details, ITEM: str(item)},
    )


def _end(
    row: RailTransfer,
    transition: str,
    report: PaymentReport,
    *,
    now: datetime,
    reason: str,
    actor: Actor | None = None,
) -> None:
    remember(row, report)
    row.next_at, row.lease_token, row.ended_at, row.reason = None, None, now, reason[:500]
    move(row, transition, actor=actor or system_actor(), reason=reason, also=_ENDED[1:])
