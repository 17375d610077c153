"""Dispatch to the bank: claim due rail transfers, call outside any transaction, commit the answer under the lease.

Claiming a queued transfer makes it `submitted`, which is the point of no return: whatever happens from here on, the
bank may have it. A worker that dies between call and commit leaves a lease that runs out; whoever claims it next asks
the bank what became of the key before anything is sent again.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Account
from accounts.states import AccountStatus
from ledger import steps
from ledger.models import Escalation, RailTransfer
from ledger.rails import PaymentRail, RailAnswer, RailOrder, read_report
from ledger.services import bank_word
from ledger.states import EscalationKind, RailDirection, RailStatus
from wallet_project.utils.context import system_actor
from wallet_project.utils.http_client import ProviderAnswerMismatch, ProviderRefused, ProviderUnavailable
from wallet_project.utils.metrics import retried
from wallet_project.utils.nudges import nudge
from wallet_project.utils.retry import CAP, MAX_TRIES, next_delay
from wallet_project.utils.transitions import move

logger = structlog.get_logger(__name__)

#: Calls at once. Each takes at most two bounded calls (20 s), well inside a lease.
BATCH: Final = 8
_FIRST_POLL: Final = timedelta(seconds=1)

Word = RailAnswer | ProviderUnavailable | ProviderRefused | ProviderAnswerMismatch


@dataclass(frozen=True, slots=True)
class _Claim:
    transfer_id: UUID
    unit_id: UUID
    token: UUID
    #: As it was claimed, with its transaction: what is to be asked for.
    row: RailTransfer
    first: bool


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The bank will not take it; `unknown_to_bank` when it also says that it has nothing under our key."""

    error: ProviderRefused
    unknown_to_bank: bool


def dispatch_rails(*, rail: PaymentRail, now: datetime, rng: Random, limit: int = BATCH) -> int:
    """Ask the bank about up to `limit` due transfers, at once, and commit what it says. Returns how many were due.

    An answer that can't be taken in, whatever is wrong with it, holds up no other; it is asked for again.
    """
    due, claims = _claim(limit=limit, now=now)
    failed: list[tuple[_Claim, Exception]] = []
    if claims:
        with ThreadPoolExecutor(max_workers=len(claims), thread_name_prefix="rail") as pool:
            asked = {pool.submit(copy_context().run, _ask, rail, claim): claim for claim in claims}
            for answered in as_completed(asked):
                try:
                    _record(asked[answered], answered.result(), now=now, rng=rng)
                except Exception as error:
                    failed.append((asked[answered], error))
    for claim, reason in failed:
        _put_off(claim, reason, rng=rng)
    if due == limit:
        nudge("ledger.rail_due")
    return due


def _claim(*, limit: int, now: datetime) -> tuple[int, list[_Claim]]:
    """How many were due, and those of them that this worker is to ask about."""
    due = RailTransfer.objects.filter(next_at__lte=Now(), status__in=steps.UNFINISHED_RAIL).order_by("next_at")
    with transaction.atomic(durable=True):
        candidates = list(due.select_related("transaction")[:limit])
        units = steps.lock([bank_word.unit_of(row) for row in candidates]) if candidates else {}
        rows = list(
            due.order_by("id")
            .filter(id__in=[row.id for row in candidates if bank_word.unit_of(row) in units])
            .select_related("transaction")
            .select_for_update(no_key=True, skip_locked=True, of=("self",))
        )
        blocked = _payers_not_open(rows)
        for row in rows:
            if row.id in blocked:
                _park(row)
        return len(candidates), [_lease(row, now=now) for row in rows if row.id not in blocked]


def _payers_not_open(rows: Sequence[RailTransfer]) -> set[UUID]:
    """Payouts that have not left yet and whose account was frozen meanwhile; the others' accounts stay locked."""
    leaving = [row for row in rows if row.status == RailStatus.QUEUED and row.direction == RailDirection.PAYOUT]
    payers = Account.objects.filter(id__in=[row.transaction.debit_account_id for row in leaving])
    status = {account.id: account.status for account in payers.order_by("id").select_for_update(no_key=True)}
    return {row.id for row in leaving if status[row.transaction.debit_account_id] != AccountStatus.OPEN}


def _park(row: RailTransfer) -> None:
    RailTransfer.objects.filter(id=row.id).update(next_at=None)
    steps.park([bank_word.unit_of(row)], error="the paying account is not open")
    steps.escalate(
        kind=EscalationKind.FROZEN_ACCOUNT,
        subject_type="transaction",
        subject_id=row.transaction_id,
        transaction_id=row.transaction_id,
        details={"account": str(row.transaction.debit_account_id), "at": "payout"},
    )


def _lease(row: RailTransfer, *, now: datetime) -> _Claim:
    first = row.status == RailStatus.QUEUED
    _escalate_unfinished(row)
    row.attempts += 1
    row.lease_token = uuid4()
    row.next_at = Now() + settings.LEASE
    leased = ["attempts", "lease_token", "next_at"]
    if first:
        row.submitted_at = now
        move(row, "submit", actor=system_actor(), also=[*leased, "submitted_at"])
    else:
        row.save(update_fields=leased)
        retried("rail")
    return _Claim(row.id, bank_word.unit_of(row), row.lease_token, row, first)


def _order(row: RailTransfer) -> RailOrder:
    asked = row.transaction
    return RailOrder(
        reference=row.key,
        direction="payout" if row.direction == RailDirection.PAYOUT else "collection",
        amount=asked.amount,
        currency=asked.currency,
        beneficiary=_named(asked.beneficiary) if row.direction == RailDirection.PAYOUT else None,
        description=asked.reference,
    )


def _named(beneficiary: Mapping[str, str] | None) -> Mapping[str, str] | None:
    """What the bank is told of him: not our own id of one who is kept."""
    return None if beneficiary is None else {name: beneficiary[name] for name in ("name", "iban")}


def _ask(rail: PaymentRail, claim: _Claim) -> Word | _Refusal:
    """In a thread of its own, outside any transaction."""
    order = _order(claim.row)
    try:
        if not claim.first and (known := rail.status(order)) is not None:
            return known
        try:
            return rail.submit(order)
        except ProviderRefused as refusal:
            # It may refuse this request and still have taken an earlier one.
            known = rail.status(order)
            return known if known is not None else _Refusal(refusal, unknown_to_bank=True)
    except ProviderRefused as refusal:
        return _Refusal(refusal, unknown_to_bank=False)
    except (ProviderUnavailable, ProviderAnswerMismatch) as error:
        return error


def _record(claim: _Claim, word: Word | _Refusal, *, now: datetime, rng: Random) -> None:
    with transaction.atomic(durable=True):
        if (row := _still_ours(claim)) is not None:
            _apply(row, word, now=now, rng=rng)


def _put_off(claim: _Claim, error: Exception, *, rng: Random) -> None:
    """Nothing of its answer was committed: like silence, it is asked again, and a human looks after the last try."""
    logger.error("rail_answer_failed", transfer=str(claim.transfer_id), exc_info=error)
    with transaction.atomic(durable=True):
        if (row := _still_ours(claim)) is not None:
            _try_again(row, f"the answer could not be taken in: {type(error).__name__}", rng=rng)


def _still_ours(claim: _Claim) -> RailTransfer | None:
    """Locked. None when the lease ran out and somebody else has it now, or a callback brought the bank's word."""
    steps.lock([claim.unit_id])
    return (
        RailTransfer.objects.select_for_update(no_key=True, of=("self",))
        .select_related("transaction")
        .filter(id=claim.transfer_id, lease_token=claim.token, status__in=steps.UNFINISHED_RAIL)
        .first()
    )


def _apply(row: RailTransfer, word: Word | _Refusal, *, now: datetime, rng: Random) -> None:
    match word:
        case RailAnswer(status="processing"):
            _ask_later(row, read_report(word.raw).raw, bank_reference=word.bank_reference, now=now)
        case RailAnswer():
            bank_word.apply(row, read_report(word.raw), now=now)
        case ProviderUnavailable():
            _try_again(row, str(word), rng=rng)
        case _Refusal():
            _stop(row, str(word.error), {"status": word.error.status, "unknown_to_bank": word.unknown_to_bank})
        case ProviderAnswerMismatch():
            _take_other_amount_or_stop(row, word, now=now)


def _ask_later(row: RailTransfer, raw: dict[str, object], *, bank_reference: str, now: datetime) -> None:
    """A payment that takes its time is asked about ever more rarely: after half of the time that it has taken."""
    age = now - (row.submitted_at or now)
    row.attempts, row.lease_token, row.reason = 0, None, ""
    row.next_at = Now() + min(CAP, max(_FIRST_POLL, age / 2))
    row.bank_reference, row.answers = bank_reference[:128], [raw]
    row.save(update_fields=["attempts", "lease_token", "reason", "next_at", "bank_reference", "answers"])


def _try_again(row: RailTransfer, error: str, *, rng: Random) -> None:
    delay = next_delay(row.attempts, rng)
    row.lease_token, row.reason = None, error[:500]
    row.next_at = Now() + (CAP if delay is None else delay)
    row.save(update_fields=["lease_token", "reason", "next_at"])
    if row.attempts == MAX_TRIES:
        _escalate(row, EscalationKind.RAIL_EXHAUSTED, {"tries": row.attempts, "error": row.reason})


def _escalate_unfinished(row: RailTransfer) -> None:
    """The last try ended nowhere, not even in an error (its worker died): a human is to know all the same."""
    if row.attempts < MAX_TRIES:
        return
    told = Escalation.objects.filter(kind=EscalationKind.RAIL_EXHAUSTED, subject_id=str(row.id))
    if not told.exists():
        _escalate(row, EscalationKind.RAIL_EXHAUSTED, {"tries": row.attempts, "error": row.reason or "no try ended"})


def _take_other_amount_or_stop(row: RailTransfer, mismatch: ProviderAnswerMismatch, *, now: datetime) -> None:
    """Our payment, settled for another amount, is money that moved; an answer about anything else is not believed."""
    try:
        report = read_report(mismatch.raw)
    except ProviderAnswerMismatch:
        report = None
    if report is not None and report.reference == row.key and report.status == "settled":
        bank_word.apply(row, report, now=now)
    else:
        _stop(row, str(mismatch), {"answer": mismatch.raw})


def _stop(row: RailTransfer, error: str, details: dict[str, object]) -> None:
    """Asking again would not help: a human looks."""
    row.lease_token, row.next_at, row.reason = None, None, error[:500]
    row.save(update_fields=["lease_token", "next_at", "reason"])
    _escalate(row, EscalationKind.RAIL_REFUSED, {"error": error, **details})


def _escalate(row: RailTransfer, kind: EscalationKind, details: dict[str, object]) -> None:
    logger.warning("rail_escalated", kind=str(kind), transaction=str(row.transaction_id))
    steps.escalate(
        kind=kind,
        subject_type="rail_transfer",
        subject_id=row.id,
        transaction_id=row.transaction_id,
        details=details,
    )
